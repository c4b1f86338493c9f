"""Limits from outside for circuits and groups: by an operator, an energy manager, the grid."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.deps import Parts, PartsDep
from api.problems import not_found
from shared.contracts.charging import LimitChanged, LimitScope
from shared.contracts.site import AnyPhaseLimits, PhaseLimits, Watts
from shared.units import PHASES

router = APIRouter(tags=["limits"])
OPERATOR = "operator"
Source = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
SourceQuery = Annotated[Source, Query(description="Who set it")]


class LimitBody(BaseModel):
    """What may flow at most, and for how long."""

    model_config = ConfigDict(extra="forbid")

    limit_a: AnyPhaseLimits = None
    """One number for all phases, or L1, L2 and L3."""
    limit_w: Watts | None = None
    valid_s: Annotated[float, Field(gt=0, le=31_536_000)] | None = None
    """After so many seconds without another word it holds no longer; ``null`` = until changed."""
    source: Source = OPERATOR
    """Each source has one limit for each circuit or group; the least of all counts."""

    @model_validator(mode="after")
    def _limits_something(self) -> "LimitBody":
        if self.limit_a is None and self.limit_w is None:
            raise ValueError("give limit_a, limit_w or both; to lift a limit, use DELETE")
        return self


class LimitView(BaseModel):
    """A limit that holds now."""

    scope: LimitScope
    target: str
    source: str
    limit_a: PhaseLimits | None
    limit_w: float | None
    expires_at: datetime | None
    changed_at: datetime


@router.get("/limits", summary="List the limits from outside that hold now")
async def list_limits(parts: PartsDep) -> list[LimitView]:
    """By circuit or group, and source."""
    return [_view(word) for word in await parts.external_limits.current()]


@router.put("/circuits/{circuit_id:path}/limit", summary="Limit a circuit from outside")
async def limit_circuit(circuit_id: str, body: LimitBody, parts: PartsDep) -> LimitView:
    """Counts beside the fuse and all other limits, within seconds; it never raises anything."""
    return await _set(parts, LimitScope.CIRCUIT, circuit_id, body=body)


@router.put("/groups/{group_id:path}/limit", summary="Limit a group from outside")
async def limit_group(group_id: str, body: LimitBody, parts: PartsDep) -> LimitView:
    """The same for the EVSEs of a group."""
    return await _set(parts, LimitScope.GROUP, group_id, body=body)


@router.delete(
    "/circuits/{circuit_id:path}/limit", summary="Lift a limit of a circuit", status_code=204
)
async def lift_circuit(circuit_id: str, parts: PartsDep, source: SourceQuery = OPERATOR) -> None:
    """Of one source; what others have set holds on."""
    await _lift(parts, LimitScope.CIRCUIT, circuit_id, source=source)


@router.delete("/groups/{group_id:path}/limit", summary="Lift a limit of a group", status_code=204)
async def lift_group(group_id: str, parts: PartsDep, source: SourceQuery = OPERATOR) -> None:
    """Of one source; what others have set holds on."""
    await _lift(parts, LimitScope.GROUP, group_id, source=source)


async def _set(parts: Parts, scope: LimitScope, target: str, *, body: LimitBody) -> LimitView:
    if not _is_known(parts, scope, target):
        raise not_found(scope.value, target)
    now = parts.clock.now()
    word = LimitChanged(
        scope=scope,
        target=target,
        source=body.source,
        limit_a=None if body.limit_a is None else body.limit_a.amps,
        limit_w=body.limit_w,
        expires_at=None if body.valid_s is None else now + timedelta(seconds=body.valid_s),
        changed_at=now,
    )
    await parts.external_limits.set(word)
    return _view(word)


async def _lift(parts: Parts, scope: LimitScope, target: str, *, source: str) -> None:
    held = [word for word in await parts.external_limits.current() if word.source == source]
    if not any((word.scope, word.target) == (scope, target) for word in held):
        raise not_found(f"limit of {source!r} for {scope.value}", target)
    await parts.external_limits.set(
        LimitChanged(scope=scope, target=target, source=source, changed_at=parts.clock.now())
    )


def _is_known(parts: Parts, scope: LimitScope, target: str) -> bool:
    site = parts.configuration.current
    listed = site.circuits if scope is LimitScope.CIRCUIT else site.groups
    return any(part.id == target for part in listed)


def _view(word: LimitChanged) -> LimitView:
    amps = None if word.limit_a is None else list(word.limit_a)
    return LimitView(
        scope=word.scope,
        target=word.target,
        source=word.source,
        limit_a=None
        if amps is None
        else PhaseLimits.model_validate(dict(zip(PHASES, amps, strict=True))),
        limit_w=word.limit_w,
        expires_at=word.expires_at,
        changed_at=word.changed_at,
    )
