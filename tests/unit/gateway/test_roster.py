"""Which charge points a site shows to which backends."""

import pytest
from pydantic import TypeAdapter

from gateway.domain.roster import UplinkPlan, plan_uplinks
from shared.contracts.site import Backend, Evse, SiteConfig, Station


def site(*backends: Backend | None, stations: str = "o") -> SiteConfig:
    """EVSEs e1, e2, ... each at a station of its own: ``o`` speaks OCPP, ``m`` Modbus."""
    kinds = (stations * len(backends))[: len(backends)]
    return SiteConfig(
        stations=tuple(station(n, kind) for n, kind in enumerate(kinds, start=1)),
        evses=tuple(
            Evse(id=f"e{n}", station=f"s{n}", circuit="c", backend=backend)
            for n, backend in enumerate(backends, start=1)
        ),
    )


def station(number: int, kind: str) -> Station:
    modbus = {"template": "t", "host": "h"} if kind == "m" else None
    raw = {"id": f"s{number}", "protocol": "modbus" if modbus else "ocpp", "modbus": modbus}
    return TypeAdapter(Station).validate_python(raw)


def endpoint(url: str, client_id: str) -> str:
    return plan_uplinks(site(Backend(url=url, client_id=client_id)))[0].endpoint


@pytest.mark.parametrize(
    ("url", "client_id", "expected"),
    [
        ("ws://host/", "CP", "ws://host/CP"),
        ("ws://host", "CP", "ws://host/CP"),
        ("wss://host:8443/path/to/resource/", "CP", "wss://host:8443/path/to/resource/CP"),
        ("ws://xyz123.backend.com/", "CP", "ws://xyz123.backend.com/CP"),
        ("ws://ocpp.backend.com/xyz123", "CP", "ws://ocpp.backend.com/xyz123/CP"),
        ("ws://host/", "Säule 7/b+c", "ws://host/S%C3%A4ule%207%2Fb%2Bc"),
        ("ws://host/ocpp?key=1", "CP", "ws://host/ocpp/CP?key=1"),
    ],
)
def test_client_id_is_appended_url_encoded(url: str, client_id: str, expected: str) -> None:
    assert endpoint(url, client_id) == expected


def backend(url: str = "ws://host/", client_id: str = "CP") -> Backend:
    return Backend(url=url, client_id=client_id)


def numbers(plan: UplinkPlan) -> list[tuple[int, str]]:
    return [(c.number, c.evse.id) for c in plan.connectors]


def test_same_url_and_client_id_are_connectors_of_one_charge_point() -> None:
    plans = plan_uplinks(site(backend(), None, backend(client_id="X"), backend("ws://host")))
    assert [numbers(plan) for plan in plans] == [[(1, "e1"), (2, "e4")], [(1, "e3")]]


def test_evse_without_backend_or_station_is_shown_to_nobody() -> None:
    lost = Evse(id="e9", station="gone", circuit="c", backend=backend())
    assert plan_uplinks(SiteConfig(evses=(lost,))) == ()
    assert plan_uplinks(site(None)) == ()


def test_single_station_is_one_that_is_the_whole_charge_point() -> None:
    assert plan_uplinks(site(backend()))[0].single_station == "s1"
    assert plan_uplinks(site(backend(), stations="m"))[0].single_station is None
    assert plan_uplinks(site(backend(), backend()))[0].single_station is None
    assert plan_uplinks(site(backend(), backend(), stations="om"))[0].single_station is None


def test_connectors_of_a_station_are_found_whatever_the_case_of_its_id() -> None:
    plan = plan_uplinks(site(backend(), backend()))[0]
    assert [c.evse.id for c in plan.of_station("S2")] == ["e2"]
    assert plan.connector(2) is plan.connectors[1]
    assert plan.connector("2") is None
    assert plan.evse_ids == ("e1", "e2")
