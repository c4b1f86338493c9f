"""``/history``: samples of EVSEs and meters over time."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel

from api.deps import Parts, PartsDep
from api.domain.samples import Sample
from api.problems import ApiProblem
from api.storage.samples import Span
from shared.units import PhaseAmps

router = APIRouter(tags=["history"])
SHOWN_BY_DEFAULT = timedelta(hours=24)
MOST_SERIES = 100
MOST_POINTS = 50_000
"""Of all series together, so that one answer keeps nobody else waiting."""
Source = tuple[Literal["evse", "meter"], str]


class Point(BaseModel):
    """One sample; null = not known."""

    at: datetime
    state: str | None
    current_a: PhaseAmps
    power_w: float | None
    energy_wh: float | None
    energy_export_wh: float | None
    offered_a: float | None


class Series(BaseModel):
    """The samples of one EVSE or meter."""

    kind: Literal["evse", "meter"]
    id: str
    points: list[Point]


class History(BaseModel):
    """Samples in a time span."""

    since: datetime
    until: datetime
    series: list[Series]


@router.get("/history", summary="Read samples of EVSEs and meters")
async def read_history(
    parts: PartsDep,
    since: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="excluded")] = None,
    ids: Annotated[list[str] | None, Query(description="EVSEs and meters; repeat or a,b")] = None,
    limit: Annotated[int, Query(ge=2, le=10_000, description="points of each series")] = 1000,
) -> History:
    """The last 24 hours of everything, unless told otherwise; thinned evenly to ``limit``."""
    until = until or parts.clock.now()
    since = since or until - SHOWN_BY_DEFAULT
    sources = _sources(parts, ids)
    most = min(limit, MOST_POINTS // max(1, len(sources)))
    series = []
    for kind, source in sources:
        span = Span(kind=kind, source=source, since=since, until=until)
        rows = await parts.samples.read(span, most=most)
        series.append(Series(kind=kind, id=source, points=[_point(row) for row in rows]))
    return History(since=since, until=until, series=series)


def _sources(parts: Parts, ids: list[str] | None) -> list[Source]:
    site = parts.configuration.current
    known: list[Source] = [("evse", evse.id) for evse in site.evses]
    known += [("meter", meter.id) for meter in site.meters]
    wanted = {part for text in ids or () for part in (text, *text.split(","))}
    chosen = [source for source in known if ids is None or source[1] in wanted]
    if len(chosen) > MOST_SERIES:
        raise ApiProblem(
            422, f"{len(chosen)} series are too many for one answer: name up to {MOST_SERIES} ids"
        )
    return chosen


def _point(row: Sample) -> Point:
    return Point(
        at=row.at,
        state=row.state,
        current_a=PhaseAmps(l1=row.l1_a, l2=row.l2_a, l3=row.l3_a),
        power_w=row.power_w,
        energy_wh=row.energy_wh,
        energy_export_wh=row.energy_export_wh,
        offered_a=row.offered_a,
    )
