"""What is strange about a station that is served, in sentences."""

from typing import Any

import pytest

from api.domain.oddities import connectors_in, oddities
from api.domain.station_live import StationLive
from shared.contracts.site import Evse, OcppServerConfig, Station, TlsMode
from shared.contracts.station import ConfigurationEntry


def evse(connector: int, fallback_a: float = 0) -> Evse:
    return Evse(
        id=f"bay-{connector}",
        station="BOX",
        connector=connector,
        circuit="main",
        fallback_a=fallback_a,
    )


def found(
    live: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    *,
    known: bool = True,
    evses: tuple[int, ...] = (1,),
    connectors: int | None = None,
    tls: TlsMode = TlsMode.DETECT,
    model: str = "",
    fallback_a: float = 0,
) -> list[str]:
    values = {"online": True, "protocol": "ocpp", "subprotocol": "ocpp1.6", **(live or {})}
    return oddities(
        StationLive(station_id="BOX", **values),
        Station(id="BOX", protocol="ocpp", **(settings or {})) if known else None,
        evses=[evse(number, fallback_a) for number in evses],
        server=OcppServerConfig(tls=tls),
        connectors=connectors,
        model=model,
    )


@pytest.mark.parametrize(
    ("because", "facts", "said"),
    [
        ("nothing is strange", {}, []),
        ("it is not here", {"live": {"online": False, "subprotocol": None}}, []),
        ("a Modbus box has no sub-protocol", {"live": {"protocol": "modbus"}, "connectors": 9}, []),
        ("an unknown id", {"known": False}, ["'BOX' is configured"]),
        ("none offered", {"live": {"subprotocol": None}}, ["no sub-protocol"]),
        ("an odd one offered", {"live": {"subprotocol": "ocpp1.6j"}}, ["'ocpp1.6j' instead"]),
        (
            "unknown and odd",
            {"known": False, "live": {"subprotocol": "ocpp"}},
            ["is configured", "'ocpp' instead"],
        ),
        ("the connectors fit", {"evses": (1, 2), "connectors": 2}, []),
        ("it has fewer", {"evses": (1, 2), "connectors": 1}, ["'bay-2' is its connector 2"]),
        ("it has more", {"evses": (2,), "connectors": 3}, ["connector 1, 3"]),
        (
            "a password in the clear, and the port takes TLS",
            {"live": {"security_profile": 1}},
            ["unencrypted"],
        ),
        ("the port takes no TLS", {"live": {"security_profile": 1}, "tls": TlsMode.OFF}, []),
        (
            "told to use a higher one",
            {"live": {"security_profile": 1}, "settings": {"next_security_profile": 2}},
            ["told to use security profile 2 and connects with 1"],
        ),
        (
            "weaker ones would be let in",
            {"live": {"security_profile": 3}, "settings": {"security_profile": 2}},
            ["set its security_profile to 3"],
        ),
        (
            "it is held to what it uses",
            {"live": {"security_profile": 2}, "settings": {"security_profile": 2}},
            [],
        ),
        ("its model is known", {"settings": {"model": "go-e"}, "model": "go-e"}, []),
        (
            "a model that nobody knows",
            {"settings": {"model": "goe"}},
            ["model 'goe', which is not known, so it is treated as one of no special habits"],
        ),
        (
            "a model that nobody knows, and it is recognised",
            {"settings": {"model": "goe"}, "model": "go-e"},
            ["so it is treated as go-e: name one of abb, alpitronic"],
        ),
        (
            "it faults at 0 A, and fuses do not count its minimum",
            {"evses": (1, 2), "model": "evbox-elvi"},
            ["give EVSE 'bay-1' a fallback_a of at least its min_a, 6 A", "'bay-2'"],
        ),
        ("its fallback is its minimum", {"model": "evbox-elvi", "fallback_a": 6}, []),
    ],
)
def test_oddities(because: str, facts: dict[str, Any], said: list[str]) -> None:
    sentences = found(**facts)
    assert len(sentences) == len(said), (because, sentences)
    assert all(part in sentence for part, sentence in zip(said, sentences, strict=True)), sentences


@pytest.mark.parametrize(
    ("key", "value", "number"),
    [
        ("NumberOfConnectors", "2", 2),
        ("numberofconnectors", ' "2" ', 2),
        ("NumberOfConnectors", "two", None),
        ("NumberOfConnectors", "", None),
        ("NumberOfConnectors", None, None),
        ("NumberOfConnectors", "-1", None),
        ("Other", "2", None),
    ],
)
def test_connectors_as_stations_tell_them(key: str, value: str | None, number: int | None) -> None:
    entries = [ConfigurationEntry(key="A", value="7"), ConfigurationEntry(key=key, value=value)]
    assert connectors_in(entries) == number
