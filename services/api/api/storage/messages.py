"""The message log: appended in bulk, read backwards in time, pruned in small steps."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Row, and_, delete, func, not_, or_, select, text, true
from sqlalchemy.ext.asyncio import AsyncConnection

from api.domain.message_log import (
    KIND_NUMBERS,
    Direction,
    LoggedMessage,
    MessageFilter,
    in_small_letters,
    kind_of,
    logged,
)
from api.storage.bulk import Record, bulk_transaction, copy_rows, insert_rows
from api.storage.forgetting import forget_some
from api.storage.tables import messages
from shared.contracts.ocpp import LogRow
from shared.store import Database

COLUMNS = (
    "station_id", "at", "inbound", "kind", "message_id", "action", "text", "latency_ms", "repairs",
)  # fmt: skip
STEP = 2_000
"""Rows appended, or deleted in one transaction, at a time: some ten milliseconds."""
SCANNED = 50_000
"""Frames looked through for one page, so that a rare word keeps the database for no longer."""
DOWNLOADED = 1_000
NEWEST_FIRST = (messages.c.at.desc(), messages.c.id.desc())


@dataclass(frozen=True)
class MessagePage:
    """Some frames, newest first, and where to read on (``None`` = that was all)."""

    items: list[LoggedMessage]
    next: int | None


class Place(NamedTuple):
    """Where a frame stands in the log: frames are in the order of their time, then of their id."""

    at: datetime
    id: int


class MessageStore:
    """The table ``messages``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, rows: Sequence[LogRow]) -> None:
        """Append frames in order, all or none. Raises ``StoreUnavailable``."""
        chunks = (
            [_record(row) for row in rows[start : start + STEP]]
            for start in range(0, len(rows), STEP)
        )
        async with bulk_transaction(self._database) as connection:
            if self._database.is_sqlite:
                await insert_rows(connection, messages, COLUMNS, chunks)
                return
            # The newest part of a log may be lost in a power cut, so commits need not wait.
            await connection.execute(text("SET LOCAL synchronous_commit = off"))
            await copy_rows(connection, messages.name, COLUMNS, chunks)

    async def page(
        self, which: MessageFilter, *, before: int | None = None, limit: int
    ) -> MessagePage:
        """Return up to ``limit`` frames, newest first, older than the frame ``before``.

        A page may hold fewer, even none, and still name where to read on: after so many frames
        were looked through.
        """
        async with self._database.transaction() as connection:
            scope = _scope(which)
            if before is not None:
                place = await _place(connection, messages.c.id == before)
                if place is None:
                    return MessagePage([], None)  # older ones are deleted first, so they are gone
                scope = and_(scope, _older_than(place))
            details = _details(which, is_sqlite=self._database.is_sqlite)
            edge = await _place(connection, scope, skip=SCANNED - 1) if details else None
            if edge is not None:
                scope = and_(scope, messages.c.at >= edge.at, not_(_older_than(edge)))
            wanted = select(messages).where(scope, *details).order_by(*NEWEST_FIRST).limit(limit)
            found = [_message(row) for row in await connection.execute(wanted)]
        if len(found) == limit:
            return MessagePage(found, found[-1].id)
        return MessagePage(found, None if edge is None else edge.id)

    async def every(
        self, which: MessageFilter, *, before: int | None = None, most: int
    ) -> AsyncIterator[list[LoggedMessage]]:
        """Yield up to ``most`` frames, newest first, a thousand at a time."""
        while most > 0:
            page = await self.page(which, before=before, limit=min(DOWNLOADED, most))
            yield page.items
            most, before = most - len(page.items), page.next
            if before is None:
                return

    async def forget_before(self, moment: datetime) -> int:
        """Delete some of what is older, and return how many; 0 = that was all."""
        return await forget_some(self._database, messages.c.at, before=moment)

    async def forget_beyond(self, most: int) -> int:
        """Delete some of the oldest while there are more than ``most``, and return how many.

        Ids are counted instead of rows, which is quick, and errs to the side of fewer.
        """
        async with bulk_transaction(self._database) as connection:
            # One question each: SQLite reads the whole index for both at once.
            newest = await connection.scalar(select(func.max(messages.c.id)))
            first = await connection.scalar(select(func.min(messages.c.id)))
            if newest is None or first is None or newest - first < most:
                return 0
            end = min(first + STEP, newest - most + 1)
            gone = await connection.execute(delete(messages).where(messages.c.id < end))
            return int(gone.rowcount)


def _record(row: LogRow) -> Record:
    message = logged(row)
    return (
        message.station_id,
        message.at,
        message.direction is Direction.IN,
        KIND_NUMBERS[message.kind],
        message.message_id,
        message.action,
        message.text,
        message.latency_ms,
        message.repairs,
    )


def _scope(which: MessageFilter) -> ColumnElement[bool]:
    """What an index answers."""
    conditions: list[ColumnElement[bool]] = [true()]
    if which.station_id is not None:
        conditions.append(messages.c.station_id == which.station_id)
    if which.since is not None:
        conditions.append(messages.c.at >= which.since)
    if which.until is not None:
        conditions.append(messages.c.at < which.until)
    return and_(*conditions)


def _details(which: MessageFilter, *, is_sqlite: bool) -> list[ColumnElement[bool]]:
    """What has to be looked at frame by frame.

    Both databases lower ASCII letters only; PostgreSQL is told to, because its
    locale's own lowering is slower.
    """
    conditions: list[ColumnElement[bool]] = []
    if which.action is not None:
        conditions.append(messages.c.action == which.action)
    if which.direction is not None:
        conditions.append(messages.c.inbound.is_(which.direction is Direction.IN))
    if which.kind is not None:
        conditions.append(messages.c.kind == KIND_NUMBERS[which.kind])
    if which.text is not None:
        lowered = func.lower(messages.c.text if is_sqlite else messages.c.text.collate("C"))
        conditions.append(lowered.contains(in_small_letters(which.text), autoescape=True))
    return conditions


async def _place(
    connection: AsyncConnection, scope: ColumnElement[bool], *, skip: int = 0
) -> Place | None:
    """Return time and id of the newest frame in the scope, or of a later one."""
    wanted = select(messages.c.at, messages.c.id).where(scope).order_by(*NEWEST_FIRST)
    row = (await connection.execute(wanted.offset(skip).limit(1))).first()
    return None if row is None else Place(row.at, row.id)


def _older_than(place: Place) -> ColumnElement[bool]:
    """The first condition is what the index understands."""
    earlier = or_(messages.c.at < place.at, messages.c.id < place.id)
    return and_(messages.c.at <= place.at, earlier)


def _message(row: Row[tuple[object, ...]]) -> LoggedMessage:
    return LoggedMessage(
        id=row.id,
        at=row.at,
        station_id=row.station_id,
        direction=Direction.IN if row.inbound else Direction.OUT,
        kind=kind_of(row.kind),
        message_id=row.message_id,
        action=row.action,
        text=row.text,
        latency_ms=row.latency_ms,
        repairs=row.repairs,
    )
