"""Section 14a EnWG: what the control box of the grid operator says."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.deps import Parts, PartsDep
from api.problems import ApiProblem, not_found
from api.routes.external_limits import Source, SourceQuery
from shared.contracts.charging import NO_NUMBER_W, LimitChanged, LimitScope
from shared.contracts.site import Watts

router = APIRouter(tags=["dimming"])
CONTROL_BOX = "control-box"
TARGET = "grid"


class DimmingBody(BaseModel):
    """One word of the control box."""

    model_config = ConfigDict(extra="forbid")

    dimmed: bool
    limit_w: Watts | None = None
    """What controllable consumers may draw from the grid; ``null`` = the minimum of the formula."""
    valid_s: Annotated[float, Field(gt=0, le=31_536_000)] | None = None
    """After so many seconds without another word the minimum counts; ``null`` = until changed."""
    source: Source = CONTROL_BOX

    @model_validator(mode="after")
    def _a_number_needs_dimming(self) -> "DimmingBody":
        if self.limit_w is not None and not self.dimmed:
            raise ValueError("limit_w goes with dimmed: true; leave it out to end the dimming")
        return self


class DimmingView(BaseModel):
    """The last word of a control box."""

    source: str
    dimmed: bool
    limit_w: float | None
    expires_at: datetime | None
    changed_at: datetime


@router.get("/dimming", summary="Show what control boxes have said")
async def show_dimming(parts: PartsDep) -> list[DimmingView]:
    """By source. What load management makes of it is in the reasons of its offers."""
    return [_view(word) for word in await _words(parts)]


@router.put("/dimming", summary="Hear a word of the control box")
async def hear_dimming(body: DimmingBody, parts: PartsDep) -> DimmingView:
    """Counts within a second. Say it again as often as the site's ``silent_after_s`` asks for."""
    _check_takes_part(parts)
    now = parts.clock.now()
    number_w = NO_NUMBER_W if body.limit_w is None else body.limit_w
    word = LimitChanged(
        scope=LimitScope.DIMMING,
        target=TARGET,
        source=body.source,
        limit_w=number_w if body.dimmed else None,
        expires_at=None if body.valid_s is None else now + timedelta(seconds=body.valid_s),
        changed_at=now,
    )
    await parts.external_limits.set(word)
    return _view(word)


@router.delete("/dimming", summary="Forget a control box", status_code=204)
async def forget_dimming(parts: PartsDep, source: SourceQuery = CONTROL_BOX) -> None:
    """It was taken out: from now on its silence means nothing, and what it dimmed is released."""
    if not any(word.source == source for word in await _words(parts)):
        raise not_found("control box", source)
    now = parts.clock.now()
    await parts.external_limits.set(
        LimitChanged(
            scope=LimitScope.DIMMING,
            target=TARGET,
            source=source,
            expires_at=now,
            changed_at=now,
        )
    )


def _check_takes_part(parts: Parts) -> None:
    if parts.configuration.current.dimming is None:
        raise ApiProblem(
            409,
            "the site takes no part in section 14a EnWG: set dimming in its configuration first",
        )


async def _words(parts: Parts) -> list[LimitChanged]:
    words = await parts.external_limits.words()
    return [word for word in words if word.scope is LimitScope.DIMMING and not _is_over(word)]


def _is_over(word: LimitChanged) -> bool:
    return word.expires_at is not None and word.expires_at <= word.changed_at


def _view(word: LimitChanged) -> DimmingView:
    has_number = word.limit_w is not None and word.limit_w >= 0
    return DimmingView(
        source=word.source,
        dimmed=word.limit_w is not None,
        limit_w=word.limit_w if has_number else None,
        expires_at=word.expires_at,
        changed_at=word.changed_at,
    )
