"""Which transaction a StopTransaction ends, whatever id it carries (field notes 5.3, 20 and 21)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTransaction:
    """A transaction that has begun and not ended."""

    transaction_id: int
    connector: int
    id_tag: str
    started_at: datetime | None
    meter_start: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """What a StopTransaction says, as far as it helps to find its transaction."""

    stopped_at: datetime | None
    meter_stop: float | None
    id_tag: str | None


def match_stop(stop: Stop, candidates: Sequence[OpenTransaction]) -> OpenTransaction | None:
    """Return the one open transaction of the station that a stop with a useless id can end.

    More than one possible transaction is none: nothing is billed to a guess.
    """
    possible = [candidate for candidate in candidates if _fits(stop, candidate)]
    if len(possible) > 1 and stop.id_tag:
        possible = [c for c in possible if c.id_tag.casefold() == stop.id_tag.casefold()]
    return possible[0] if len(possible) == 1 else None


def _fits(stop: Stop, candidate: OpenTransaction) -> bool:
    if (
        stop.stopped_at is not None
        and candidate.started_at is not None
        and stop.stopped_at < candidate.started_at - _CLOCK_TOLERANCE
    ):
        return False
    return (
        stop.meter_stop is None
        or candidate.meter_start is None
        or stop.meter_stop >= candidate.meter_start
    )
