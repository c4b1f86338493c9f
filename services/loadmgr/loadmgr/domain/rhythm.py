"""When to decide: once a second, soon after something important, and not before facts are in.

Times are seconds of a clock that never jumps.
"""

from dataclasses import dataclass

TICK_S = 1.0
PAUSE_S = 5.0
"""Ticks that were missing for longer mean that another instance was active meanwhile."""
SETTLE_S = 3.0
"""So long facts are collected after a cold start before the first decision."""
DEBOUNCE_S = 0.2
"""The shortest time between two decisions."""
ALMOST_A_TICK_S = 0.95 * TICK_S


@dataclass(slots=True)
class Rhythm:
    """The timing of one instance."""

    ticked_s: float | None = None
    began_s: float | None = None
    decided_s: float = float("-inf")
    is_urgent: bool = False

    def tick(self, now_s: float) -> bool:
        """Note a tick; return whether this is a cold start: everything known is forgotten."""
        is_cold = self.ticked_s is None or now_s - self.ticked_s > PAUSE_S
        self.ticked_s = now_s
        if is_cold:
            self.began_s, self.is_urgent = now_s, False
        return is_cold

    def pause_s(self, now_s: float) -> float | None:
        """Return how long to wait before deciding; ``None`` = not before the next tick."""
        if self.began_s is None or self.ticked_s is None or now_s < self.began_s + SETTLE_S:
            return None
        if now_s > self.ticked_s + PAUSE_S:  # another instance is active
            return None
        since_s = now_s - self.decided_s
        if self.is_urgent:
            return max(0.0, DEBOUNCE_S - since_s)
        return 0.0 if since_s >= ALMOST_A_TICK_S else None

    def decided(self, now_s: float) -> None:
        """Note a decision."""
        self.decided_s, self.is_urgent = now_s, False
