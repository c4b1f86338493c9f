"""Passwords and profiles that a station is being given (OCPP 1.6 security, A01 and A05)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from api.domain.promotion import (
    Settlement,
    missing_for_profile,
    promotion_of,
    settlement_of,
    with_password_settled,
    with_settings,
)
from shared.contracts.ocpp import CallResult
from shared.contracts.site import OcppServerConfig, Station, TlsMode
from shared.contracts.station import StationConnected

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def connected(**changes: Any) -> StationConnected:
    values = {"station_id": "BOX", "epoch": 1, "protocol": "ocpp", "connected_at": NOON}
    return StationConnected(**values, **changes)


def station(**settings: Any) -> Station:
    return Station(id="Box", protocol="ocpp", **settings)


def stored(**settings: Any) -> dict[str, Any]:
    other = {"id": "other", "next_password_hash": "n"}
    return {"stations": [{"id": "Box", "name": "x", **settings}, other]}


@pytest.mark.parametrize(
    ("outcome", "status", "settlement"),
    [
        (CallResult.ANSWERED, "Accepted", Settlement.PROMOTE),
        (CallResult.ANSWERED, "RebootRequired", Settlement.PROMOTE),
        (CallResult.ANSWERED, "Rejected", Settlement.DROP),
        (CallResult.ANSWERED, "NotSupported", Settlement.DROP),
        (CallResult.ANSWERED, None, Settlement.DROP),
        (CallResult.ERROR, None, Settlement.DROP),
        (CallResult.OFFLINE, None, Settlement.KEEP_BOTH),
        (CallResult.TIMEOUT, None, Settlement.KEEP_BOTH),
    ],
)
def test_what_an_answer_settles(
    outcome: CallResult, status: str | None, settlement: Settlement
) -> None:
    assert settlement_of(outcome, status) is settlement


@pytest.mark.parametrize(
    ("because", "settings", "fact", "changes"),
    [
        ("nothing is pending", {"password_hash": "p"}, {"used_next_password": True}, {}),
        ("it came with the old one", {"next_password_hash": "n"}, {}, {}),
        (
            "it came with the new one",
            {"password_hash": "p", "next_password_hash": "n"},
            {"used_next_password": True},
            {"password_hash": "n", "next_password_hash": None},
        ),
        ("it fell back", {"next_security_profile": 2}, {"security_profile": 1}, {}),
        (
            "it came with the new profile",
            {"next_security_profile": 2},
            {"security_profile": 2},
            {"security_profile": 2, "next_security_profile": None},
        ),
        (
            "it came with a higher one than it was told to",
            {"next_security_profile": 2},
            {"security_profile": 3},
            {"security_profile": 2, "next_security_profile": None},
        ),
    ],
)
def test_what_a_connection_promotes(
    because: str, settings: dict[str, Any], fact: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert promotion_of(station(**settings), connected(**fact)) == changes, because


def test_settings_of_one_station_change_and_nothing_else() -> None:
    before = stored(security_profile=1)
    after = with_settings(before, "BOX", {"security_profile": 2})
    assert after["stations"] == [
        {"id": "Box", "name": "x", "security_profile": 2},
        before["stations"][1],
    ]
    assert before["stations"][0]["security_profile"] == 1
    assert with_settings(before, "gone", {"security_profile": 2}) == before


@pytest.mark.parametrize(
    ("because", "pending", "settlement", "expected"),
    [
        ("taken", "new", Settlement.PROMOTE, ("new", None)),
        ("refused", "new", Settlement.DROP, ("old", "earlier")),
        ("no answer", "new", Settlement.KEEP_BOTH, ("old", "new")),
        ("it has come with it meanwhile", None, Settlement.DROP, ("old", None)),
        ("another is pending by now", "newer", Settlement.PROMOTE, ("old", "newer")),
    ],
)
def test_a_password_is_settled_unless_something_else_is_pending(
    because: str, pending: str | None, settlement: Settlement, expected: tuple[str, str | None]
) -> None:
    document = stored(password_hash="old", next_password_hash=pending)
    after = with_password_settled(document, "box", "new", settlement=settlement, before="earlier")
    found = after["stations"][0]
    assert (found["password_hash"], found["next_password_hash"]) == expected, because


def missing(
    wanted: int,
    settings: dict[str, Any] | None = None,
    *,
    tls: TlsMode = TlsMode.DETECT,
    present: int = 0,
    has_root: bool | None = None,
    has_certificate: bool | None = None,
) -> str:
    return " | ".join(
        missing_for_profile(
            wanted,
            station(**(settings or {})),
            present=present,
            server=OcppServerConfig(tls=tls),
            has_root=has_root,
            has_certificate=has_certificate,
        )
    )


PASSWORD = {"password_hash": "h"}


@pytest.mark.parametrize(
    ("because", "wanted", "facts", "said"),
    [
        ("a password is there", 1, {"settings": PASSWORD}, ""),
        ("no password", 1, {}, "password first"),
        ("no password", 2, {}, "password first"),
        ("a certificate needs no password", 3, {}, ""),
        ("no way down", 1, {"settings": {**PASSWORD, "security_profile": 2}}, "no way down"),
        ("no way down from what it uses", 2, {"settings": PASSWORD, "present": 2}, "profile 2"),
        ("the port takes no TLS", 2, {"settings": PASSWORD, "tls": TlsMode.OFF}, "no TLS"),
        ("the port takes TLS only", 1, {"settings": PASSWORD, "tls": TlsMode.ON}, "TLS only"),
        ("it trusts nobody", 2, {"settings": PASSWORD, "has_root": False}, "install"),
        ("it may trust somebody", 2, {"settings": PASSWORD, "has_root": None}, ""),
        ("no certificate is trusted", 3, {"has_root": True, "has_certificate": False}, "authority"),
        ("both are missing", 3, {"has_root": False, "has_certificate": False}, " | "),
    ],
)
def test_what_is_missing_for_a_profile(
    because: str, wanted: int, facts: dict[str, Any], said: str
) -> None:
    found = missing(wanted, **facts)
    assert (said in found) if said else (found == ""), (because, found)
