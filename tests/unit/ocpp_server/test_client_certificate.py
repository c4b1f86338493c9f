"""Security profile 3, as a table: whose certificate is whose (S21)."""

from typing import Any

import pytest

from ocpp_server.domain.admission import decide
from ocpp_server.domain.handshake import Admission, Handshake, Refusal
from shared.contracts.site import OcppServerConfig, SiteConfig, Station
from shared.contracts.station import RefusalReason

PRINT, OTHER_PRINT = "a1" * 32, "b2" * 32


def decided(
    station: Station | None, *, cpo_name: str = "", stored: str | None = None, **shown: Any
) -> Admission | Refusal:
    told: dict[str, Any] = {
        "path": "/CP1",
        "identity": "CP1",
        "peer": "10.0.0.7:4711",
        "tls": True,
        "subprotocols": ("ocpp1.6",),
    }
    server = OcppServerConfig(cpo_name=cpo_name, password_hash=stored and f"hash of {stored}")
    site = SiteConfig(stations=(station,) if station else (), ocpp_server=server)
    return decide(
        Handshake(**(told | shown)),
        site,
        password_matches=lambda kept, given: kept == f"hash of {given}",
    )


def box(**settings: Any) -> Station:
    return Station(id="CP1", protocol="ocpp", **settings)


def shows(name: str | None = "CP1", **more: Any) -> dict[str, Any]:
    return {"certificate_fingerprint": PRINT, "certificate_name": name, **more}


@pytest.mark.parametrize(
    ("why", "station", "cpo_name", "shown"),
    [
        ("common name is the id", box(security_profile=3), "", shows("CP1")),
        ("whatever its case", box(security_profile=3), "", shows("cp1")),
        (
            "common name as configured",
            box(security_profile=3, certificate_name="SN-4711"),
            "",
            shows("sn-4711"),
        ),
        (
            "serial number in its own attribute",
            box(security_profile=3, certificate_name="SN-4711"),
            "",
            shows("Wallbox", certificate_serial_name="SN-4711"),
        ),
        (
            "pinned, whatever name is in it",
            box(security_profile=3, certificate_fingerprint=PRINT),
            "Tiefgarage",
            shows(None),
        ),
        (
            "organisation contains the operator's name",
            box(security_profile=3),
            "tiefgarage köln",
            shows(certificate_organisation="Tiefgarage Köln GmbH"),
        ),
        (
            "umlaut composed here, decomposed there",
            box(security_profile=3),
            "Köln",
            shows(certificate_organisation="Tiefgarage Ko\u0308ln GmbH"),
        ),
        ("a profile that demands less", box(security_profile=2), "", shows()),
        ("no profile configured", box(), "", shows()),
    ],
)
def test_its_own_certificate_makes_profile_3_without_a_password(
    why: str, station: Station, cpo_name: str, shown: dict[str, Any]
) -> None:
    answer = decided(station, cpo_name=cpo_name, stored="pw", **shown)
    assert isinstance(answer, Admission), why
    assert answer.security_profile == 3, why


@pytest.mark.parametrize(
    ("why", "station", "cpo_name", "shown", "says"),
    [
        ("none", box(security_profile=3), "", {}, "install one in the wallbox"),
        ("that of another", box(security_profile=3), "", shows("CP2"), "common name CP2, but CP1"),
        ("without a name", box(security_profile=3), "", shows(None), "common name (none)"),
        (
            "its id does not count where a name is configured",
            box(security_profile=3, certificate_name="SN-4711"),
            "",
            shows("CP1"),
            "but SN-4711 is expected",
        ),
        (
            "right name, but not the pinned one",
            box(security_profile=3, certificate_fingerprint=OTHER_PRINT),
            "",
            shows("CP1"),
            OTHER_PRINT,
        ),
        (
            "another operator's",
            box(security_profile=3),
            "Tiefgarage",
            shows(certificate_organisation="Parkhaus"),
            "does not contain Tiefgarage",
        ),
        ("no operator's", box(security_profile=3), "Tiefgarage", shows(), "organisation (none)"),
    ],
)
def test_profile_3_refuses_any_other_even_with_the_right_password(
    why: str, station: Station, cpo_name: str, shown: dict[str, Any], says: str
) -> None:
    answer = decided(station, cpo_name=cpo_name, stored="pw", password=b"pw", **shown)
    assert isinstance(answer, Refusal), why
    assert (answer.reason, answer.status) == (RefusalReason.CERTIFICATE, 403), why
    assert says in answer.detail, why


def test_profile_3_in_the_clear_is_told_to_use_tls() -> None:
    answer = decided(box(security_profile=3), tls=False)
    assert isinstance(answer, Refusal)
    assert answer.reason is RefusalReason.SECURITY_PROFILE


def test_the_certificate_of_another_is_no_password() -> None:
    answer = decided(box(), stored="pw", **shows("CP2"))
    assert isinstance(answer, Refusal)
    assert answer.reason is RefusalReason.PASSWORD


@pytest.mark.parametrize(
    ("password", "tls", "profile"),
    [(None, False, 0), (None, True, 0), ("pw", False, 1), ("pw", True, 2)],
)
def test_the_profile_of_a_connection_without_certificate(
    password: str | None, tls: bool, profile: int
) -> None:
    told = {"password": password.encode()} if password else {}
    station = box(password_hash=password and f"hash of {password}")
    site = SiteConfig(stations=(station,))
    handshake = Handshake(path="/CP1", identity="CP1", peer="", tls=tls, **told)
    answer = decide(handshake, site, password_matches=lambda *_: True)
    assert isinstance(answer, Admission)
    assert answer.security_profile == profile


def test_an_unlisted_station_with_a_certificate_of_its_name_is_held_with_profile_3() -> None:
    answer = decided(None, **shows("CP1"))
    assert isinstance(answer, Admission)
    assert (answer.known, answer.security_profile) == (False, 3)
