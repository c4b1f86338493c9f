"""The mean power of a quarter of an hour of the clock, as many tariffs count it.

What a quarter has left may be spread over the rest of it, but never used up greedily: the last
minute brings nothing above the limit, a small reserve for the time of reaction is saved up until
then, and at any moment the quarter would still end well if other consumers now took as much as
``UNCONTROLLED_SHARE`` of the limit until its end. All of it is closed form; see ``allowed_w``.

Wiring: ``State`` keeps a ``MeanRecord`` for each circuit with ``mean_limit_w``. Whatever tells the
power of the circuit is handed to ``add``: a grid meter's sample (``power_w``, else the sum of its
currents times 230 V); where there is none, once a decision the sum of all that may flow. Each
decision lowers the power row of the circuit to ``record.allowed_w(limit_w, now_s)`` (W of the whole
circuit, other consumers included) with ``Binding(code=ReasonCode.MEAN)``.
"""

from dataclasses import dataclass

from loadmgr.domain.moment import NEVER

QUARTER_S = 900.0
"""Quarters begin at full quarters of the hour in every time zone, so UTC will do."""
REACTION_S = 8.0
"""From a jump of other consumers until cars have followed: sample, decision, box, IEC 61851-1."""
LAST_S = 60.0
"""The end of a quarter, in which nothing that was saved is used up."""
UNCONTROLLED_SHARE = 0.9
"""Other consumers alone are taken to stay below this part of the limit."""
SILENT_S = 10.0
"""Over a longer gap at least the limit is taken to have been drawn."""


@dataclass(slots=True)
class MeanRecord:
    """What one circuit has drawn in the present quarter."""

    quarter: int | None = None
    used_ws: float = 0.0
    power_w: float = 0.0
    at_s: float = NEVER

    def add(self, power_w: float, limit_w: float, now_s: float) -> None:
        """Take in the power (W) that flows now. What flows back to the grid saves nothing."""
        power_w = max(0.0, power_w)
        self._go_on(max(power_w, self.power_w), limit_w, now_s)
        self.power_w = power_w

    def allowed_w(self, limit_w: float, now_s: float) -> float:
        """Return the power (W) that may flow at the circuit from now on.

        With ``left`` = what the quarter may still draw, ``saved`` = what of it is more than the
        limit for the rest of the time, and ``reserve`` = the limit for the time of reaction:

        - ``limit + (saved - reserve) / (rest - 60 s)``, the divisor at least 60 s;
        - in the last 60 s not more than the limit;
        - not more than ``(left - 0.9 * limit * rest) / reaction``, which other consumers could
          otherwise make too much before cars follow.

        Of a past that is not known it is taken that the limit was drawn.
        """
        self._go_on(self.power_w, limit_w, now_s)
        rest_s = QUARTER_S - now_s % QUARTER_S
        left_ws = limit_w * QUARTER_S - self.used_ws
        saved_ws = left_ws - limit_w * rest_s
        spread_s = max(rest_s - LAST_S, LAST_S)
        spread_w = limit_w + (saved_ws - limit_w * REACTION_S) / spread_s
        if rest_s <= LAST_S:
            spread_w = min(spread_w, limit_w)
        certain_w = (left_ws - UNCONTROLLED_SHARE * limit_w * rest_s) / REACTION_S
        return max(0.0, min(spread_w, certain_w))

    def _go_on(self, power_w: float, limit_w: float, now_s: float) -> None:
        """Count what has flowed since the last time; a time that goes back counts nothing."""
        quarter = int(now_s // QUARTER_S)
        if self.quarter is None:
            self.used_ws = limit_w * (now_s % QUARTER_S)
        else:
            power_w = power_w if now_s - self.at_s <= SILENT_S else max(power_w, limit_w)
            begins_s = quarter * QUARTER_S
            self.used_ws = self.used_ws if quarter == self.quarter else 0.0
            self.used_ws += power_w * max(0.0, now_s - max(self.at_s, begins_s))
        self.quarter, self.at_s = quarter, now_s
