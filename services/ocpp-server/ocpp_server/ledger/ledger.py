"""Reading and writing the ledger. Each method is one database transaction."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ocpp_server.domain.signed_values import SignedValue
from ocpp_server.domain.stop_matching import EARLY_FOR, EarlyStop, match_start, match_stop
from ocpp_server.ledger.claims import Claim, epochs_for, running_at
from ocpp_server.ledger.early_stops import (
    early_stops,
    row_of_orphan,
    stop_columns,
    take,
    was_seen,
)
from ocpp_server.ledger.records import (
    Start,
    StopText,
    StoredEvent,
    Transaction,
    fingerprint_of,
    row_of_start,
    row_of_stop,
    storable,
    transaction_of,
)
from ocpp_server.ledger.tables import orphan_stops, outbox, signed_values, transactions
from shared.contracts.message import Event
from shared.store import Database

LARGEST_ID = 2**31 - 1
"""Transaction ids are 31 bit and positive (field notes 5.3, 19)."""

EventsOf = Callable[[Transaction], Sequence[Event]]
"""The facts that follow from a transaction; stored in the same commit as their cause."""

EndedEarlyOf = Callable[[Transaction, EarlyStop], Sequence[Event]]
"""The facts that follow from a transaction whose stop came before its start."""

SignedEventsOf = Callable[[Transaction | None, Sequence[SignedValue]], Sequence[Event]]
"""The facts that follow from signed values: their transaction, and those that were not known."""


def _nothing(_transaction: Transaction | None, _values: Sequence[SignedValue]) -> Sequence[Event]:
    return ()


class Ledger:
    """The OCPP server's own memory. Raises ``StoreUnavailable`` when the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, station_ids: Sequence[str]) -> list[Claim]:
        """Take stations over; no two connections ever get the same epoch of a station."""
        async with self._database.transaction() as connection:
            epochs = await epochs_for(self._database, connection, station_ids)
            running = await running_at(connection, station_ids)
        pairs = zip(station_ids, epochs, strict=True)
        return [Claim(epoch, running.get(station_id, ())) for station_id, epoch in pairs]

    async def record_start(
        self, start: Start, events_of: EventsOf
    ) -> tuple[Transaction, list[StoredEvent]]:
        """Record the beginning of a transaction; the same one again is the same transaction.

        A station without a clock repeats its timestamp with every transaction, so there a start
        that equals a stopped one is a new one.
        """
        async with self._database.transaction() as connection:
            transaction, is_new = await self._start_row(connection, start, start.fingerprint)
            if not is_new and not transaction.is_open and start.started_at is None:
                again = fingerprint_of([start.fingerprint, start.received_at.isoformat()])
                transaction, is_new = await self._start_row(connection, start, again)
            events = events_of(transaction) if is_new else ()
            stored = await self._store(connection, start.station_id, events, start.received_at)
        return transaction, stored

    async def record_stop(
        self, stop: StopText, events_of: EventsOf
    ) -> tuple[Transaction | None, list[StoredEvent]]:
        """Record the end of a transaction; None when it belongs to no transaction we know.

        A repetition changes nothing. Whatever cannot be matched is kept as it came.
        """
        async with self._database.transaction() as connection:
            found = await self._find(connection, stop)
            if found is None:
                await self._keep_orphan(connection, stop, ended=None)
                return None, []
            if not found.is_open:
                return found, []
            ended = await self._stop_row(connection, found.id, stop)
            events = events_of(ended)
            stored = await self._store(connection, stop.station_id, events, stop.received_at)
        return ended, stored

    async def end_early(
        self, transaction: Transaction, events_of: EndedEarlyOf, *, now: datetime
    ) -> tuple[Transaction, EarlyStop, list[StoredEvent]] | None:
        """End an open transaction by the stop that came before its start; None without a sure one.

        Called again it ends nothing twice.
        """
        station_id = transaction.station_id
        async with self._database.transaction() as connection:
            early = await early_stops(connection, station_id, since=now - EARLY_FOR)
            if not early:
                return None
            running = {one.id: one.as_open for one in await self._open(connection, station_id)}
            begun = running.pop(transaction.id, None)
            if begun is None:
                return None
            found = match_start(begun, early, others=tuple(running.values()))
            if found is None:
                return None
            told = stop_columns(await take(connection, found, transaction.id))
            ended = await self._end_row(connection, transaction.id, told)
            stored = await self._store(connection, station_id, events_of(ended, found), now)
        return ended, found, stored

    async def open_transactions(self, station_id: str) -> list[Transaction]:
        """Return what runs at a station, oldest first."""
        async with self._database.transaction() as connection:
            return await self._open(connection, station_id)

    async def transaction(self, transaction_id: int) -> Transaction | None:
        """Return a transaction by its id."""
        async with self._database.transaction() as connection:
            return await self._by_id(connection, transaction_id)

    async def keep_signed(
        self,
        station_id: str,
        connector: int,
        *,
        transaction_id: int | None,
        values: Sequence[SignedValue],
        received_at: datetime,
        events_of: SignedEventsOf = _nothing,
    ) -> list[StoredEvent]:
        """Keep signed values byte for byte (S14), and what follows from them in the same commit.

        A repetition is kept once, and nothing follows from it.
        """
        usable = _usable(transaction_id)
        place = {
            "station_id": station_id,
            "connector": connector,
            "transaction_id": usable,
            "received_at": received_at,
        }
        async with self._database.transaction() as connection:
            new = [v for v in values if await self._keep_value(connection, place, v)]
            found = None if usable is None else await self._by_id(connection, usable)
            own = found if found is not None and found.station_id == station_id else None
            return await self._store(connection, station_id, events_of(own, new), received_at)

    async def _keep_value(
        self, connection: AsyncConnection, place: dict[str, Any], value: SignedValue
    ) -> bool:
        """Insert a signed value unless it is there; tells whether it, or its transaction, is new.

        Some stations send a value without its transaction first, and with it when they stop.
        """
        row = place | {
            "context": None if value.context is None else storable(value.context),
            "raw": storable(value.text),
            "sha256": hashlib.sha256(value.text.encode()).hexdigest(),
        }
        adding = self._database.insert(signed_values).values(row)
        news = adding.excluded
        statement = adding.on_conflict_do_update(
            index_elements=["station_id", "sha256"],
            set_={"transaction_id": news.transaction_id, "connector": news.connector},
            where=signed_values.c.transaction_id.is_(None) & news.transaction_id.is_not(None),
        )
        result = await connection.execute(statement.returning(signed_values.c.id))
        return result.first() is not None

    async def signed_texts(self, transaction_id: int) -> list[str]:
        """Return the signed values of a transaction, in the order of their arrival."""
        query = (
            select(signed_values.c.raw)
            .where(signed_values.c.transaction_id == transaction_id)
            .order_by(signed_values.c.id)
        )
        async with self._database.transaction() as connection:
            return list((await connection.execute(query)).scalars())

    async def keep_event(self, station_id: str, event: Event, *, now: datetime) -> None:
        """Keep a durable event that the bus did not confirm."""
        async with self._database.transaction() as connection:
            await self._store(connection, station_id, [event], now)

    async def kept_events(self, *, before: datetime, limit: int = 100) -> list[StoredEvent]:
        """Return the oldest events that wait since before a moment, in order."""
        query = (
            select(outbox.c.id, outbox.c.station_id, outbox.c.topic, outbox.c.body)
            .where(outbox.c.stored_at < before)
            .order_by(outbox.c.id)
            .limit(limit)
        )
        async with self._database.transaction() as connection:
            return [StoredEvent(*row) for row in await connection.execute(query)]

    async def stations_with_events(self) -> set[str]:
        """Return the stations of which events wait."""
        async with self._database.transaction() as connection:
            query = select(outbox.c.station_id).distinct()
            return set((await connection.execute(query)).scalars())

    async def forget_events(self, event_ids: Sequence[int]) -> None:
        """Forget events that the bus has confirmed."""
        if event_ids:
            async with self._database.transaction() as connection:
                await connection.execute(delete(outbox).where(outbox.c.id.in_(event_ids)))

    async def _start_row(
        self, connection: AsyncConnection, start: Start, fingerprint: str
    ) -> tuple[Transaction, bool]:
        """Insert a start unless it is there; return it, and whether it is new."""
        statement = (
            self._database.insert(transactions)
            .values(row_of_start(start, fingerprint))
            .on_conflict_do_nothing()
            .returning(*transactions.c)
        )
        row = (await connection.execute(statement)).first()
        if row is not None:
            return transaction_of(row), True
        query = select(transactions).where(transactions.c.fingerprint == fingerprint)
        return transaction_of((await connection.execute(query)).one()), False

    async def _find(self, connection: AsyncConnection, stop: StopText) -> Transaction | None:
        claimed = _usable(stop.claimed_id)
        exact = None if claimed is None else await self._by_id(connection, claimed)
        if exact is not None and exact.station_id == stop.station_id:
            return exact
        if await was_seen(connection, stop):
            return None
        running = await self._open(connection, stop.station_id)
        match = match_stop(stop.stop, [transaction.as_open for transaction in running])
        return next((t for t in running if match and t.id == match.transaction_id), None)

    async def _by_id(self, connection: AsyncConnection, transaction_id: int) -> Transaction | None:
        query = select(transactions).where(transactions.c.id == transaction_id)
        row = (await connection.execute(query)).first()
        return None if row is None else transaction_of(row)

    async def _open(self, connection: AsyncConnection, station_id: str) -> list[Transaction]:
        return (await running_at(connection, [station_id])).get(station_id, [])

    async def _stop_row(
        self, connection: AsyncConnection, transaction_id: int, stop: StopText
    ) -> Transaction:
        ended = await self._end_row(connection, transaction_id, row_of_stop(stop))
        if stop.claimed_id != transaction_id:  # so that its repetition is recognised
            await self._keep_orphan(connection, stop, ended=transaction_id)
        return ended

    async def _end_row(
        self, connection: AsyncConnection, transaction_id: int, columns: dict[str, Any]
    ) -> Transaction:
        statement = (
            update(transactions)
            .where(transactions.c.id == transaction_id)
            .values(columns)
            .returning(*transactions.c)
        )
        return transaction_of((await connection.execute(statement)).one())

    async def _keep_orphan(
        self, connection: AsyncConnection, stop: StopText, *, ended: int | None
    ) -> None:
        row = row_of_orphan(stop, ended=ended)
        await connection.execute(
            self._database.insert(orphan_stops).values(row).on_conflict_do_nothing()
        )

    async def _store(
        self, connection: AsyncConnection, station_id: str, events: Sequence[Event], now: datetime
    ) -> list[StoredEvent]:
        stored: list[StoredEvent] = []
        for event in events:
            row: dict[str, Any] = {
                "station_id": station_id,
                "topic": event.topic,
                "body": event.model_dump_json(),
                "stored_at": now,
            }
            result = await connection.execute(insert(outbox).values(row).returning(outbox.c.id))
            stored.append(
                StoredEvent(int(result.scalar_one()), station_id, event.topic, row["body"])
            )
        return stored


def _usable(transaction_id: int | None) -> int | None:
    """A transaction id that can be one of ours."""
    return transaction_id if transaction_id and 0 < transaction_id <= LARGEST_ID else None
