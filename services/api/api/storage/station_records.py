"""What stations did and told: jobs, reservations, security events, signed values."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import Row, Table, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.domain import reservations as reservation_rules
from api.domain import station_jobs as job_rules
from api.domain.reservations import ReservationRecord
from api.domain.station_jobs import JobRecord, JobStep
from api.domain.storable import without_nul
from api.storage.forgetting import forget_some
from api.storage.rows import values_of
from api.storage.tables import reservations, security_events, signed_values, station_jobs
from shared.contracts.session import SignedValueReceived
from shared.contracts.station import (
    JobKind,
    ReservationChanged,
    ReservationStatus,
    SecurityEventReported,
    StationJobChanged,
)
from shared.store import Database

StationFact = StationJobChanged | ReservationChanged | SecurityEventReported | SignedValueReceived
LOOKED_AT = 20
"""The last jobs of one kind of a station, among which a report finds its own."""


@dataclass(frozen=True, kw_only=True)
class SignedRecord:
    """A signed value as it came (S14)."""

    station_id: str
    connector: int
    session_id: str | None
    transaction_id: int | None
    context: str | None
    raw: str
    sha256: str
    received_at: datetime


class StationRecordStore:
    """Four tables of facts, folded by ``api.domain`` where facts change each other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, facts: Sequence[StationFact]) -> None:
        """Commit facts in order; a fact that is there already changes nothing."""
        async with self._database.transaction() as connection:
            for fact in facts:
                await self._take(connection, fact)

    async def jobs(self, station_id: str, *, limit: int) -> list[JobRecord]:
        """Return the last jobs of a station, newest first."""
        wanted = select(station_jobs).where(station_jobs.c.station_id == station_id)
        async with self._database.transaction() as connection:
            return await _jobs(connection, wanted, limit)

    async def reservations(self, station_id: str, *, limit: int) -> list[ReservationRecord]:
        """Return the last reservations at a station, newest first."""
        wanted = (
            select(reservations)
            .where(reservations.c.station_id == station_id)
            .order_by(reservations.c.changed_at.desc(), reservations.c.reservation_id)
            .limit(limit)
        )
        async with self._database.transaction() as connection:
            return [_reservation(row) for row in await connection.execute(wanted)]

    async def security_events(self, station_id: str, *, limit: int) -> list[SecurityEventReported]:
        """Return the last security events of a station, newest first."""
        wanted = (
            select(security_events)
            .where(security_events.c.station_id == station_id)
            .order_by(security_events.c.received_at.desc(), security_events.c.event_id)
            .limit(limit)
        )
        async with self._database.transaction() as connection:
            rows = await connection.execute(wanted)
            return [SecurityEventReported(**values_of(row)) for row in rows]

    async def signed_values(self, session_id: str) -> list[SignedRecord]:
        """Return the signed values of a session, in the order of their arrival."""
        columns = [column for column in signed_values.c if column.name != "id"]
        wanted = (
            select(*columns)
            .where(signed_values.c.session_id == session_id)
            .order_by(signed_values.c.id)
        )
        async with self._database.transaction() as connection:
            return [SignedRecord(**values_of(row)) for row in await connection.execute(wanted)]

    async def forget_jobs_before(self, moment: datetime) -> int:
        """Delete some jobs of which nothing was told since; returns how many, 0 = that was all."""
        return await forget_some(self._database, station_jobs.c.changed_at, before=moment)

    async def forget_reservations_before(self, moment: datetime) -> int:
        """The same of reservations; one that still holds, for an expiry far off, stays."""
        expires_at = reservations.c.expires_at
        has_ended = reservations.c.status != ReservationStatus.ACTIVE.value
        is_over = has_ended | expires_at.is_(None) | (expires_at < moment)
        return await forget_some(self._database, reservations.c.changed_at, is_over, before=moment)

    async def forget_security_events_before(self, moment: datetime) -> int:
        """The same of security events, by when they came."""
        return await forget_some(self._database, security_events.c.received_at, before=moment)

    async def forget_signed_values_before(self, moment: datetime) -> int:
        """The same of signed values, by when they came."""
        return await forget_some(self._database, signed_values.c.received_at, before=moment)

    async def _take(self, connection: AsyncConnection, fact: StationFact) -> None:
        match fact:
            case StationJobChanged():
                await self._take_job(connection, fact)
            case ReservationChanged():
                await self._take_reservation(connection, fact)
            case SecurityEventReported():
                await self._add(connection, security_events, fact.model_dump())
            case SignedValueReceived():
                await self._take_signed(connection, fact)
            case _:
                assert_never(fact)

    async def _take_job(self, connection: AsyncConnection, fact: StationJobChanged) -> None:
        table = station_jobs.c
        wanted = select(station_jobs).where(
            table.station_id == fact.station_id, table.kind == fact.kind.value
        )
        for job in job_rules.folded(await _jobs(connection, wanted, LOOKED_AT), fact):
            await connection.execute(delete(station_jobs).where(table.job_id == job.job_id))
            await connection.execute(insert(station_jobs), without_nul(_job_row(job)))

    async def _take_reservation(
        self, connection: AsyncConnection, fact: ReservationChanged
    ) -> None:
        same = (reservations.c.station_id == fact.station_id) & (
            reservations.c.reservation_id == fact.reservation_id
        )
        row = (await connection.execute(select(reservations).where(same))).first()
        known = None if row is None else _reservation(row)
        record = reservation_rules.folded(known, fact)
        if record is not None:
            await connection.execute(delete(reservations).where(same))
            values = asdict(record) | {"status": record.status.value}
            await connection.execute(insert(reservations), without_nul(values))

    async def _take_signed(self, connection: AsyncConnection, fact: SignedValueReceived) -> None:
        """A value that came without its session may come again with it."""
        adding = self._database.insert(signed_values).values(without_nul(fact.model_dump()))
        news = adding.excluded
        statement = adding.on_conflict_do_update(
            index_elements=["station_id", "sha256"],
            set_={
                "session_id": news.session_id,
                "transaction_id": news.transaction_id,
                "connector": news.connector,
            },
            where=signed_values.c.session_id.is_(None) & news.session_id.is_not(None),
        )
        await connection.execute(statement)

    async def _add(
        self, connection: AsyncConnection, table: Table, values: dict[str, object]
    ) -> None:
        adding = self._database.insert(table).values(without_nul(values))
        await connection.execute(adding.on_conflict_do_nothing())


async def _jobs(connection: AsyncConnection, wanted: Any, limit: int) -> list[JobRecord]:
    order = (station_jobs.c.begun_at.desc(), station_jobs.c.job_id)
    return [_job(row) for row in await connection.execute(wanted.order_by(*order).limit(limit))]


def _job(row: Row[Any]) -> JobRecord:
    steps = tuple(
        JobStep(at=datetime.fromisoformat(at), status=status, detail=detail)
        for at, status, detail in row.steps
    )
    return JobRecord(**{**values_of(row), "kind": JobKind(row.kind), "steps": steps})


def _job_row(job: JobRecord) -> dict[str, Any]:
    steps = [[step.at.isoformat(), step.status, step.detail] for step in job.steps]
    return asdict(job) | {"kind": job.kind.value, "steps": steps}


def _reservation(row: Row[Any]) -> ReservationRecord:
    return ReservationRecord(**{**values_of(row), "status": ReservationStatus(row.status)})
