"""A fuse that carried too much cools down: for a while its limit counts as less.

An overdraft is more than the fuse carries for longer than cars need to follow, or so much more that
a breaker may trip of it (1.45 times, DIN EN 60898) at once: a jump that cars answer within seconds
does not warm it, and costs nothing afterwards. While it lasts and for five minutes afterwards the
limit counts less by its highest excess. Then it returns at once, unless the fuse is still warm:
heat grows by the square of the relative excess and decays, so several overdrafts in an hour
lengthen the pause (a breaker of curve B carries 1.13 times its current for an hour; ``WARM_S`` is a
tenth of what that would heat this model).

Wiring: ``State`` keeps an ``OverdraftRecord`` for each phase of each circuit with a grid meter. A
sample calls ``add(shown_a, limit_a, now_s)`` with the rating of the fuse (``Circuit.limit_a``), not
with what guard, schedule or this record leave of it. Each decision lowers the row of that phase by
``less_a(now_s)`` with ``Binding(code=ReasonCode.OVERDRAFT)``.
"""

from dataclasses import dataclass
from math import exp, isfinite

from loadmgr.domain.moment import NEVER

REACTION_S = 10.0
"""A shorter excess up to ``LARGE_SHARE`` is what cars need to follow."""
LARGE_SHARE = 0.45
"""An excess above this part of the limit is an overdraft at once."""
MOST_SHARE = 0.2
"""The limit counts less by at most this part of it."""
TRIPS_SHARE = 2.0
"""A breaker trips at once of three times its current (curve B), so a higher reading is none."""
COOL_DOWN_S = 300.0
DECAY_S = 600.0
"""The heat of an overdraft is down to 1/e after this."""
WARM_S = 0.13**2 * DECAY_S / 10
"""Heat (squares of the relative excess, times s) above which the fuse goes on cooling down."""
GAP_S = 10.0
"""No longer than this a reading is taken to have held."""


@dataclass(slots=True)
class OverdraftRecord:
    """What one phase of a circuit has carried too much."""

    since_s: float | None = None
    """Since when it carries more than the limit; ``None`` = it does not."""
    excess_a: float = 0.0
    highest_a: float = 0.0
    """The highest excess, bounded, of this overdraft and those it still cools down from."""
    ended_s: float = NEVER
    """When an overdraft was last seen."""
    share: float = 0.0
    """The present excess as part of the limit."""
    heat_s: float = 0.0
    at_s: float = NEVER

    def add(self, shown_a: float, limit_a: float, now_s: float) -> None:
        """Take in what a grid meter shows (A) on a fuse of ``limit_a``.

        What cannot be read changes nothing. An older reading than the last one neither.
        """
        if not isfinite(shown_a) or now_s < self.at_s:
            return
        if self.less_a(now_s) <= 0:
            self.highest_a = 0.0
        self._warm_up(now_s)
        self.excess_a = max(0.0, shown_a - limit_a)
        self.share = min(self.excess_a / limit_a, TRIPS_SHARE) if limit_a > 0 else 0.0
        if self.excess_a <= 0:
            self.since_s = None
            return
        self.since_s = now_s if self.since_s is None else self.since_s
        if now_s - self.since_s > REACTION_S or self.share > LARGE_SHARE:
            excess_a = min(self.excess_a, MOST_SHARE * limit_a)
            self.highest_a, self.ended_s = max(self.highest_a, excess_a), now_s

    def less_a(self, now_s: float) -> float:
        """Return by how much (A) the limit counts less now."""
        is_cooling = now_s - self.ended_s <= COOL_DOWN_S or self._heat_at(now_s) > WARM_S
        return self.highest_a if is_cooling else 0.0

    def _warm_up(self, now_s: float) -> None:
        held_s = min(now_s - self.at_s, GAP_S)
        self.heat_s = self._heat_at(now_s) + self.share**2 * held_s
        self.at_s = now_s

    def _heat_at(self, now_s: float) -> float:
        """Return the heat that is left of the last reading's."""
        return self.heat_s * exp(-max(0.0, now_s - self.at_s) / DECAY_S) if self.heat_s else 0.0
