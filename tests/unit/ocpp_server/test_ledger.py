"""The ledger on SQLite, and on PostgreSQL where its server is installed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ocpp_server.domain.signed_values import SignedValue
from ocpp_server.domain.stop_matching import EarlyStop
from ocpp_server.ledger import Ledger, Start, StopText, StoredEvent, Transaction
from ocpp_server.service import MIGRATIONS
from shared.contracts.message import Event
from shared.contracts.session import SessionStarted
from shared.store import open_database
from tests.postgres import Postgres, need_programs

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres(need_programs())
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path / 'ledger.sqlite3'}"
    else:
        url = request.getfixturevalue("postgres").new_database()
    database = await open_database(url, service="ocpp-server", migrations=MIGRATIONS)
    yield Ledger(database)
    await database.close()


def start(**changes: Any) -> Start:
    values: dict[str, Any] = {
        "station_id": "CP1",
        "station_known": True,
        "evse_id": "bay-1",
        "connector": 1,
        "id_tag": "GOOD",
        "started_text": "2026-03-01T12:00:00Z",
        "started_at": NOW,
        "meter_start": 100,
        "received_at": NOW,
        "frame": "{}",
    }
    return Start(**(values | changes))


def stop(claimed_id: int | None, **changes: Any) -> StopText:
    values: dict[str, Any] = {
        "station_id": "CP1",
        "claimed_id": claimed_id,
        "stopped_text": "2026-03-01T13:00:00Z",
        "stopped_at": NOW + timedelta(hours=1),
        "meter_stop": 900,
        "id_tag": None,
        "reason": "Local",
        "received_at": NOW + timedelta(hours=1),
        "frame": "{}",
    }
    return StopText(**(values | changes))


def no_events(_transaction: Transaction) -> list[Event]:
    return []


def started_event(transaction: Transaction) -> list[Event]:
    return [
        SessionStarted(
            session_id=transaction.session_id,
            evse_id="bay-1",
            station_id="CP1",
            connector=1,
            started_at=NOW,
        )
    ]


async def started(ledger: Ledger, **changes: Any) -> Transaction:
    transaction, _ = await ledger.record_start(start(**changes), no_events)
    return transaction


async def stopped(ledger: Ledger, *args: Any, **changes: Any) -> Transaction | None:
    transaction, _ = await ledger.record_stop(stop(*args, **changes), no_events)
    return transaction


async def ended_early(
    ledger: Ledger, transaction: Transaction, *, now: datetime = NOW + timedelta(hours=2)
) -> tuple[Transaction, list[StoredEvent]] | None:
    """End a transaction by an early stop, if there is one; one event follows from it."""

    def events(ended: Transaction, _early: EarlyStop) -> list[Event]:
        return started_event(ended)

    joined = await ledger.end_early(transaction, events, now=now)
    return None if joined is None else (joined[0], joined[2])


EARLY: dict[str, Any] = {"id_tag": "GOOD", "frame": '{"meterStop":900}', "reason": "Remote"}


async def epochs(ledger: Ledger, *station_ids: str) -> list[int]:
    return [claim.epoch for claim in await ledger.claim(station_ids)]


async def test_epochs_grow_per_station(ledger: Ledger) -> None:
    assert [await epochs(ledger, "CP1") for _ in range(3)] == [[1], [2], [3]]
    assert await epochs(ledger, "CP2") == [1]


async def test_stations_are_claimed_together_in_their_order(ledger: Ledger) -> None:
    await epochs(ledger, "CP2")
    assert await epochs(ledger, "CP3", "CP2", "CP1", "CP2") == [1, 2, 1, 3]
    assert await epochs(ledger, "CP2") == [4]


async def test_a_claim_tells_what_runs_at_its_own_station(ledger: Ledger) -> None:
    running = await started(ledger)
    mine, other = await ledger.claim(["CP1", "CP2"])
    assert list(mine.running) == [running]
    assert list(other.running) == []


async def test_no_two_connections_get_the_same_epoch(ledger: Ledger) -> None:
    given = await asyncio.gather(*(epochs(ledger, "CP1") for _ in range(10)))
    assert sorted(given) == [[number] for number in range(1, 11)]


async def test_the_same_start_again_is_the_same_transaction(ledger: Ledger) -> None:
    first = await started(ledger)
    assert (await started(ledger, received_at=NOW + timedelta(hours=3))).id == first.id


@pytest.mark.parametrize(
    "difference",
    [{"connector": 2}, {"id_tag": "X"}, {"meter_start": 101}, {"started_text": "later"}],
)
async def test_any_difference_is_another_transaction(
    ledger: Ledger, difference: dict[str, Any]
) -> None:
    first = await started(ledger)
    assert (await started(ledger, **difference)).id != first.id


async def test_a_station_without_a_clock_may_start_the_same_again_after_its_stop(
    ledger: Ledger,
) -> None:
    clockless: dict[str, Any] = {"started_text": "1970-01-01T00:00:00Z", "started_at": None}
    first = await started(ledger, **clockless)
    assert (await started(ledger, **clockless)).id == first.id
    await stopped(ledger, first.id)
    again = await started(ledger, **clockless, received_at=NOW + timedelta(hours=2))
    assert again.id != first.id


async def test_a_stop_ends_its_transaction(ledger: Ledger) -> None:
    transaction = await started(ledger)
    ended = await stopped(ledger, transaction.id)
    assert ended is not None
    assert (ended.id, ended.meter_stop, ended.is_open) == (transaction.id, 900, False)
    assert ended.stopped_at == NOW + timedelta(hours=1)
    assert await ledger.open_transactions("CP1") == []


@pytest.mark.parametrize("claimed", [-1, 0, None, 4711, 2**40])
async def test_a_stop_with_a_useless_id_ends_the_only_open_transaction(
    ledger: Ledger, claimed: int | None
) -> None:
    transaction = await started(ledger)
    ended = await stopped(ledger, claimed)
    assert ended is not None
    assert ended.id == transaction.id


async def test_its_repetition_does_not_end_the_next_transaction(ledger: Ledger) -> None:
    await started(ledger)
    await stopped(ledger, -1)
    following = await started(ledger, started_text="x", started_at=NOW, meter_start=0)
    assert await stopped(ledger, -1) is None
    assert [t.id for t in await ledger.open_transactions("CP1")] == [following.id]


async def test_a_stop_before_its_start_ends_it_once_with_what_it_told(ledger: Ledger) -> None:
    assert await stopped(ledger, -1, **EARLY) is None
    transaction = await started(ledger, received_at=NOW + timedelta(hours=2))
    found = await ended_early(ledger, transaction)
    assert found is not None
    ended, stored = found
    assert (ended.id, ended.meter_stop, ended.reason) == (transaction.id, 900, "Remote")
    assert ended.stopped_at == ended.stop_received_at == NOW + timedelta(hours=1)
    assert [event.topic for event in stored] == [SessionStarted.topic]
    assert await ledger.open_transactions("CP1") == []
    assert await ledger.transaction(transaction.id) == ended
    assert await ended_early(ledger, transaction) is None
    assert await ledger.kept_events(before=NOW + timedelta(hours=3)) == stored


async def test_a_stop_that_has_ended_one_transaction_ends_no_second(ledger: Ledger) -> None:
    first = await started(ledger)
    assert await stopped(ledger, -1, **EARLY) is not None
    late = await started(ledger, started_text="11:59", started_at=NOW - timedelta(minutes=1))
    assert first.id != late.id
    assert await ended_early(ledger, late) is None
    assert await ledger.open_transactions("CP1") == [late]


async def test_an_early_stop_ends_only_one_of_the_starts_that_follow(ledger: Ledger) -> None:
    await stopped(ledger, -1, **EARLY)
    assert await ended_early(ledger, await started(ledger)) is not None
    again = await started(ledger, meter_start=101)
    assert await ended_early(ledger, again) is None


async def test_the_same_stop_again_after_it_was_joined_changes_nothing(ledger: Ledger) -> None:
    await stopped(ledger, -1, **EARLY)
    transaction = await started(ledger)
    await ended_early(ledger, transaction)
    following = await started(ledger, started_text="x", meter_start=0)
    assert await stopped(ledger, -1, **EARLY) is None
    assert await ended_early(ledger, following) is None
    again = await stopped(ledger, transaction.id, meter_stop=5_000)
    assert again is not None
    assert again.meter_stop == 900


@pytest.mark.parametrize(
    ("changes", "now"),
    [
        ({"station_id": "CP2"}, NOW + timedelta(hours=2)),
        ({"id_tag": None}, NOW + timedelta(hours=2)),
        ({}, NOW + timedelta(hours=25, seconds=1)),
    ],
    ids=["of another station", "without a tag", "too old"],
)
async def test_what_is_not_sure_ends_nothing_and_is_kept(
    ledger: Ledger, changes: dict[str, Any], now: datetime
) -> None:
    await stopped(ledger, -1, **(EARLY | changes))
    transaction = await started(ledger)
    assert await ended_early(ledger, transaction, now=now) is None
    assert await ledger.open_transactions("CP1") == [transaction]


async def test_a_transaction_that_has_ended_is_not_ended_by_an_early_stop(
    ledger: Ledger,
) -> None:
    await stopped(ledger, -1, **EARLY)
    transaction = await started(ledger)
    await stopped(ledger, transaction.id, meter_stop=700)
    assert await ended_early(ledger, transaction) is None
    found = await ledger.transaction(transaction.id)
    assert found is not None
    assert found.meter_stop == 700


async def test_a_failing_event_takes_the_joining_back(ledger: Ledger) -> None:
    def broken(_ended: Transaction, _early: EarlyStop) -> list[Event]:
        raise RuntimeError("no event")

    await stopped(ledger, -1, **EARLY)
    transaction = await started(ledger)
    with pytest.raises(RuntimeError, match="no event"):
        await ledger.end_early(transaction, broken, now=NOW)
    assert await ledger.open_transactions("CP1") == [transaction]
    assert await ended_early(ledger, transaction) is not None


async def test_a_stop_of_another_stations_transaction_does_not_end_it(ledger: Ledger) -> None:
    transaction = await started(ledger)
    assert await stopped(ledger, transaction.id, station_id="CP2") is None
    assert await ledger.open_transactions("CP1") == [transaction]


async def test_a_second_stop_changes_nothing(ledger: Ledger) -> None:
    transaction = await started(ledger)
    await stopped(ledger, transaction.id)
    again = await stopped(ledger, transaction.id, meter_stop=5000)
    assert again is not None
    assert again.meter_stop == 900


async def test_events_are_stored_with_their_cause_once(ledger: Ledger) -> None:
    transaction, stored = await ledger.record_start(start(), started_event)
    assert [event.topic for event in stored] == [SessionStarted.topic]
    assert transaction.session_id in stored[0].body
    _, again = await ledger.record_start(start(), started_event)
    assert again == []
    assert await ledger.kept_events(before=NOW + timedelta(seconds=1)) == stored


async def test_a_failing_event_takes_the_transaction_back(ledger: Ledger) -> None:
    def broken(_transaction: Transaction) -> list[Event]:
        raise RuntimeError("no event")

    with pytest.raises(RuntimeError, match="no event"):
        await ledger.record_start(start(), broken)
    assert await ledger.open_transactions("CP1") == []


async def test_events_are_kept_in_order_until_forgotten(ledger: Ledger) -> None:
    for _ in range(3):
        transaction = await started(ledger)
        await ledger.keep_event("CP1", started_event(transaction)[0], now=NOW)
    later = NOW + timedelta(minutes=1)
    kept = await ledger.kept_events(before=later)
    assert [event.id for event in kept] == sorted(event.id for event in kept)
    assert await ledger.kept_events(before=NOW) == []
    assert await ledger.stations_with_events() == {"CP1"}
    await ledger.forget_events([event.id for event in kept])
    assert await ledger.kept_events(before=later) == []


async def test_signed_values_are_kept_byte_for_byte_and_once(ledger: Ledger) -> None:
    raw = '{"signedMeterValue":"ä\\u00e4","x" : 1.50}' + "y" * 20_000
    transaction = await started(ledger)
    for _ in range(2):
        await ledger.keep_signed(
            "CP1",
            1,
            transaction_id=transaction.id,
            values=[SignedValue(raw, "Transaction.End"), SignedValue("b", None)],
            received_at=NOW,
        )
    assert await ledger.signed_texts(transaction.id) == [raw, "b"]


async def test_a_nul_character_is_stored_everywhere(ledger: Ledger) -> None:
    transaction = await started(ledger, id_tag="A\x00B")
    assert "\x00" not in transaction.id_tag


async def test_open_transactions_outlast_the_process(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'ledger.sqlite3'}"
    database = await open_database(url, service="ocpp-server", migrations=MIGRATIONS)
    transaction = await started(Ledger(database))
    await database.close()
    database = await open_database(url, service="ocpp-server", migrations=MIGRATIONS)
    assert await Ledger(database).open_transactions("CP1") == [transaction]
    await database.close()
