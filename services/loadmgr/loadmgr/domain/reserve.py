"""The most that an EVSE may draw now: safety by reservation.

A limit that was sent counts from the moment it is sent when it is higher, and only when it is
known to be obeyed when it is lower: the box has accepted it and the car had time to follow. Until
then the highest limit that may still be in force is reserved.
"""

from dataclasses import dataclass, field

from loadmgr.domain.moment import ALWAYS

FOLLOW_S = 6.0
"""IEC 61851-1: a car follows a lower duty cycle within 5 s; one more for the box."""
SEND_DELAY_S = 10.0
"""``ApplySetpoint`` expires after this, so a box may start a lease that much later."""
EXCESS_A = 0.75
"""A measurement this far above the limit is disobedience, not metering error."""
MARGIN_A = 0.5
"""Added to a measurement that is counted instead of a limit."""
MOST_STEPS = 8


@dataclass(slots=True)
class Step:
    """One limit that was sent and may be in force."""

    first_revision: int
    limit_a: float
    sent_s: float
    accepted_s: float | None = None


@dataclass(slots=True)
class Ladder:
    """The limits of one EVSE that may be in force, oldest first."""

    bound_a: float = 0.0
    """The most that was in force before the steps."""
    least_a: float = 0.0
    """The least that was in force before the steps."""
    steps: list[Step] = field(default_factory=list)

    def upper_a(self, now_s: float, follow_s: float = FOLLOW_S) -> float:
        """Return the highest limit that the car may still be using."""
        upper = 0.0
        for step in reversed(self.steps):
            upper = max(upper, step.limit_a)
            if step.accepted_s is not None and now_s >= step.accepted_s + follow_s:
                return upper
        return max(upper, self.bound_a)

    def lower_a(self) -> float:
        """Return the lowest limit that may be in force: up to here nothing sent is a raise."""
        lower = float("inf")
        for step in reversed(self.steps):
            lower = min(lower, step.limit_a)
            if step.accepted_s is not None:
                return lower
        return min(lower, self.least_a)

    def unanswered_since_s(self) -> float:
        """Return since when a limit has been waiting for its answer; ALWAYS = none is."""
        since_s = ALWAYS
        for step in reversed(self.steps):
            if step.accepted_s is not None:
                break
            since_s = step.sent_s
        return since_s

    def settles_at_s(self) -> list[float]:
        """Return when accepted limits will certainly be followed."""
        accepted = (step.accepted_s for step in self.steps)
        return [accepted_s + FOLLOW_S for accepted_s in accepted if accepted_s is not None]

    def sent(self, revision: int, limit_a: float, now_s: float) -> None:
        """Note a limit that is on its way. The same limit again changes nothing.

        A limit that is only supposed is another: once the box takes it, it is known to be in force.
        """
        self._settle(now_s)
        present_a = self.steps[-1].limit_a if self.steps else self._known_a
        if limit_a != present_a:
            self.steps.append(Step(revision, limit_a, now_s))
        if len(self.steps) > MOST_STEPS:
            oldest_a = self.steps.pop(0).limit_a
            self.bound_a = max(self.bound_a, oldest_a)
            self.least_a = min(self.least_a, oldest_a)

    def accepted(self, revision: int, now_s: float) -> None:
        """Note that the box took a revision; the follow time runs from here."""
        known = [step for step in self.steps if step.first_revision <= revision]
        if known and known[-1].accepted_s is None:
            known[-1].accepted_s = now_s

    def fell_back(self, revision: int, fallback_a: float, now_s: float) -> None:
        """Note that the lease of a revision ran out and the box went to its fallback."""
        if self.steps and self.steps[-1].first_revision > revision:
            self.bound_a = max(self.bound_a, fallback_a)
            self.least_a = min(self.least_a, fallback_a)
        else:
            self.steps.append(Step(revision, fallback_a, now_s, now_s))

    @property
    def _known_a(self) -> float | None:
        """The limit before the steps; ``None`` when it may be one of several."""
        return self.bound_a if self.bound_a == self.least_a else None

    def _settle(self, now_s: float) -> None:
        for index in reversed(range(len(self.steps))):
            accepted_s = self.steps[index].accepted_s
            if accepted_s is not None and now_s >= accepted_s + FOLLOW_S:
                self.bound_a = self.least_a = self.steps[index].limit_a
                del self.steps[: index + 1]
                return
