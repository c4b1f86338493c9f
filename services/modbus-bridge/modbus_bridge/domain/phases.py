"""Changing the number of phases, step by step: stop, write, wait, go on.

A contactor is not to be switched under load, and a car has to notice that it was paused (facts
``modbus.md`` C.3, 10). Pure: who reads and writes is ``writer``. All moments are seconds of a
monotonic clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from modbus_bridge.domain.decode import Value
from modbus_bridge.domain.reading import amps, number
from modbus_bridge.domain.status import all_hold
from modbus_bridge.domain.template import PhaseSwitch
from shared.contracts.site import Evse
from shared.units import PhaseAmps

FLOWING_A = 1.0
"""Below that a phase is not in use."""
LEAST_PAUSE_S = 1.0
"""What was measured before the pause says nothing about it."""
RETRY_S = 300.0
"""A change that failed is not tried again for this long; meanwhile there is no charging."""


class Stage(StrEnum):
    """How far a change has come."""

    STOPPING = "stopping"
    """The car is paused, so that nothing is switched under load."""
    CHANGING = "changing"
    """It is written; the box takes its time."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change that is under way: never more than one at an outlet."""

    to: int
    stage: Stage
    since_s: float


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A change that did not succeed."""

    to: int
    detail: str
    retry_at_s: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What is known of the phases of one outlet beside its registers."""

    change: Change | None = None
    failure: Failure | None = None
    believed: int | None = None
    """What was written last, for a box that shows nothing."""

    def disconnected(self) -> "Progress":
        """Return what is still true of a box that was lost: one that changes goes on changing."""
        change = self.change
        is_written = change is not None and change.stage is Stage.CHANGING
        return Progress(change=change if is_written else None)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a box is really to do about its phases."""

    phases: int | None = None
    """``None`` = leave it as it is."""
    refusal: str | None = None
    """Why an order cannot be followed."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the box shows now."""

    is_shown: bool
    """It has a register that shows its phases."""
    phases: int | None
    """``None`` = not shown, unknown, or changing."""
    current_a: PhaseAmps | None


class Ruling(StrEnum):
    """What follows for the limit."""

    FREE = "free"
    """The phases are as ordered, so the limit counts."""
    UNDER_WAY = "under_way"
    """Nothing may be granted until the phases are as ordered."""
    FAILED = "failed"
    """No charging: nobody knows on how many phases it would be."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What to do now, and what is known after it."""

    ruling: Ruling
    progress: Progress
    write: int | None = None
    """Have the box change to so many phases, once the limit is what the ruling says."""
    detail: str = ""


def asked(
    wanted: int | None, switch: PhaseSwitch | None, values: Mapping[str, Value], *, evse: Evse
) -> Asked:
    """Return what an order means for this box.

    A box that cannot switch is left alone, and refuses only fewer phases than it is wired to: on
    those that were not granted nobody has made room.
    """
    if wanted is None:
        return Asked()
    if wanted not in {1, 3}:
        return Asked(refusal=f"a box charges on 1 or 3 phases, not on {wanted}")
    inability = _inability(switch, values, evse)
    if inability is None:
        return Asked(phases=wanted)
    return Asked(refusal=inability if wanted < evse.phases else None)


def seen(switch: PhaseSwitch, values: Mapping[str, Value], *, is_shown: bool) -> Seen:
    """Return what the registers say about phases. ``is_shown``: the point can be read."""
    shown = number(values.get(switch.shown_by))
    phases = {switch.shows_one: 1, switch.shows_three: 3}
    return Seen(
        is_shown=is_shown,
        phases=None if shown is None else phases.get(shown),
        current_a=amps(values.get("current")),
    )


def judge(
    wanted: int | None, shown: Seen, progress: Progress, *, switch: PhaseSwitch, now_s: float
) -> Verdict:
    """Return what to do about the phases now; to be asked again until it says ``FREE``.

    ``wanted``: 1, 3, or ``None`` = as it is. A newer order ends a change that is not written yet,
    and waits for one that is.
    """
    change = progress.change
    if change is not None and change.stage is Stage.CHANGING:
        settled = _settled(change, shown, switch=switch, now_s=now_s)
        if settled is None:
            return Verdict(ruling=Ruling.UNDER_WAY, progress=progress)
        progress = settled
    failure = progress.failure
    if failure is not None and failure.to == wanted and now_s < failure.retry_at_s:
        return Verdict(ruling=Ruling.FAILED, progress=progress, detail=failure.detail)
    if wanted is None or wanted == (shown.phases if shown.is_shown else progress.believed):
        return _in_force(wanted, shown, progress, now_s=now_s)
    return _stopping(wanted, shown, progress, switch=switch, now_s=now_s)


def failed(to: int, detail: str, now_s: float) -> Verdict:
    """Return the verdict about a change that did not succeed."""
    failure = Failure(to=to, detail=detail, retry_at_s=now_s + RETRY_S)
    return Verdict(ruling=Ruling.FAILED, progress=Progress(failure=failure), detail=detail)


def _inability(switch: PhaseSwitch | None, values: Mapping[str, Value], evse: Evse) -> str | None:
    if not evse.switches_phases:
        return "the site does not say that this EVSE switches phases"
    if switch is None:
        return "its template does not say how to switch phases"
    if not all_hold(switch.when, values):
        return "the box does not say that it may switch phases: look at its own settings"
    return None


def _settled(change: Change, shown: Seen, *, switch: PhaseSwitch, now_s: float) -> Progress | None:
    """Return what became of a change; ``None`` = the box still has time."""
    waited_s = now_s - change.since_s
    if waited_s < switch.pause_after_s:
        return None
    if not shown.is_shown or shown.phases == change.to:
        return Progress(believed=change.to)
    if waited_s < switch.confirm_s:
        return None
    what = "no number of phases" if shown.phases is None else f"{shown.phases} phase(s)"
    detail = f"it shows {what} {waited_s:.0f} s after it was told to use {change.to}"
    return failed(change.to, detail, now_s).progress


def _in_force(wanted: int | None, shown: Seen, progress: Progress, *, now_s: float) -> Verdict:
    """The box says that it is so; what flows may say otherwise."""
    if wanted == 1 and _phases_in_use(shown.current_a) > 1:
        return failed(1, "it was told to use 1 phase, and current flows on more", now_s)
    return Verdict(ruling=Ruling.FREE, progress=Progress(believed=progress.believed))


def _stopping(
    wanted: int, shown: Seen, progress: Progress, *, switch: PhaseSwitch, now_s: float
) -> Verdict:
    change = progress.change
    if change is None or change.to != wanted:
        change = Change(to=wanted, stage=Stage.STOPPING, since_s=now_s)
    waited_s = now_s - change.since_s
    if not switch.pauses or _has_stopped(shown.current_a, waited_s, switch):
        written = Change(to=wanted, stage=Stage.CHANGING, since_s=now_s)
        return Verdict(ruling=Ruling.UNDER_WAY, progress=Progress(change=written), write=wanted)
    if waited_s < switch.pause_before_s:
        stopping = Progress(change=change, believed=progress.believed)
        return Verdict(ruling=Ruling.UNDER_WAY, progress=stopping)
    detail = f"current still flows {waited_s:.0f} s after the pause, so phases are not switched"
    return failed(wanted, detail, now_s)


def _has_stopped(current_a: PhaseAmps | None, waited_s: float, switch: PhaseSwitch) -> bool:
    if current_a is None or not current_a.known:
        return waited_s >= switch.pause_before_s
    return waited_s >= LEAST_PAUSE_S and _phases_in_use(current_a) == 0


def _phases_in_use(current_a: PhaseAmps | None) -> int:
    known = () if current_a is None else current_a.known
    return sum(1 for ampere in known if ampere >= FLOWING_A)
