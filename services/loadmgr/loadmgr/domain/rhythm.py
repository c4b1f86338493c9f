"""When to decide: at most once a second, at once where somebody may have to give something up, and
not before facts are in.

Times are seconds of a clock that never jumps.
"""

from dataclasses import dataclass
from enum import IntEnum

TICK_S = 1.0
PAUSE_S = 5.0
"""Ticks that were missing for longer mean that another instance was active meanwhile."""
SETTLE_S = 3.0
"""So long facts are collected after a cold start before the first decision."""
DEBOUNCE_S = 0.2
"""The shortest time between two decisions that cannot wait: a limit may be exceeded meanwhile."""
ALMOST_A_TICK_S = 0.95 * TICK_S


class Haste(IntEnum):
    """How soon a fact is worth a decision."""

    NONE = 0
    SOON = 1
    """When the last one is a second ago: somebody may be given something."""
    NOW = 2
    """Somebody may have to give something up."""


@dataclass(slots=True)
class Rhythm:
    """The timing of one instance."""

    ticked_s: float | None = None
    began_s: float | None = None
    decided_s: float = float("-inf")
    hurried_s: float = float("-inf")
    """The last decision that could not wait."""
    haste: Haste = Haste.NONE

    def tick(self, now_s: float, *, was_clock_set: bool = False) -> bool:
        """Note a tick; return whether this is a cold start: everything known is forgotten.

        When the clock of facts was set, what is known has moments of another time.
        """
        was_away = self.ticked_s is None or now_s - self.ticked_s > PAUSE_S
        is_cold = was_away or was_clock_set
        self.ticked_s = now_s
        if is_cold:
            self.began_s, self.haste = now_s, Haste.NONE
        return is_cold

    def pause_s(self, now_s: float) -> float | None:
        """Return how long to wait before deciding; ``None`` = not before the next tick."""
        if self.began_s is None or self.ticked_s is None or now_s < self.began_s + SETTLE_S:
            return None
        if now_s > self.ticked_s + PAUSE_S:  # another instance is active
            return None
        if self.haste is Haste.NOW:
            return max(0.0, self.hurried_s + DEBOUNCE_S - now_s)
        since_s = now_s - self.decided_s
        if self.haste is Haste.SOON:
            return max(0.0, ALMOST_A_TICK_S - since_s)
        return 0.0 if since_s >= ALMOST_A_TICK_S else None

    def hurry(self, haste: Haste) -> None:
        """Note that something has happened."""
        self.haste = max(self.haste, haste)

    def decided(self, now_s: float) -> None:
        """Note a decision."""
        if self.haste is Haste.NOW:
            self.hurried_s = now_s
        self.decided_s, self.haste = now_s, Haste.NONE
