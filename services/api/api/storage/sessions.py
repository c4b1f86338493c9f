"""Sessions: facts are folded into rows here, one transaction for each batch."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Row, Select, and_, func, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.domain.session_record import SessionRecord, ended, started, superseded
from api.domain.storable import without_nul
from api.storage.rows import values_of
from api.storage.tables import sessions
from shared.contracts.session import SessionEnded, SessionStarted
from shared.store import Database

SessionFact = SessionStarted | SessionEnded
_moment = func.coalesce(sessions.c.started_at, sessions.c.ended_at)


@dataclass(frozen=True, kw_only=True)
class SessionFilter:
    """Which sessions are meant; ``None`` = all. A session counts by its start."""

    since: datetime | None = None
    until: datetime | None = None
    """Excluded."""
    evse_id: str | None = None


class SessionStore:
    """The table ``sessions``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, facts: Sequence[SessionFact]) -> None:
        """Commit facts in order; a fact that is there already changes nothing."""
        async with self._database.transaction() as connection:
            for fact in facts:
                await _fold(connection, fact)

    async def open_sessions(self) -> list[SessionRecord]:
        """Return the sessions that have a start and no end."""
        wanted = select(sessions).where(
            sessions.c.ended_at.is_(None), sessions.c.started_at.is_not(None)
        )
        async with self._database.transaction() as connection:
            return [_record(row) for row in await connection.execute(wanted)]

    async def get(self, session_id: str) -> SessionRecord | None:
        """Return one session."""
        async with self._database.transaction() as connection:
            return await _known(connection, session_id)

    async def page(
        self, which: SessionFilter, *, limit: int, offset: int
    ) -> tuple[list[SessionRecord], int]:
        """Return some sessions, newest first, and how many there are altogether."""
        async with self._database.transaction() as connection:
            rows = await connection.execute(_newest_first(which).limit(limit).offset(offset))
            found = [_record(row) for row in rows]
            counting = select(func.count()).select_from(sessions).where(_condition(which))
            total = await connection.scalar(counting)
        return found, int(total or 0)

    async def every(self, which: SessionFilter) -> AsyncIterator[list[SessionRecord]]:
        """Yield all of them, newest first, a thousand at a time."""
        offset, size = 0, 1000
        while True:
            found, _ = await self.page(which, limit=size, offset=offset)
            if found:
                yield found
            if len(found) < size:
                return
            offset += size


async def _fold(connection: AsyncConnection, fact: SessionFact) -> None:
    known = await _known(connection, fact.session_id)
    record = started(known, fact) if isinstance(fact, SessionStarted) else ended(known, fact)
    if known is None:
        await connection.execute(insert(sessions), _row(record))
    elif record != known:
        await _update(connection, record)
    if isinstance(fact, SessionStarted):
        for closed in superseded(await _from_first_open(connection, fact.evse_id)):
            await _update(connection, closed)


async def _known(connection: AsyncConnection, session_id: str) -> SessionRecord | None:
    wanted = select(sessions).where(sessions.c.session_id == session_id)
    row = (await connection.execute(wanted)).first()
    return None if row is None else _record(row)


async def _update(connection: AsyncConnection, record: SessionRecord) -> None:
    mine = sessions.c.session_id == record.session_id
    await connection.execute(update(sessions).where(mine).values(_row(record)))


async def _from_first_open(connection: AsyncConnection, evse_id: str) -> list[SessionRecord]:
    """Return an EVSE's sessions from its first open one on; only the last may stay open."""
    here = sessions.c.evse_id == evse_id
    first_open = (
        select(func.min(sessions.c.started_at))
        .where(here, sessions.c.ended_at.is_(None))
        .scalar_subquery()
    )
    wanted = select(sessions).where(here, sessions.c.started_at >= first_open)
    return [_record(row) for row in await connection.execute(wanted)]


def _newest_first(which: SessionFilter) -> Select[tuple[object, ...]]:
    order = (_moment.desc(), sessions.c.session_id)
    return select(sessions).where(_condition(which)).order_by(*order)


def _condition(which: SessionFilter) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [true()]
    if which.since is not None:
        conditions.append(_moment >= which.since)
    if which.until is not None:
        conditions.append(_moment < which.until)
    if which.evse_id is not None:
        conditions.append(sessions.c.evse_id == which.evse_id)
    return and_(*conditions)


def _record(row: Row[tuple[object, ...]]) -> SessionRecord:
    return SessionRecord(**values_of(row))


def _row(record: SessionRecord) -> dict[str, object]:
    return without_nul(asdict(record))
