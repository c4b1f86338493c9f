"""How the profiles of one charge point combine."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.smart_charging import (
    ProfileBook,
    Running,
    Slice,
    composite_payload,
)
from tests.ocpp_schemas import assert_valid_answer

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
RUNNING = Running(NOON, 77)
START = "2026-01-05T00:00:00Z"


def raw(
    number: int,
    limit: float,
    *,
    purpose: str = "TxDefaultProfile",
    level: int = 0,
    **fields: Any,
) -> dict[str, Any]:
    schedule = {
        "chargingRateUnit": "A",
        "startSchedule": START,
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
    } | fields.pop("schedule", {})
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule,
    } | fields


def station(number: int, limit: float, **fields: Any) -> dict[str, Any]:
    return raw(number, limit, purpose="ChargePointMaxProfile", **fields)


def tx(number: int, limit: float, **fields: Any) -> dict[str, Any]:
    return raw(number, limit, purpose="TxProfile", **fields)


def book(*entries: tuple[int, dict[str, Any]]) -> ProfileBook:
    made = ProfileBook()
    for connector, profile in entries:
        made.add(connector, profile)
    return made


def limit(
    of: ProfileBook,
    *,
    connector: int = 1,
    running: Running | None = RUNNING,
    sharing: int = 1,
    now: datetime = NOON,
) -> float | None:
    return of.limit_a(connector, now, running, phases=3, sharing=sharing)


@pytest.mark.parametrize(
    ("because", "entries", "expected"),
    [
        ("nothing is set", [], None),
        ("one default", [(1, raw(1, 10))], 10),
        ("a default of the whole station counts here", [(0, raw(1, 10))], 10),
        ("a default of another connector does not", [(2, raw(1, 10))], None),
        ("the higher level prevails", [(1, raw(1, 10)), (1, raw(2, 20, level=1))], 20),
        ("a connector's own prevails at one level", [(0, raw(1, 10)), (1, raw(2, 20))], 20),
        ("a station's higher level prevails", [(0, raw(1, 10, level=5)), (1, raw(2, 20))], 10),
        ("a TxProfile prevails over the default", [(1, raw(1, 10, level=9)), (1, tx(2, 20))], 20),
        ("one for this transaction", [(1, tx(1, 9, transactionId=77))], 9),
        ("one for another transaction", [(1, tx(1, 9, transactionId=78))], None),
        ("the station's maximum binds", [(0, station(1, 8)), (1, raw(2, 20))], 8),
        ("the lower of both binds", [(0, station(1, 28)), (1, raw(2, 20))], 20),
        ("zero is a limit", [(1, raw(1, 0))], 0),
        (
            "what has run out gives way to the level below",
            [(1, raw(1, 10)), (1, raw(2, 20, level=1, schedule={"duration": 60}))],
            10,
        ),
        ("limits are rounded down", [(1, raw(1, 10.19))], 10.1),
    ],
)
def test_what_prevails(
    because: str, entries: list[tuple[int, dict[str, Any]]], expected: float | None
) -> None:
    assert limit(book(*entries)) == expected, because


def test_tx_profile_needs_a_transaction() -> None:
    assert limit(book((1, tx(1, 9))), running=None) is None


def test_maximum_of_the_station_is_shared_by_those_who_charge() -> None:
    shared = book((0, station(1, 32)))
    assert limit(shared, sharing=2) == 16
    assert limit(shared, sharing=0) == 32


def test_same_id_replaces_and_so_does_the_same_place() -> None:
    one = book((1, raw(1, 10, level=3)), (1, raw(1, 11)), (1, raw(2, 12)))
    assert [p.profile_id for p in one.profiles] == [2]
    assert limit(one) == 12


@pytest.mark.parametrize(
    ("criteria", "gone"),
    [
        ({"id": 2}, [2]),
        ({"id": 9}, []),
        ({"id": 2, "stackLevel": 9}, [2]),
        ({}, [1, 2, 3]),
        ({"connectorId": 0}, [1]),
        ({"chargingProfilePurpose": "TxProfile"}, [3]),
        ({"stackLevel": 1, "connectorId": 1}, [2]),
        ({"stackLevel": 1, "chargingProfilePurpose": "TxProfile"}, []),
    ],
)
def test_clear_takes_what_fits_every_criterion(criteria: dict[str, Any], gone: list[int]) -> None:
    kept = book((0, station(1, 32)), (1, raw(2, 10, level=1)), (1, tx(3, 9)))
    assert kept.clear(criteria) == len(gone)
    assert {p.profile_id for p in kept.profiles} == {1, 2, 3} - set(gone)


def test_transaction_end_takes_its_profiles_only() -> None:
    kept = book((1, raw(1, 10)), (1, tx(2, 9)), (2, tx(3, 9)))
    assert kept.end_transaction(1) == 1
    assert {p.profile_id for p in kept.profiles} == {1, 3}


def test_book_survives_being_stored() -> None:
    before = book((0, station(1, 30)), (1, raw(2, 10)))
    assert ProfileBook(before.kept).profiles == before.profiles


def test_book_is_bounded() -> None:
    full = book(*((1, raw(n, 10, level=n)) for n in range(99)), (2, raw(100, 10)))
    with pytest.raises(ValueError, match="no more than 100"):
        full.add(3, raw(101, 10))


def test_composite_schedule_shows_every_change() -> None:
    steps = [{"startPeriod": 0, "limit": 16}, {"startPeriod": 13 * 3_600, "limit": 6}]
    composite = book(
        (1, raw(1, 16, schedule={"chargingSchedulePeriod": steps})),
        (0, station(2, 10, validFrom="2026-01-05T12:30:00Z", validTo="2026-01-05T12:45:00Z")),
    ).schedule(1, NOON, RUNNING, duration_s=7_200, phases=3)
    assert composite == (Slice(0, 16), Slice(1_800, 10), Slice(2_700, 16), Slice(3_600, 6))


def test_composite_schedule_of_the_station_is_its_maximum_only() -> None:
    both = book((0, station(1, 32)), (0, raw(2, 10)))
    assert both.schedule(0, NOON, None, duration_s=60, phases=3) == (Slice(0, 32),)


def test_composite_payload_is_schema_valid_and_says_the_box_limit_where_no_profile_speaks() -> None:
    payload = composite_payload(
        (Slice(0, None), Slice(60, 10.0)),
        connector=1,
        now_text="2026-01-05T12:00:00Z",
        duration_s=120,
        unit="W",
        phases=3,
        most_a=16.0,
    )
    assert_valid_answer("GetCompositeSchedule", payload)
    periods = payload["chargingSchedule"]["chargingSchedulePeriod"]
    assert [p["limit"] for p in periods] == [11_040.0, 6_900.0]


offsets = st.integers(0, 6 * 3_600)
limits = st.floats(0, 63, allow_nan=False).map(lambda value: round(value, 1))


@st.composite
def profiles(draw: st.DrawFn) -> tuple[int, dict[str, Any]]:
    purpose = draw(st.sampled_from(["ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"]))
    connector = {"ChargePointMaxProfile": 0, "TxProfile": 1}.get(purpose)
    if connector is None:
        connector = draw(st.sampled_from([0, 1]))
    starts = sorted({0, *draw(st.lists(offsets, max_size=3))})
    begin = NOON + timedelta(seconds=draw(offsets) - 3 * 3_600)
    schedule: dict[str, Any] = {
        "startSchedule": begin.isoformat(),
        "chargingSchedulePeriod": [{"startPeriod": s, "limit": draw(limits)} for s in starts],
    }
    if draw(st.booleans()):
        schedule["duration"] = draw(st.integers(1, 6 * 3_600))
    kind = draw(
        st.sampled_from(
            [
                {"chargingProfileKind": "Absolute"},
                {"chargingProfileKind": "Relative"},
                {"chargingProfileKind": "Recurring", "recurrencyKind": "Daily"},
            ]
        )
    )
    number, level = draw(st.integers(1, 6)), draw(st.integers(0, 3))
    return connector, raw(number, 1, purpose=purpose, level=level, schedule=schedule, **kind)


@given(st.lists(profiles(), max_size=6), offsets)
def test_limit_is_never_above_what_prevails_for_station_or_transaction(
    entries: list[tuple[int, dict[str, Any]]], after_s: int
) -> None:
    made = book(*entries)
    now = NOON + timedelta(seconds=after_s)
    got = limit(made, now=now)
    said: dict[str, list[tuple[int, int, float]]] = {}
    for profile in made.profiles:
        value = profile.limit_a(now, RUNNING.started_at, phases=3)
        if value is not None:
            said.setdefault(profile.purpose, []).append(
                (profile.stack_level, profile.connector, value)
            )
    tops = {purpose: max(values)[2] for purpose, values in said.items()}
    tx_limit = tops.get("TxProfile", tops.get("TxDefaultProfile"))
    expected = [v for v in (tops.get("ChargePointMaxProfile"), tx_limit) if v is not None]
    if not expected:
        assert got is None
    else:
        assert got is not None
        assert min(expected) - 0.1 < got <= min(expected) + 1e-9


@given(st.lists(profiles(), max_size=5), offsets, st.integers(1, 4 * 3_600))
def test_composite_schedule_agrees_with_the_limit_at_every_moment(
    entries: list[tuple[int, dict[str, Any]]], after_s: int, look_s: int
) -> None:
    made = book(*entries)
    now = NOON + timedelta(seconds=after_s)
    slices = made.schedule(1, now, RUNNING, duration_s=4 * 3_600 + 1, phases=3)
    assert slices[0].start_s == 0
    at = [piece for piece in slices if piece.start_s <= look_s][-1]
    assert at.limit_a == limit(made, now=now + timedelta(seconds=look_s))
