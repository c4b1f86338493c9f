"""What would happen if: a changed site with the vehicles of recorded or simulated days."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from api.configuration import Review
from api.deps import Parts, PartsDep
from api.domain.imagined_site import removal_problems, with_changes
from api.domain.problem import Problem
from api.domain.site_secrets import Document
from api.problems import ApiProblem, ProblemItem
from api.routes.saving import ChangeItem, answer_of
from shared.contracts.dry_run import FARTHEST, Demand, DryRunAnswer, DryRunReport, RunDry
from shared.contracts.site import SiteConfig
from shared.errors import Unroutable

router = APIRouter(tags=["what-if"])
ANSWER_WITHIN_S = 130.0
"""Load management ends a run after 120 s."""
MOST_DAYS = 31


class WhatIfBody(BaseModel):
    """The site that is asked about, and whose vehicles charge there."""

    model_config = ConfigDict(extra="forbid")

    site: dict[str, Any] | None = None
    """The whole changed site, as for ``PUT /site``; or give ``changes``."""
    changes: dict[str, Any] | None = None
    """A merge patch of the site in force, as for ``PATCH /site``. Parts may be named by id:
    ``{"circuits": {"main": {"limit_a": 80}}, "evses": {"bay-9": null}}``."""
    demand: Demand = Demand.RECORDED
    begins_at: AwareDatetime | None = None
    """Of the days, not more than ten years away; ``null`` = the last ``days`` days until now."""
    days: Annotated[int, Field(ge=1, le=MOST_DAYS)] = 1
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1
    """Of simulated vehicles: the same ones for the same seed."""

    @model_validator(mode="after")
    def _asks_about_one_site(self) -> "WhatIfBody":
        if (self.site is None) == (self.changes is None):
            raise ValueError("give either site (the whole) or changes (a part of it)")
        return self


class CircuitDifference(BaseModel):
    """Changed less present; null where one of the sites has no such circuit."""

    circuit_id: str
    peak_a: float | None
    """Of the phase that carried most."""
    overload_s: float | None


class Differences(BaseModel):
    """Changed less present."""

    delivered_wh: float
    delivered_share: float
    jain: float
    worst_share: float
    starts_per_visit: float
    setpoints: int
    circuits: list[CircuitDifference]


class WhatIfAnswer(BaseModel):
    """Both sites with the same vehicles. Nothing is stored, and nothing is steered."""

    revision: int
    """Of the present site."""
    changes: list[ChangeItem]
    problems: list[ProblemItem]
    """Warnings about the changed site."""
    present: DryRunReport
    changed: DryRunReport
    differences: Differences


@router.post("/what-if", summary="Ask what a changed site would do")
async def what_if(body: WhatIfBody, parts: PartsDep) -> WhatIfAnswer:
    """With the vehicles of the decision log, or with made-up ones. Takes up to two minutes.

    409 says what to do when nothing was recorded of that time, or when a run is under way.
    """
    _refuse_far_away(body.begins_at, parts.clock.now())
    review, revision = await parts.configuration.dry_run(lambda stored: _imagined(stored, body))
    if review.site is None or not review.is_valid:
        raise ApiProblem(422, "the site would not work", problems=review.problems)
    reports = await _ask(parts, body, review.site)
    return _answer(review, revision, reports)


def _refuse_far_away(begins_at: datetime | None, now: datetime) -> None:
    if begins_at is not None and abs(begins_at - now) > FARTHEST:
        far = Problem("body.begins_at", "it is more than ten years away: look at the year")
        raise ApiProblem(422, "the question does not fit", problems=[far])


def _imagined(stored: Document, body: WhatIfBody) -> Document:
    changes = body.changes or {}
    missing = removal_problems(stored, changes)
    if missing:
        raise ApiProblem(422, "the changes do not fit the site", problems=missing)
    document = with_changes(stored, changes) if body.site is None else body.site
    return {**document, "revision": stored["revision"]}


async def _ask(parts: Parts, body: WhatIfBody, site: SiteConfig) -> DryRunAnswer:
    question = RunDry(
        site=site,
        demand=body.demand,
        begins_at=body.begins_at,
        days=body.days,
        seed=body.seed,
    )
    try:
        return await parts.bus.ask(question, timeout_s=ANSWER_WITHIN_S)
    except Unroutable as error:
        raise ApiProblem(
            503,
            "no load manager answers: start loadmgr, and ask again",
            headers={"Retry-After": "5"},
        ) from error


def _answer(review: Review, revision: int, reports: DryRunAnswer) -> WhatIfAnswer:
    saved = answer_of(review, revision)
    present, changed = reports.present, reports.changed
    return WhatIfAnswer(
        revision=revision,
        changes=saved.changes,
        problems=saved.problems,
        present=present,
        changed=changed,
        differences=Differences(
            delivered_wh=changed.delivered_wh - present.delivered_wh,
            delivered_share=changed.delivered_share - present.delivered_share,
            jain=changed.jain - present.jain,
            worst_share=changed.worst_share - present.worst_share,
            starts_per_visit=changed.starts_per_visit - present.starts_per_visit,
            setpoints=changed.setpoints - present.setpoints,
            circuits=_circuits(present, changed),
        ),
    )


def _circuits(present: DryRunReport, changed: DryRunReport) -> list[CircuitDifference]:
    before = {circuit.circuit_id: circuit for circuit in present.circuits}
    after = {circuit.circuit_id: circuit for circuit in changed.circuits}
    found = []
    for name in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            found.append(CircuitDifference(circuit_id=name, peak_a=None, overload_s=None))
            continue
        peak_a = max(new.peak_a.known, default=0.0) - max(old.peak_a.known, default=0.0)
        overload_s = new.overload_s - old.overload_s
        found.append(CircuitDifference(circuit_id=name, peak_a=peak_a, overload_s=overload_s))
    return found
