"""Refused connections: counted by what they have in common, and gone when they are solved."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.domain.refusals import address_of, is_solved_by, refused
from api.refusal_book import MOST_REFUSALS, RefusalBook
from shared.contracts.station import RefusalReason, StationConnected, StationRefused

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def refusal(station_id: str = "Box", *, second: int = 0, **changes: Any) -> StationRefused:
    values: dict[str, Any] = {
        "peer": f"10.0.0.7:{4000 + second}",
        "reason": RefusalReason.PASSWORD,
        "detail": "set the password",
    }
    at = NOON + timedelta(seconds=second)
    return StationRefused(station_id=station_id, refused_at=at, **{**values, **changes})


def connected(
    station_id: str = "Box", *, second: int = 60, peer: str = "10.0.0.7:1"
) -> StationConnected:
    at = NOON + timedelta(seconds=second)
    return StationConnected(
        station_id=station_id, epoch=1, protocol="ocpp", connected_at=at, peer=peer
    )


def book(*facts: StationRefused) -> RefusalBook:
    made = RefusalBook(lambda: None)
    for fact in facts:
        made.refused(fact)
    return made


def test_the_same_again_is_counted_and_the_newest_shown() -> None:
    found = book(
        refusal(), refusal("BOX", second=5), refusal(second=9, detail="another text", user="x")
    ).newest()
    assert len(found) == 1
    record = found[0]
    assert (record.count, record.first_at, record.last_at) == (3, NOON, NOON + timedelta(seconds=9))
    assert (record.detail, record.user, record.peer) == ("another text", "x", "10.0.0.7:4009")


def test_another_station_address_or_reason_is_another_refusal() -> None:
    found = book(
        refusal(),
        refusal("Other", second=1),
        refusal(second=2, peer="10.0.0.8:1"),
        refusal(second=3, reason=RefusalReason.RATE),
    ).newest()
    assert [(r.station_id, r.address, r.reason, r.count) for r in found] == [
        ("Box", "10.0.0.7", "rate", 1),
        ("Box", "10.0.0.8", "password", 1),
        ("Other", "10.0.0.7", "password", 1),
        ("Box", "10.0.0.7", "password", 1),
    ]


def test_what_a_peer_sends_is_cut_and_storable() -> None:
    record = refused(
        None,
        refusal(
            "a\x00b",
            path="/" + "x" * 9_000,
            user="\x00" * 999,
            subprotocols=("s" * 999,) * 99,
            tls_alert="y" * 999,
        ),
    )
    assert record.station_id == "ab"
    assert len(record.path) == 1_000
    assert (len(record.subprotocols), len(record.subprotocols[0])) == (20, 255)
    assert record.user is not None
    assert "\x00" not in record.user
    assert len(record.tls_alert) == 255


@pytest.mark.parametrize(
    ("because", "fact", "solved"),
    [
        ("the station came in", connected("BOX"), True),
        ("it had come in before", connected(second=-1), False),
        ("another came in from there", connected("Other"), False),
    ],
)
def test_a_station_that_came_in_since_solves_its_refusals(
    because: str, fact: StationConnected, solved: bool
) -> None:
    assert is_solved_by(refused(None, refusal()), fact) is solved, because
    held = book(refusal())
    held.connected(fact)
    assert (held.newest() == []) is solved, because


@pytest.mark.parametrize(("peer", "solved"), [("10.0.0.7:9", True), ("10.0.0.8:9", False)])
def test_who_said_no_name_is_known_by_the_address(peer: str, solved: bool) -> None:
    nameless = refused(None, refusal("", reason=RefusalReason.TLS))
    assert is_solved_by(nameless, connected("Any", peer=peer)) is solved


@pytest.mark.parametrize(
    ("peer", "address"),
    [("10.0.0.7:4711", "10.0.0.7"), ("2001:db8::7:4711", "2001:db8::7"), ("p", "p"), ("", "")],
)
def test_the_address_of_a_peer(peer: str, address: str) -> None:
    assert address_of(peer) == address


def test_only_the_newest_are_kept() -> None:
    held = book(*(refusal(f"x{n}", second=n) for n in range(MOST_REFUSALS + 5)))
    found = held.newest()
    assert len(found) == MOST_REFUSALS
    assert found[0].station_id == f"x{MOST_REFUSALS + 4}"
    assert [r.station_id for r in held.newest(2)] == [r.station_id for r in found[:2]]
    unsaved = held.take_unsaved()
    assert sum(record is None for record in unsaved.values()) == 5


def test_what_changed_is_written_once_and_given_back_when_that_fails() -> None:
    held = book(refusal(), refusal("Other", second=1))
    first = held.take_unsaved()
    assert len(first) == 2
    assert held.take_unsaved() == {}
    held.connected(connected())
    held.give_back(first)
    again = held.take_unsaved()
    assert {key[0]: record is None for key, record in again.items()} == {
        "box": True,
        "other": False,
    }


def test_what_was_kept_is_older_than_what_was_heard_since() -> None:
    held = book(refusal(second=9, detail="new"))
    held.remember([refused(None, refusal(detail="old")), refused(None, refusal("Other", second=2))])
    assert [(r.station_id, r.detail) for r in held.newest()] == [
        ("Box", "new"),
        ("Other", "set the password"),
    ]
