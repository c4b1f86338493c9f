"""Who is let in, as a table."""

import base64
from typing import Any

import pytest

from ocpp_server.domain.admission import decide
from ocpp_server.domain.basic_auth import credentials, password_forms
from ocpp_server.domain.handshake import Admission, Handshake, Refusal, identity_of
from shared.contracts.site import ModbusAccess, OcppServerConfig, SiteConfig, Station
from shared.contracts.station import RefusalReason


def fits(stored: str, presented: str) -> bool:
    return stored == f"hash of {presented}"


def site(*stations: Station, password: str | None = None) -> SiteConfig:
    server = OcppServerConfig(password_hash=f"hash of {password}" if password else None)
    return SiteConfig(stations=stations, ocpp_server=server)


def handshake(**changes: Any) -> Handshake:
    told: dict[str, Any] = {
        "path": "/CP1",
        "identity": "CP1",
        "peer": "10.0.0.7:4711",
        "tls": False,
    }
    return Handshake(**{**told, "subprotocols": ("ocpp1.6",), **changes})


def box(station_id: str = "CP1", **settings: Any) -> Station:
    return Station(id=station_id, protocol="ocpp", **settings)


def decided(site_: SiteConfig, **changes: Any) -> Admission | Refusal:
    return decide(handshake(**changes), site_, password_matches=fits)


def test_a_listed_station_is_known_under_its_configured_spelling() -> None:
    answer = decided(site(box("cp1")))
    assert answer == Admission(station_id="cp1", subprotocol="ocpp1.6", known=True)


def test_an_unlisted_station_is_held_and_not_refused() -> None:
    assert decided(site()) == Admission(station_id="CP1", subprotocol="ocpp1.6", known=False)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ((), None),
        (("ocpp1.6",), "ocpp1.6"),
        (("ocpp2.0.1", "ocpp1.6"), "ocpp1.6"),
        (("ocpp1.6j", "ocpp1.6"), "ocpp1.6"),
        (("OCPP1.6J",), "OCPP1.6J"),
        (("ocpp",), "ocpp"),
    ],
)
def test_every_spelling_of_ocpp_1_6_is_taken(offered: tuple[str, ...], chosen: str | None) -> None:
    answer = decided(site(box()), subprotocols=offered)
    assert isinstance(answer, Admission)
    assert answer.subprotocol == chosen


@pytest.mark.parametrize(
    ("why", "site_", "changes", "reason", "status"),
    [
        ("no identity", site(), {"identity": "", "path": "/"}, RefusalReason.PATH, 404),
        ("too long", site(), {"identity": "x" * 65}, RefusalReason.PATH, 404),
        ("control characters", site(), {"identity": "CP\n1"}, RefusalReason.PATH, 404),
        (
            "another version only",
            site(),
            {"subprotocols": ("ocpp2.0.1",)},
            RefusalReason.SUBPROTOCOL,
            400,
        ),
        (
            "profile 2 in the clear, even with the right password",
            site(box(security_profile=2, password_hash="hash of pw")),
            {"password": b"pw"},
            RefusalReason.SECURITY_PROFILE,
            403,
        ),
        ("no password", site(box(), password="pw"), {}, RefusalReason.PASSWORD, 401),
        ("wrong", site(box(), password="pw"), {"password": b"no"}, RefusalReason.PASSWORD, 401),
        (
            "own password counts, not the server's",
            site(box(password_hash="hash of own"), password="pw"),
            {"password": b"pw"},
            RefusalReason.PASSWORD,
            401,
        ),
        (
            "an unknown station needs the server's password too",
            site(password="pw"),
            {},
            RefusalReason.PASSWORD,
            401,
        ),
        (
            "profile 1 without a configured password",
            site(box(security_profile=1)),
            {},
            RefusalReason.PASSWORD,
            401,
        ),
        (
            "the name of a Modbus station",
            site(
                Station(
                    id="cp1",
                    protocol="modbus",
                    modbus=ModbusAccess(template="cfos_power_brain", host="h"),
                )
            ),
            {},
            RefusalReason.PATH,
            409,
        ),
    ],
)
def test_refusals(
    why: str, site_: SiteConfig, changes: dict[str, Any], reason: RefusalReason, status: int
) -> None:
    answer = decided(site_, **changes)
    assert isinstance(answer, Refusal), why
    assert (answer.reason, answer.status) == (reason, status), why
    assert answer.detail


def test_profile_2_over_tls_with_its_password_is_let_in() -> None:
    station = box(security_profile=2, password_hash="hash of pw")
    assert isinstance(decided(site(station), tls=True, password=b"pw"), Admission)


@pytest.mark.parametrize("presented", [b"c0ffee", b"C0FFee", b"\xc0\xff\xee"])
def test_a_hex_password_may_come_as_text_or_as_the_bytes_it_stands_for(presented: bytes) -> None:
    assert "c0ffee" in list(password_forms(presented))


@pytest.mark.parametrize(
    ("path", "identity"),
    [
        ("/CP1", "CP1"),
        ("/ocpp/CP1/", "CP1"),
        ("/CP%201%2FA?x=1", "CP 1/A"),
        ("/a+b", "a+b"),
        ("/K%C3%B6ln", "Köln"),
        ("/", ""),
    ],
)
def test_identity_is_the_last_path_segment_decoded_once(path: str, identity: str) -> None:
    assert identity_of(path) == identity


def basic(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("header", "identity", "expected"),
    [
        (basic(b"CP1:pw"), "CP1", ("CP1", b"pw")),
        (basic(b"CP:1:p:w"), "CP:1", ("CP:1", b"p:w")),
        (basic(b"other:pw"), "CP1", ("other", b"pw")),
        (basic(b"CP1:\xff\x00"), "CP1", ("CP1", b"\xff\x00")),
        (basic(b"CP1"), "CP1", ("CP1", None)),
        ("Basic ???", "CP1", (None, None)),
        ("Bearer abc", "CP1", (None, None)),
        (None, "CP1", (None, None)),
    ],
)
def test_credentials(
    header: str | None, identity: str, expected: tuple[str | None, bytes | None]
) -> None:
    assert credentials(header, identity) == expected


@pytest.mark.parametrize(
    ("user", "is_in"),
    [("CP1", True), ("cp1", True), ("", True), (None, True), ("CP2", False), ("admin", False)],
)
def test_the_user_name_is_the_identity_or_empty(user: str | None, is_in: bool) -> None:
    answer = decided(site(box(password_hash="hash of pw")), user=user, password=b"pw")
    assert isinstance(answer, Admission) is is_in
    if isinstance(answer, Refusal):
        assert (answer.reason, answer.status) == (RefusalReason.PASSWORD, 401)
        assert f"user name {user!r}" in answer.detail
        assert "'CP1'" in answer.detail


def test_where_no_password_is_demanded_the_user_name_does_not_matter() -> None:
    assert isinstance(decided(site(box()), user="admin", password=b"pw"), Admission)


@pytest.mark.parametrize(
    ("because", "settings", "presented", "used_next"),
    [
        ("the old one is good", {"password_hash": "hash of old"}, b"old", False),
        ("the new one is good", {"password_hash": "hash of old"}, b"new", True),
        ("the server's stands for an old one", {}, b"server", False),
        ("the new one, where it is the first of its own", {}, b"new", True),
        ("as the bytes of a hex key", {"next_password_hash": "hash of c0ff"}, b"\xc0\xff", True),
    ],
)
def test_while_a_password_is_handed_over_either_is_good(
    because: str, settings: dict[str, Any], presented: bytes, used_next: bool
) -> None:
    station = box(**{"next_password_hash": "hash of new", **settings})
    answer = decided(site(station, password="server"), user="CP1", password=presented)
    assert isinstance(answer, Admission), because
    assert answer.used_next_password is used_next, because
    assert (answer.password_hash == station.next_password_hash) is used_next, because


@pytest.mark.parametrize(("user", "password"), [("CP1", b"other"), ("CP2", b"new"), (None, None)])
def test_a_pending_password_opens_the_gate_to_nobody_else(
    user: str | None, password: bytes | None
) -> None:
    station = box(password_hash="hash of old", next_password_hash="hash of new")
    answer = decided(site(station), user=user, password=password)
    assert isinstance(answer, Refusal)
    assert answer.status == 401


def test_a_first_password_that_is_pending_is_not_demanded_yet() -> None:
    station = box(next_password_hash="hash of new")
    assert decided(site(station)) == Admission(
        station_id="CP1", subprotocol="ocpp1.6", known=True, used_next_password=False
    )


def test_a_station_that_must_use_tls_is_refused_before_its_password_is_looked_at() -> None:
    looked_at: list[str] = []

    def watched(_stored: str, presented: str) -> bool:
        looked_at.append(presented)
        return True

    station = box(security_profile=2, password_hash="h", next_password_hash="n")
    answer = decide(handshake(password=b"pw"), site(station), password_matches=watched)
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.status) == (RefusalReason.SECURITY_PROFILE, 403)
    assert looked_at == []


@pytest.mark.parametrize(
    ("offered", "chosen"), [(("ocpp0.1",), None), (("ocpp0.1", "ocpp1.6"), "ocpp1.6")]
)
def test_an_unknown_version_is_refused_and_beside_ours_ignored(
    offered: tuple[str, ...], chosen: str | None
) -> None:
    answer = decided(site(box()), subprotocols=offered)
    if chosen is None:
        assert isinstance(answer, Refusal)
        assert answer.status == 400
        assert "ocpp0.1" in answer.detail
    else:
        assert isinstance(answer, Admission)
        assert answer.subprotocol == chosen


def test_a_long_path_is_not_repeated_whole() -> None:
    answer = decided(site(), path="/" + "x" * 8000, identity="x" * 8000)
    assert isinstance(answer, Refusal)
    assert len(answer.detail) < 400
