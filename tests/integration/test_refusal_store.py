"""Refused connections in both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from api.domain.refusals import RefusalRecord
from api.refusal_book import MOST_REFUSALS, RefusalBook
from api.refusal_keeper import RefusalKeeper
from api.storage.refusals import RefusalStore
from shared.contracts.station import RefusalReason, StationConnected, StationRefused
from shared.errors import StoreUnavailable
from shared.store import Database

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RECORD = RefusalRecord(
    station_id="Box",
    address="10.0.0.7",
    reason="password",
    peer="10.0.0.7:1",
    detail="set the password",
    path="/Box",
    subprotocols=("ocpp1.6", "ocpp2.0.1"),
    user="me",
    tls=True,
    tls_alert="",
    first_at=NOON,
    last_at=NOON,
    count=3,
)


async def test_a_record_comes_back_as_it_was(database: Database) -> None:
    store = RefusalStore(database)
    nameless = replace(RECORD, station_id="", user=None, subprotocols=(), reason="tls")
    await store.save({RECORD.key: RECORD, nameless.key: nameless})
    found = await store.all()
    assert sorted(found, key=lambda one: one.reason) == [RECORD, nameless]


async def test_two_replicas_that_counted_the_same_do_not_double_it(database: Database) -> None:
    store = RefusalStore(database)
    later = replace(RECORD, count=5, last_at=NOON + timedelta(hours=1), detail="newer")
    for record in (RECORD, later, later, replace(later, count=4, first_at=later.last_at)):
        await store.save({record.key: record})
    assert await store.all() == [later]


async def test_what_is_gone_is_deleted_however_much_it_is(database: Database) -> None:
    store = RefusalStore(database)
    many = [replace(RECORD, station_id=f"x{number}") for number in range(450)]
    await store.save({record.key: record for record in many})
    gone = {record.key: None for record in many[1:]}
    await store.save({**gone, RECORD.key: RECORD})
    assert {record.station_id for record in await store.all()} == {"x0", "Box"}


async def test_the_table_follows_the_book_and_stays_bounded(database: Database) -> None:
    book, store = RefusalBook(lambda: None), RefusalStore(database)
    keeper = RefusalKeeper(book, store)
    for number in range(MOST_REFUSALS + 10):
        book.refused(refusal(f"x{number}", number))
        if number == 100:
            await keeper.flush()
    book.connected(
        StationConnected(
            station_id="X2009", epoch=1, protocol="ocpp", connected_at=NOON + timedelta(days=1)
        )
    )
    await keeper.flush()
    kept = {record.station_id for record in await store.all()}
    assert len(kept) == MOST_REFUSALS - 1
    assert not {"x9", "x2009"} & kept
    again = RefusalBook(lambda: None)
    await RefusalKeeper(again, store).load()
    assert again.newest() == book.newest()
    assert again.take_unsaved() == {}


def refusal(station_id: str, second: int) -> StationRefused:
    return StationRefused(
        station_id=station_id,
        refused_at=NOON + timedelta(seconds=second),
        peer="10.0.0.7:1",
        reason=RefusalReason.PATH,
        detail="d",
    )


async def test_nothing_is_lost_while_the_database_is_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, store = RefusalBook(lambda: None), RefusalStore(database)
    keeper = RefusalKeeper(book, store)

    async def away(_changes: object) -> None:
        raise StoreUnavailable("gone")

    book.refused(refusal("Box", 1))
    with monkeypatch.context() as patched:
        patched.setattr(store, "save", away)
        await keeper.flush()
    assert await store.all() == []
    await keeper.flush()
    assert [record.station_id for record in await store.all()] == ["Box"]
