"""Charging plans, and what is set by hand: for the vehicle at an EVSE, or the next one there."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool

from api.deps import Parts, PartsDep
from api.domain.plans import PlanRecord, override_problems, plan_problems
from api.domain.problem import Problem
from api.problems import ApiProblem, not_found
from shared.contracts.plan import ChargingPlan, Override
from shared.contracts.site import Evse

router = APIRouter(tags=["plans"])


def _with_zone(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(
            "give its zone too, as in 2026-03-01T18:00:00+01:00 or 2026-03-01T17:00:00Z"
        )
    return moment


Moment = Annotated[datetime, AfterValidator(_with_zone)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class PlanBody(BaseModel):
    """When a vehicle is to be charged, and how much. Give at least one."""

    model_config = ConfigDict(extra="forbid")

    starts_at: Moment | None = None
    """Not earlier."""
    ends_at: Moment | None = None
    """Not later, whether or not it is full."""
    departs_at: Moment | None = None
    """By then the energy is to be in it."""
    energy_kwh: Number | None = None
    """What this session is to be given."""


class OverrideBody(BaseModel):
    """What is set by hand."""

    model_config = ConfigDict(extra="forbid")

    charge: StrictBool
    """true: charge now, before others of its class; false: do not charge."""
    limit_a: Number | None = None
    """At most so much per phase; ``null`` = all it can get."""


class PlanShown(BaseModel):
    """A plan; null = not given."""

    starts_at: datetime | None
    ends_at: datetime | None
    departs_at: datetime | None
    energy_kwh: float | None


class PlanView(BaseModel):
    """What holds at an EVSE now."""

    evse_id: str
    plan: PlanShown | None = None
    override: Override | None = None
    has_vehicle: bool = False
    """It ends when the vehicle that is there leaves; false: it is for the next one."""
    changed_at: datetime | None = None
    """null: neither holds."""


@router.get("/plans", summary="List the plans and overrides that hold now")
async def list_plans(parts: PartsDep) -> list[PlanView]:
    """By EVSE."""
    return [_view(record) for record in await parts.plans.current()]


@router.get("/evses/{evse_id:path}/plan", summary="Read the plan and override of an EVSE")
async def read_plan(evse_id: str, parts: PartsDep) -> PlanView:
    """Both are ``null`` where nothing is set."""
    _evse(parts, evse_id)
    record = await parts.plans.of(evse_id)
    return PlanView(evse_id=evse_id) if record is None else _view(record)


@router.put("/evses/{evse_id:path}/plan", summary="Plan the charging of a vehicle")
async def set_plan(evse_id: str, body: PlanBody, parts: PartsDep) -> PlanView:
    """Holds until the vehicle leaves that is there or comes next. Replaces the plan before."""
    _evse(parts, evse_id)
    plan = ChargingPlan(
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        departs_at=body.departs_at,
        energy_wh=None if body.energy_kwh is None else body.energy_kwh * 1000,
    )
    _refuse("plan", plan_problems(plan, parts.clock.now()))
    return _view(await parts.plans.set_plan(evse_id, plan))


@router.delete("/evses/{evse_id:path}/plan", summary="Drop the plan of an EVSE", status_code=204)
async def drop_plan(evse_id: str, parts: PartsDep) -> None:
    """What is set by hand holds on."""
    _evse(parts, evse_id)
    record = await parts.plans.of(evse_id)
    if record is None or record.plan is None:
        raise not_found("plan of EVSE", evse_id)
    await parts.plans.set_plan(evse_id, None)


@router.put("/evses/{evse_id:path}/override", summary="Charge now, or not, by hand")
async def set_override(evse_id: str, body: OverrideBody, parts: PartsDep) -> PlanView:
    """Goes before plan and sun, never beyond a limit, and holds until the vehicle leaves."""
    evse = _evse(parts, evse_id)
    override = Override(charge=body.charge, limit_a=body.limit_a)
    _refuse("override", override_problems(override, evse))
    return _view(await parts.plans.set_override(evse_id, override))


@router.delete(
    "/evses/{evse_id:path}/override", summary="Take back what is set by hand", status_code=204
)
async def drop_override(evse_id: str, parts: PartsDep) -> None:
    """Its plan holds on."""
    _evse(parts, evse_id)
    record = await parts.plans.of(evse_id)
    if record is None or record.override is None:
        raise not_found("override of EVSE", evse_id)
    await parts.plans.set_override(evse_id, None)


def _evse(parts: Parts, evse_id: str) -> Evse:
    evse = parts.configuration.current.evse(evse_id)
    if evse is None:
        raise not_found("EVSE", evse_id)
    return evse


def _refuse(what: str, problems: Sequence[Problem]) -> None:
    """End the request if there are problems, named by their place in the body."""
    if problems:
        found = [Problem(f"body.{found.path}".rstrip("."), found.message) for found in problems]
        raise ApiProblem(422, f"the {what} does not fit", problems=found)


def _view(record: PlanRecord) -> PlanView:
    return PlanView(
        evse_id=record.evse_id,
        plan=None if record.plan is None else _shown(record.plan),
        override=record.override,
        has_vehicle=record.has_vehicle,
        changed_at=record.changed_at,
    )


def _shown(plan: ChargingPlan) -> PlanShown:
    energy_wh = plan.energy_wh
    return PlanShown(
        starts_at=plan.starts_at,
        ends_at=plan.ends_at,
        departs_at=plan.departs_at,
        energy_kwh=None if energy_wh is None else energy_wh / 1000,
    )
