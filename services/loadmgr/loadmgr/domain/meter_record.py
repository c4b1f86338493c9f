"""What one meter showed, and what follows of it for everything that load management cannot steer.

Per phase: the estimate rises at once and falls only when 30 s have shown less.
"""

from collections import deque
from dataclasses import dataclass, field
from math import isfinite

from loadmgr.domain.arrays import NOTHING, Three
from loadmgr.domain.moment import NEVER
from shared.contracts.meter import MeterSampled
from shared.units import NOMINAL_VOLTAGE_V

WINDOW_S = 30.0
LONG_WINDOW_S = 900.0
RISE_A = 1.0
"""Less is the usual coming and going."""
HOLD_S = 10.0
"""Silence up to here changes nothing; then the maximum of the last 15 minutes counts."""
LOST_S = 60.0
"""Silence from here on is a lost meter: the configured worst case counts if it is larger."""


@dataclass(slots=True)
class PhaseRecord:
    """One phase of a meter."""

    heard_s: float = NEVER
    recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=300))
    """(time, uncontrolled current) of the last 30 s, falling: the first is the maximum."""
    is_blind: bool = False
    """An EVSE below draws what cannot be told from other consumers, so the maximum of 15 minutes
    counts: its own current must not look like room each time it is lowered."""
    minutes: deque[tuple[int, float]] = field(default_factory=deque)
    """(minute, its maximum) of the last 15 minutes."""
    rose_s: float = NEVER
    """When it last was clearly more than in all of the last 30 s."""

    def add(self, uncontrolled_a: float, now_s: float) -> None:
        """Take in an estimate."""
        self.heard_s = now_s
        if self.recent and uncontrolled_a > self.recent[0][1] + RISE_A:
            self.rose_s = now_s
        while self.recent and self.recent[-1][1] <= uncontrolled_a:
            self.recent.pop()
        self.recent.append((now_s, uncontrolled_a))
        while self.recent[0][0] < now_s - WINDOW_S:
            self.recent.popleft()
        self._add_to_minute(int(now_s // 60), uncontrolled_a)

    def is_lost(self, now_s: float) -> bool:
        """It is silent for so long that the worst case counts; so it is before its first word."""
        return now_s - self.heard_s > LOST_S

    def uncontrolled_a(self, worst_a: float, now_s: float) -> float:
        """Return what may flow beside the EVSEs. Silence makes it the worst known, then worse."""
        silent_s = now_s - self.heard_s
        if silent_s <= HOLD_S and not self.is_blind:
            return self.recent[0][1]
        seen_a = max((amps for _, amps in self.minutes), default=0.0)
        return seen_a if silent_s <= LOST_S else max(worst_a, seen_a)

    def last_window_a(self) -> float | None:
        """Return the present estimate, or ``None`` before the first."""
        return self.recent[0][1] if self.recent else None

    def _add_to_minute(self, minute: int, uncontrolled_a: float) -> None:
        if self.minutes and self.minutes[-1][0] == minute:
            uncontrolled_a = max(uncontrolled_a, self.minutes.pop()[1])
        self.minutes.append((minute, uncontrolled_a))
        while self.minutes[0][0] < minute - LONG_WINDOW_S // 60:
            self.minutes.popleft()


@dataclass(slots=True)
class MeterRecord:
    """One meter."""

    phases: tuple[PhaseRecord, PhaseRecord, PhaseRecord] = field(
        default_factory=lambda: (PhaseRecord(), PhaseRecord(), PhaseRecord())
    )
    current_a: Three = NOTHING
    """The last known reading, to recognise a jump."""
    last_power_w: float | None = None
    """Of all phases together, negative towards the grid; ``None`` = it has never told."""
    power_s: float = NEVER

    def power_w(self, now_s: float) -> float | None:
        """Return the power in W of all phases; ``None`` when it is not known at present."""
        return self.last_power_w if now_s - self.power_s <= HOLD_S else None

    def note_power(self, sample: MeterSampled, heard_s: float) -> None:
        """Remember a reading's power, or that of its currents when it tells all of them."""
        power_w = sample.power_w
        if power_w is None and len(sample.current_a.known) == len(self.phases):
            power_w = NOMINAL_VOLTAGE_V * sum(sample.current_a.known)
        if power_w is not None and isfinite(power_w) and heard_s >= self.power_s:
            self.last_power_w, self.power_s = power_w, heard_s

    def is_lost(self, now_s: float) -> bool:
        """One of its phases has been silent for too long."""
        return any(phase.is_lost(now_s) for phase in self.phases)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What managed EVSEs drew at the moment of a sample: as measured, and between what bounds."""

    measured_a: float
    least_a: float
    most_a: float
    is_blind: bool = False
    """One of them is not measured, or nobody knows on which phase."""


def estimate(shown_a: float, drawn: Drawn, *, before_a: float | None, limit_a: float) -> float:
    """Return the uncontrolled current of one phase from a grid meter's reading.

    While EVSEs are changing, meter and boxes do not speak of the same moment. As long as the
    estimate before can still be true it stays; outside it moves to the nearest possible value.
    On a phase that is really overloaded only what is measured is taken off. Export never counts as
    room: the sun may go within the second.
    """
    measured_a = max(0.0, shown_a - drawn.measured_a)
    if before_a is None:
        return measured_a
    highest_a = max(0.0, shown_a - drawn.least_a)
    lowest_a = max(0.0, shown_a - drawn.most_a)
    possible_a = min(max(before_a, lowest_a), highest_a)
    return max(possible_a, measured_a) if shown_a > limit_a else possible_a
