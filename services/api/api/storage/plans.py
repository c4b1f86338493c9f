"""Charging plans and overrides by EVSE, and those that ended a while ago."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from api.domain.plans import PlanRecord
from api.storage.bulk import bulk_transaction
from api.storage.rows import values_of
from api.storage.tables import charging_plans
from shared.contracts.plan import ChargingPlan, Override
from shared.store import Database, replacing

Rule = Callable[[PlanRecord], PlanRecord | None]
"""Returns what a record becomes; ``None`` = it is deleted."""

PLAN = frozenset(ChargingPlan.model_fields)
OVERRIDE = frozenset({"override_charge", "override_limit_a"})
_NAMED_AT_ONCE = 500


@dataclass(frozen=True)
class Revision:
    """A record before and after a rule; ``after`` None = deleted."""

    before: PlanRecord
    after: PlanRecord | None


class PlanStore:
    """The table ``charging_plans``. All of it raises ``StoreUnavailable``, a full disk included."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_plan(self, record: PlanRecord) -> PlanRecord:
        """Replace the plan of an EVSE and leave its override; returns both as they are kept."""
        return await self._put(record, kept=OVERRIDE)

    async def put_override(self, record: PlanRecord) -> PlanRecord:
        """Replace the override of an EVSE and leave its plan; returns both as they are kept."""
        return await self._put(record, kept=PLAN)

    async def all(self) -> list[PlanRecord]:
        """Return every record, by EVSE."""
        async with bulk_transaction(self._database) as connection:
            rows = await connection.execute(select(charging_plans).order_by(_evse_id))
            return [_record(row) for row in rows]

    async def of(self, evse_id: str) -> PlanRecord | None:
        """Return the record of an EVSE."""
        async with bulk_transaction(self._database) as connection:
            return await _one(connection, evse_id)

    async def revise(self, rule: Rule, *, only: Collection[str] | None = None) -> list[Revision]:
        """Put all records under a rule, or at least those of some EVSEs, and return them."""
        statement = select(charging_plans).where(_among(only)).order_by(_evse_id).with_for_update()
        async with bulk_transaction(self._database) as connection:
            records = [_record(row) for row in await connection.execute(statement)]
            revisions = [Revision(record, rule(record)) for record in records]
            for revision in revisions:
                await self._write(connection, revision)
        return revisions

    async def _put(self, record: PlanRecord, *, kept: Collection[str]) -> PlanRecord:
        """A vehicle that was there for the one part is there for the other, and time goes on."""
        statement = self._database.insert(charging_plans).values(_row(record))
        new, old = statement.excluded, charging_plans.c
        has_vehicle = or_(new.has_vehicle, old.has_vehicle)
        upsert = replacing(statement, kept=kept, has_vehicle=has_vehicle)
        async with bulk_transaction(self._database) as connection:
            await connection.execute(upsert)
            stored = await _one(connection, record.evse_id)
        return record if stored is None else stored

    async def _write(self, connection: AsyncConnection, revision: Revision) -> None:
        before, after = revision.before, revision.after
        if after is None:
            await connection.execute(delete(charging_plans).where(_evse_id == before.evse_id))
        elif after != before:
            statement = self._database.insert(charging_plans).values(_row(after))
            await connection.execute(replacing(statement))


_evse_id = charging_plans.c.evse_id


def _among(evse_ids: Collection[str] | None) -> ColumnElement[bool]:
    """All, when there are so many that naming them is not worth it."""
    if evse_ids is None or len(evse_ids) > _NAMED_AT_ONCE:
        return true()
    return _evse_id.in_(list(evse_ids))


async def _one(connection: AsyncConnection, evse_id: str) -> PlanRecord | None:
    row = (await connection.execute(select(charging_plans).where(_evse_id == evse_id))).first()
    return None if row is None else _record(row)


def _row(record: PlanRecord) -> dict[str, Any]:
    plan, override = record.plan or ChargingPlan(), record.override
    return {
        **plan.model_dump(),
        "evse_id": record.evse_id,
        "override_charge": None if override is None else override.charge,
        "override_limit_a": None if override is None else override.limit_a,
        "has_vehicle": record.has_vehicle,
        "changed_at": record.changed_at,
    }


def _record(row: Row[Any]) -> PlanRecord:
    values = values_of(row)
    plan = ChargingPlan(**{name: values[name] for name in PLAN})
    charge = values["override_charge"]
    return PlanRecord(
        evse_id=row.evse_id,
        plan=None if plan == ChargingPlan() else plan,
        override=None if charge is None else Override(charge=charge, limit_a=row.override_limit_a),
        has_vehicle=row.has_vehicle,
        changed_at=row.changed_at,
    )
