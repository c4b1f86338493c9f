"""Which transaction a StopTransaction ends, whatever id it carries (field notes 5.3, 20 and 21).

Also when it comes before its StartTransaction, as some stations flush their memory.
"""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStop:
    """A stop that ended no transaction that was known when it came."""

    id: int
    stop: Stop
    frame: str
    """The payload, as it was kept."""


EARLY_FOR = timedelta(days=1)
"""So long a stop waits for the start of its transaction; then a person has to look at it."""


def match_start(
    begun: OpenTransaction, early: Sequence[EarlyStop], *, others: Sequence[OpenTransaction]
) -> EarlyStop | None:
    """Return the one early stop that surely ends a transaction whose start has come now.

    Sure is: same tag, both times told and in order, both readings told and not falling, no other
    early stop of which that is true, and none of the ``others`` that run at the station which it
    could end as well. A stop that tells no tag proves nothing: the next car may be plugged in.
    """
    proving = [one for one in early if _proves(one.stop, begun)]
    if len(proving) != 1:
        return None
    (found,) = proving
    return None if any(_may_end(found.stop, other) for other in others) else found


def _proves(stop: Stop, begun: OpenTransaction) -> bool:
    if stop.stopped_at is None or begun.started_at is None:
        return False
    if stop.meter_stop is None or begun.meter_start is None:
        return False
    return (
        _is_same_tag(stop, begun)
        and begun.started_at <= stop.stopped_at
        and begun.meter_start <= stop.meter_stop
    )


def _may_end(stop: Stop, other: OpenTransaction) -> bool:
    return _is_same_tag(stop, other) and _fits(stop, other)


def _is_same_tag(stop: Stop, begun: OpenTransaction) -> bool:
    return bool(stop.id_tag) and (stop.id_tag or "").casefold() == begun.id_tag.casefold()


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
