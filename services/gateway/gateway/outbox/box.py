"""The outbox: what backends still have to receive. Ordered per uplink, survives ``kill -9``.

A message is on the disk before ``put`` returns and leaves only when the backend has answered it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping, Table, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.outbox.records import Counts, Outgoing, Queued, Slot, State, Transaction
from gateway.outbox.tables import latest, messages, settings, transactions
from shared.store import Database, open_database

MIGRATIONS = Path(__file__).parent.parent / "migrations"
PRUNED_AT_ONCE = 1_000


async def open_outbox(url: str) -> "Outbox":
    """Open the outbox. Raises ``ConfigError`` when its database cannot be opened."""
    return Outbox(await open_database(url, service="gateway", migrations=MIGRATIONS))


class Outbox:
    """All uplinks' messages, transactions, latest states and settings."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._one_writer = asyncio.Lock()  # SQLite has one, and says "locked" to the second
        self._bells: dict[str, asyncio.Event] = {}

    async def close(self) -> None:
        """Close the database."""
        await self._database.close()

    def bell(self, uplink: str) -> asyncio.Event:
        """Return the event that is set when there is something new for an uplink."""
        return self._bells.setdefault(uplink, asyncio.Event())

    @asynccontextmanager
    async def writing(self) -> AsyncIterator["Batch"]:
        """Write several things that belong together: all of them are kept, or none."""
        async with self._one_writer, self._database.transaction() as connection:
            batch = Batch(self._database, connection)
            yield batch
        for uplink in batch.touched:
            self.bell(uplink).set()

    async def first_waiting(self, uplink: str, *, action: str | None = None) -> Queued | None:
        """Return the message that has waited longest, of one action if one is named."""
        query = select(messages).where(
            messages.c.uplink == uplink, messages.c.state == State.WAITING.value
        )
        if action is not None:
            query = query.where(messages.c.action == action)
        rows = await self._rows(query.order_by(messages.c.id).limit(1))
        return _queued(rows[0]) if rows else None

    async def slots(self, uplink: str) -> tuple[Slot, ...]:
        """Return the last states of an uplink, in the order they changed."""
        query = select(latest).where(latest.c.uplink == uplink)
        rows = await self._rows(query.order_by(latest.c.after_id, latest.c.slot))
        return tuple(
            Slot(r["slot"], r["action"], r["payload_text"], r["version"], r["after_id"])
            for r in rows
        )

    async def counts(self, uplink: str) -> Counts:
        """Return how many messages wait, and how many were given up."""
        query = (
            select(messages.c.state, func.count().label("n"))
            .where(messages.c.uplink == uplink)
            .group_by(messages.c.state)
        )
        found = {row["state"]: row["n"] for row in await self._rows(query)}
        return Counts(found.get(State.WAITING.value, 0), found.get(State.FAILED.value, 0))

    async def transaction(self, key: str) -> Transaction | None:
        """Return a transaction by its key."""
        rows = await self._rows(select(transactions).where(transactions.c.key == key))
        return _transaction(rows[0]) if rows else None

    async def open_transactions(self) -> tuple[Transaction, ...]:
        """Return every transaction that has not ended, oldest first."""
        query = select(transactions).where(transactions.c.ended_at.is_(None))
        rows = await self._rows(query.order_by(transactions.c.started_at))
        return tuple(_transaction(row) for row in rows)

    async def by_backend_id(self, uplink: str, backend_id: int) -> Transaction | None:
        """Return the youngest transaction that a backend calls so."""
        query = select(transactions).where(
            transactions.c.uplink == uplink, transactions.c.backend_id == backend_id
        )
        rows = await self._rows(query.order_by(transactions.c.started_at.desc()).limit(1))
        return _transaction(rows[0]) if rows else None

    async def settings(self, uplink: str) -> dict[str, str]:
        """Return what a backend has set."""
        rows = await self._rows(select(settings).where(settings.c.uplink == uplink))
        return {row["name"]: row["value"] for row in rows}

    async def prune(self, *, before: datetime) -> int:
        """Forget some messages that a backend answered before a moment, and return how many.

        0 = that was all. Failed ones are kept. Few at a time, because others wait to write.
        """
        done = (State.ANSWERED.value, State.EXPIRED.value)
        old = select(messages.c.id).where(
            messages.c.state.in_(done), messages.c.settled_at < _text(before)
        )
        some = messages.c.id.in_(old.order_by(messages.c.id).limit(PRUNED_AT_ONCE))
        async with self._one_writer, self._database.transaction() as connection:
            return (await connection.execute(delete(messages).where(some))).rowcount

    async def _rows(self, query: Any) -> list[RowMapping]:
        async with self._database.transaction() as connection:
            return list((await connection.execute(query)).mappings())


class Batch:
    """Things that are written together. Repetitions change nothing."""

    def __init__(self, database: Database, connection: AsyncConnection) -> None:
        self._database = database
        self._connection = connection
        self.touched: set[str] = set()

    async def put(self, message: Outgoing) -> None:
        """Add a message, unless it is there already."""
        await self._insert_new(
            messages,
            {
                "uplink": message.uplink,
                "frame_id": message.frame_id[:200],
                "station_id": message.station_id,
                "action": message.action[:64],
                "payload_text": message.payload_text,
                "created_at": _text(message.created_at),
                "transaction_key": message.transaction_key,
                "wants_answer": message.wants_answer,
                "state": State.WAITING.value,
                "attempts": 0,
                "reason": "",
            },
        )
        self.touched.add(message.uplink)

    async def settle(
        self, message: Queued, state: State, *, now: datetime, reason: str = ""
    ) -> None:
        """Say what became of a message."""
        values = {"state": state.value, "settled_at": _text(now), "reason": reason}
        await self._update_message(message, values)

    async def count_attempt(self, message: Queued, *, reason: str) -> None:
        """Count a refusal of a message that will be sent again."""
        await self._update_message(message, {"attempts": message.attempts + 1, "reason": reason})

    async def begin(self, transaction: Transaction) -> None:
        """Keep a transaction, unless it is there already."""
        values = {
            name: _text(value) if isinstance(value, datetime) else value
            for name, value in vars(transaction).items()
        }
        await self._insert_new(transactions, values)

    async def map_transaction(self, key: str, backend_id: int) -> None:
        """Keep what the backend calls a transaction."""
        await self._update_transaction(key, {"backend_id": backend_id})

    async def end(self, key: str, *, now: datetime) -> None:
        """Keep that a transaction has ended."""
        await self._update_transaction(key, {"ended_at": _text(now)})

    async def of_station(self, station_id: str, local_id: int) -> Transaction | None:
        """Return the transaction that a station calls so."""
        query = select(transactions).where(
            transactions.c.station_id == station_id, transactions.c.local_id == local_id
        )
        row = (await self._connection.execute(query.limit(1))).mappings().first()
        return _transaction(row) if row else None

    async def replace(self, uplink: str, slot: str, *, action: str, payload_text: str) -> None:
        """Keep a message of which only the last one matters."""
        last_id = select(func.coalesce(func.max(messages.c.id), 0)).where(
            messages.c.uplink == uplink
        )
        values = {
            "action": action,
            "payload_text": payload_text,
            "after_id": (await self._connection.execute(last_id)).scalar_one(),
        }
        place = {"uplink": uplink, "slot": slot}
        await self._insert_new(latest, {**place, **values, "version": 0})
        await self._connection.execute(
            update(latest)
            .where(latest.c.uplink == uplink, latest.c.slot == slot)
            .values(**values, version=latest.c.version + 1)
        )
        self.touched.add(uplink)

    async def repeat(self, uplink: str, slot: str) -> None:
        """Have a last state told again."""
        await self._connection.execute(
            update(latest)
            .where(latest.c.uplink == uplink, latest.c.slot == slot)
            .values(version=latest.c.version + 1)
        )
        self.touched.add(uplink)

    async def drop(self, uplink: str, slot: str) -> bool:
        """Forget a last state; tell whether there was one."""
        gone = await self._connection.execute(
            delete(latest).where(latest.c.uplink == uplink, latest.c.slot == slot)
        )
        return gone.rowcount > 0

    async def keep(self, uplink: str, name: str, value: str) -> None:
        """Keep a setting."""
        place = {"uplink": uplink, "name": name}
        await self._insert_new(settings, {**place, "value": value})
        await self._connection.execute(
            update(settings)
            .where(settings.c.uplink == uplink, settings.c.name == name)
            .values(value=value)
        )

    async def _update_message(self, message: Queued, values: dict[str, Any]) -> None:
        await self._connection.execute(
            update(messages).where(messages.c.id == message.id).values(**values)
        )

    async def _update_transaction(self, key: str, values: dict[str, Any]) -> None:
        await self._connection.execute(
            update(transactions).where(transactions.c.key == key).values(**values)
        )

    async def _insert_new(self, table: Table, values: dict[str, Any]) -> None:
        adding = self._database.insert(table).values(**values)
        await self._connection.execute(adding.on_conflict_do_nothing())


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def _queued(row: RowMapping) -> Queued:
    return Queued(
        id=row["id"],
        uplink=row["uplink"],
        frame_id=row["frame_id"],
        station_id=row["station_id"],
        action=row["action"],
        payload_text=row["payload_text"],
        created_at=datetime.fromisoformat(row["created_at"]),
        transaction_key=row["transaction_key"],
        wants_answer=row["wants_answer"],
        attempts=row["attempts"],
    )


def _transaction(row: RowMapping) -> Transaction:
    ended_at = row["ended_at"]
    moments = {
        "started_at": datetime.fromisoformat(row["started_at"]),
        "ended_at": datetime.fromisoformat(ended_at) if ended_at else None,
    }
    return Transaction(**{**row, **moments})
