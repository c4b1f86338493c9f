"""How the EVSEs of one class share: each policy is an offset and a weight for the water-filling.

At level ``l`` an EVSE has ``offset + weight * l`` ampere, between nothing and its maximum; so every
policy is max-min fair in its own measure and runs on the same engine (facts 2.2).
"""

from dataclasses import dataclass
from typing import assert_never

import numpy as np

from loadmgr.domain.arrays import Bools, Floats, Ints
from loadmgr.domain.fill import Members, fill
from shared.contracts.site import Sharing

ALPHA = 0.85
"""How much the time to spare counts, and how much the time of departure alone."""
SMOOTH_S = 1_800.0
"""EVSEs whose time to spare differs by less share; beyond it the more urgent one has all."""
SOON_S = 300.0
LEAST_STAY_S = 1_800.0
"""Whoever should be gone now or ``SOON_S`` from now stays so much longer, time and again."""
LEAST_WH = 500.0
"""Whoever should be full by now and still draws wants so much more."""
LEAST_W = 1.0
"""Where there is nothing to share."""
_FAR_A = 10_000.0
"""More than any EVSE can have: whoever came first is full before the next one begins."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Policy:
    """An EVSE at level ``l`` has ``offset_a + weight * l`` ampere."""

    offset_a: Floats
    weight: Floats
    equal: Floats
    """The weight in equal sharing, for what does not depend on plans."""
    is_planned: Bools
    """Its offset is planned beforehand: less than the minimum now is meant, and made up later."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Stays:
    """What is known or assumed of each stay."""

    arrived_s: Floats
    left_s: Floats
    """Time to departure."""
    wanted_wh: Floats
    delivered_wh: Floats
    most_a: Floats
    volts: Floats
    """Of all phases in use together."""

    def among(self, index: Ints) -> "Stays":
        """Keep some, in the order of ``index``."""
        return Stays(
            arrived_s=self.arrived_s[index],
            left_s=self.left_s[index],
            wanted_wh=self.wanted_wh[index],
            delivered_wh=self.delivered_wh[index],
            most_a=self.most_a[index],
            volts=self.volts[index],
        )

    @property
    def missing_wh(self) -> Floats:
        """What each still wants."""
        return np.maximum(self.wanted_wh - self.delivered_wh, LEAST_WH)

    @property
    def stays_s(self) -> Floats:
        """How long each will stay; of who has hardly any time left it is not known."""
        return np.where(self.left_s < SOON_S, LEAST_STAY_S, self.left_s)


def policy_of(sharing: Sharing, stays: Stays, *, weight: Floats) -> Policy:
    """Return offsets and weights of a policy."""
    offset_a: Floats
    slope: Floats
    match sharing:
        case Sharing.EQUAL:
            offset_a, slope = np.zeros(len(weight)), weight
        case Sharing.NEED:
            offset_a, slope = np.zeros(len(weight)), weight * _needed_a(stays)
        case Sharing.DEADLINE:
            offset_a, slope = _urgent(stays, weight)
        case Sharing.FIRST_COME:
            place = np.argsort(np.argsort(stays.arrived_s, kind="stable")).astype(float)
            offset_a, slope = -_FAR_A * place, np.ones(len(weight))
        case _:
            assert_never(sharing)
    nobody = np.zeros(len(weight), dtype=bool)
    return Policy(offset_a=offset_a, weight=slope, equal=weight, is_planned=nobody)


def congestion(stays: Stays, members: Members, room: Floats, *, chosen: Bools) -> float:
    """Return how much of all power they need until the worst of their departures; 1 = all.

    The greatest of ``sum(missing of who leaves until then) / (power * time until then)`` (facts
    2.6). The power is what the rows carry when shared equally; a little more may be possible.
    """
    if not chosen.any():
        return 0.0
    nothing, hi = np.zeros(len(chosen)), np.where(chosen, stays.most_a, 0.0)
    filled = fill(members, lo=nothing, hi=hi, weight=np.ones(len(chosen)), room=room)
    power_w = max(float((filled.amps * stays.volts)[chosen].sum()), LEAST_W)
    mine = stays.among(np.flatnonzero(chosen))
    first = np.argsort(mine.stays_s, kind="stable")
    needed_w = np.cumsum(mine.missing_wh[first]) * 3_600 / mine.stays_s[first]
    return float(needed_w.max() / power_w)


def _needed_a(stays: Stays) -> Floats:
    """Return the current that would just do until departure, on each phase in use."""
    return np.asarray(stays.missing_wh * 3_600 / (stays.volts * stays.stays_s))


def _urgent(stays: Stays, weight: Floats) -> tuple[Floats, Floats]:
    """Smoothed least laxity (arXiv 2102.08610), mixed with the earliest departure."""
    most_a = np.maximum(stays.most_a, 1.0)
    charging_s = stays.missing_wh * 3_600 / (stays.volts * most_a)
    spare_s = np.maximum(stays.stays_s - charging_s, 0.0)
    slack_s = (ALPHA * spare_s + (1 - ALPHA) * stays.stays_s) / weight
    return -most_a * slack_s / SMOOTH_S, most_a
