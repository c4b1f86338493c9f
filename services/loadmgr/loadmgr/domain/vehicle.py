"""What was learned of the vehicle that is plugged in. All of it ends when the vehicle leaves."""

from dataclasses import dataclass, field

from loadmgr.domain.moment import NEVER
from loadmgr.domain.reserve import MARGIN_A
from shared.units import NOMINAL_VOLTAGE_V

DRAWING_A = 1.0
"""More than this on a line means that the car uses it."""
LEARN_S = 10.0
"""So long the same lines must be in use before the others are taken as unused."""
UNUSED_S = 30.0
"""So long a car must draw clearly less than offered before the rest is given away."""
HEADROOM_A = 2.0
"""Offered above what such a car draws, so that it is seen when it wants more."""
CLEARLY_A = HEADROOM_A + MARGIN_A
IDLE_AFTER_S = 120.0
"""A car that is offered current for so long and takes none stands behind all others."""
IDLE_FOR_S = 1_800.0
"""Then it has its turn again: it may have a timer of its own."""
HIGHEST_VOLTAGE_V = 1.1 * NOMINAL_VOLTAGE_V
COARSE_WH = 1_000.0
"""A counter may show whole kWh, and later than they flowed."""
GAP_S = 120.0
"""Over a longer silence no energy is reckoned from the current."""


@dataclass(slots=True)
class Delivered:
    """The energy that the vehicle was given, in Wh: by the box's counter, else by its current."""

    wh: float = 0.0
    counter_wh: float | None = None
    counted_s: float = NEVER
    at_s: float = NEVER

    def add(self, counter_wh: float | None, power_w: float, now_s: float, *, most_w: float) -> None:
        """Take in a reading. A counter that goes back counts from there.

        More than ``most_w`` allows is none of this vehicle's: a counter that shows 0 for once and
        then all that it ever counted, or one of another meter.
        """
        if counter_wh is not None:
            if self.counter_wh is not None:
                most_wh = most_w * max(0.0, now_s - self.counted_s) / 3_600 + COARSE_WH
                given_wh = counter_wh - self.counter_wh
                self.wh += given_wh if 0 <= given_wh <= most_wh else 0.0
            self.counter_wh, self.counted_s = counter_wh, now_s
        elif self.counter_wh is None and now_s - self.at_s <= GAP_S:
            self.wh += power_w * (now_s - self.at_s) / 3_600
        self.at_s = now_s


@dataclass(slots=True)
class Vehicle:
    """One vehicle while it is plugged in."""

    plugged_s: float = NEVER
    used_lines: int | None = None
    """Bit mask of the lines the car was seen to use; ``None`` = not known yet."""
    candidate_lines: int = 0
    candidate_s: float = NEVER
    unused_since_s: float | None = None
    cap_a: float | None = None
    """What a car that leaves its offer unused is known to want; ``None`` = all it can get."""
    idle_until_s: float = NEVER
    delivered: Delivered = field(default_factory=Delivered)

    def learn_lines(
        self, line_a: tuple[float | None, ...], drawn_a: float | None, now_s: float
    ) -> None:
        """Note which lines are in use; a line once used stays so."""
        if drawn_a is None or drawn_a <= DRAWING_A:
            self.candidate_lines = 0
            return
        lines = sum(1 << i for i, a in enumerate(line_a) if a is None or a > DRAWING_A)
        if self.used_lines is not None:
            self.used_lines |= lines
        elif lines != self.candidate_lines:
            self.candidate_lines, self.candidate_s = lines, now_s
        elif now_s >= self.candidate_s + LEARN_S:
            self.used_lines = lines

    def forget_lines(self) -> None:
        """The box may have changed how it feeds the car."""
        self.used_lines, self.candidate_lines = None, 0

    def judge_unused(self, drawn_a: float, offered_a: float, min_a: float, *, now_s: float) -> None:
        """Note that it draws clearly less than it is offered, and how long already."""
        if self.cap_a is not None and drawn_a > self.cap_a - 1.0:
            self.cap_a = None
        if drawn_a >= offered_a - CLEARLY_A or offered_a <= min_a:
            self.unused_since_s = None
        elif self.unused_since_s is None:
            self.unused_since_s = now_s
        elif now_s >= self.unused_since_s + UNUSED_S:
            self.cap_a = max(min_a, drawn_a + HEADROOM_A)

    def judge_idle(self, drawn_a: float, offered_s: float, now_s: float) -> None:
        """Note that it takes nothing of what it has been offered since ``offered_s``."""
        if drawn_a > DRAWING_A:
            self.idle_until_s = NEVER
        elif now_s >= offered_s + IDLE_AFTER_S:
            self.idle_until_s = now_s + IDLE_FOR_S

    def note_energy(
        self,
        counter_wh: float | None,
        line_a: tuple[float | None, ...],
        now_s: float,
        *,
        most_a: float,
    ) -> None:
        """Count what it is given, on three lines of ``most_a`` at most."""
        power_w = NOMINAL_VOLTAGE_V * sum(a for a in line_a if a is not None)
        most_w = 3 * HIGHEST_VOLTAGE_V * most_a
        self.delivered.add(counter_wh, power_w, now_s, most_w=most_w)
