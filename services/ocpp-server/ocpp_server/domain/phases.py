"""How many phases a connector was told to use, and what may flow until it does.

OCPP 1.6 knows no word for "the phases are switched": a profile is accepted at once, and the box
takes its time. What flows tells. All moments are seconds of a monotonic clock.
"""

from typing import NamedTuple

from ocpp_server.domain.profiles import Limit
from shared.units import PhaseAmps

FLOWING_A = 1.0
"""Below that a phase is not in use."""
SWITCHES_WITHIN_S = 120.0
"""So long a box may take while a car is plugged in (cFos, evcc #9398)."""


class Told(NamedTuple):
    """What a connector was told last about its phases."""

    phases: int
    since: float
    before_a: float | None = None
    """The limit on the phases before, in ampere; ``None`` = unknown, or there was no change."""


def told_after(limit: Limit, told: Told | None, *, before: Limit | None, now: float) -> Told | None:
    """Return what is told once a limit was accepted. ``before``: the limit that held until now."""
    if limit.phases is None:
        return None
    if told is not None and told.phases == limit.phases:
        return told
    return Told(limit.phases, now, None if before is None else before.limit_a)


def kept(wanted: Limit, told: Told | None) -> Limit:
    """Return a limit that says nothing of phases so that they stay as they are.

    A schedule without numberPhases is one for three (OCPP 1.6, 7.13).
    """
    if wanted.phases is not None or told is None:
        return wanted
    return wanted._replace(phases=told.phases)


def until_switched(
    wanted: Limit,
    told: Told | None,
    *,
    before: Limit | None,
    measured: PhaseAmps | None,
    now: float,
) -> Limit:
    """Return a limit for one phase that is safe on three: no more than there was.

    Until one phase at most is seen in use; where nobody sees it, until a switch would be over.
    """
    if wanted.phases != 1 or _is_single(measured):
        return wanted
    if told is None or told.phases != 1:
        most_a = None if before is None else before.limit_a
    else:
        is_open = in_use(measured) > 1 or now - told.since < SWITCHES_WITHIN_S
        most_a = told.before_a if is_open else None
    return wanted if most_a is None else wanted._replace(limit_a=min(wanted.limit_a, most_a))


def failure(
    wanted: Limit, told: Told | None, *, measured: PhaseAmps | None, now: float
) -> str | None:
    """Return how a box has failed to go down to one phase; ``None`` = it has not."""
    if wanted.phases != 1 or told is None or told.phases != 1:
        return None
    waited_s, used = now - told.since, in_use(measured)
    if used <= 1 or waited_s < SWITCHES_WITHIN_S:
        return None
    return f"current flows on {used} phases {waited_s:.0f} s after it was told to use 1"


def is_measure_valid(wanted: Limit, told: Told | None, now: float) -> bool:
    """Tell whether the phases in use say what the car takes, and not what the box is leaving."""
    if told is None or wanted.phases is None:
        return True
    if told.phases == wanted.phases and told.before_a is None:
        return True
    return told.phases == wanted.phases and now - told.since >= SWITCHES_WITHIN_S


def in_use(measured: PhaseAmps | None) -> int:
    """Return on how many phases current flows."""
    known = () if measured is None else measured.known
    return sum(1 for amps in known if amps >= FLOWING_A)


def _is_single(measured: PhaseAmps | None) -> bool:
    return measured is not None and bool(measured.known) and in_use(measured) <= 1
