"""What is old goes from the tables of both databases, and what is not stays."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.domain.samples import Sample
from api.storage import forgetting
from api.storage.samples import SampleStore, Span
from api.storage.station_records import StationRecordStore
from shared.contracts.session import SignedValueReceived
from shared.contracts.station import (
    JobKind,
    ReservationChanged,
    ReservationStatus,
    SecurityEventReported,
    StationJobChanged,
)
from shared.store import Database

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
Step = Callable[[datetime], Awaitable[int]]


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "STEP", 10)


def moment(number: int) -> datetime:
    return NOON + timedelta(seconds=number)


async def steps(forget: Step, before: datetime) -> list[int]:
    return [await forget(before) for _ in range(3)]


def job(number: int, **values: Any) -> StationJobChanged:
    told = {
        "station_id": f"Box-{number}",
        "kind": JobKind.FIRMWARE,
        "status": "Downloading",
        "changed_at": moment(number),
    }
    return StationJobChanged(**(told | values))


async def test_jobs_go_when_nothing_was_told_of_them_for_long(database: Database) -> None:
    store = StationRecordStore(database)
    await store.record([job(number) for number in range(25)])
    await store.record([job(0, status="Installed", changed_at=moment(20), finished=True)])
    assert await steps(store.forget_jobs_before, moment(15)) == [10, 4, 0]
    left = [len(await store.jobs(f"Box-{number}", limit=9)) for number in range(25)]
    assert left == [1, *[0] * 14, *[1] * 10], "the first one is still told of"


def reservation(number: int, **values: Any) -> ReservationChanged:
    told = {
        "station_id": "Box",
        "reservation_id": number,
        "status": ReservationStatus.ACTIVE,
        "expires_at": moment(number),
        "changed_at": moment(number),
    }
    return ReservationChanged(**(told | values))


async def test_reservations_go_when_they_are_over_for_long(database: Database) -> None:
    store = StationRecordStore(database)
    await store.record([reservation(number) for number in range(23)])
    far_off = {"changed_at": moment(0), "expires_at": moment(900)}
    await store.record(
        [
            reservation(23, changed_at=moment(0), expires_at=None),
            reservation(24, **far_off),
            reservation(25, **far_off, status=ReservationStatus.CANCELLED),
        ]
    )
    assert await steps(store.forget_reservations_before, moment(15)) == [10, 7, 0]
    left = await store.reservations("Box", limit=99)
    assert sorted(one.reservation_id for one in left) == [*range(15, 23), 24]


async def test_security_events_go_by_when_they_came(database: Database) -> None:
    store = StationRecordStore(database)
    await store.record(
        [
            SecurityEventReported(
                station_id="Box",
                event_id=str(number),
                type="TamperDetectionActivated",
                critical=True,
                told_at="whenever",
                received_at=moment(number),
            )
            for number in range(25)
        ]
    )
    assert await steps(store.forget_security_events_before, moment(15)) == [10, 5, 0]
    left = await store.security_events("Box", limit=99)
    assert [one.event_id for one in left] == [str(number) for number in range(24, 14, -1)]


async def test_signed_values_go_by_when_they_came(database: Database) -> None:
    store = StationRecordStore(database)
    await store.record(
        [
            SignedValueReceived(
                station_id="Box",
                connector=1,
                session_id="s",
                raw=str(number),
                sha256=f"{number:064}",
                received_at=moment(number),
            )
            for number in range(25)
        ]
    )
    assert await steps(store.forget_signed_values_before, moment(15)) == [10, 5, 0]
    assert [one.raw for one in await store.signed_values("s")] == [str(n) for n in range(15, 25)]


async def test_history_goes_in_steps_whatever_source_it_has(database: Database) -> None:
    store = SampleStore(database)
    sources = [("evse", "a"), ("evse", "b"), ("meter", "a")]
    await store.add(
        [
            Sample(kind=kind, source=source, at=moment(number))
            for kind, source in sources
            for number in range(6)
        ]
    )
    assert await steps(store.forget_before, moment(5)) == [10, 5, 0]
    for kind, source in sources:
        span = Span(kind=kind, source=source, since=NOON, until=moment(60))
        assert [one.at for one in await store.read(span, most=9)] == [moment(5)]
