"""When a change is worth sending: down at once, up slowly, trifles not at all."""

from dataclasses import dataclass

import numpy as np

from loadmgr.domain.arrays import Bools, Floats
from loadmgr.domain.demand import Column, Demands
from loadmgr.domain.fill import TOLERANCE_A, Members

TRIFLE_A = 0.5
"""Smaller changes are not sent unless a limit needs them."""
RAISE_INTERVAL_S = 3.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Paced:
    """What is sent, and whose raise has to wait."""

    amps: Floats
    is_held: Bools
    """The present setpoint stays, because the change is a trifle."""
    is_slowed: Bools
    """The raise comes later, because the last one is too recent."""


def pace(
    members: Members, demands: Demands, *, wished_a: Floats, room: Floats, now_s: float
) -> Paced:
    """Hold raises that come too soon, and changes that are too small to matter.

    The first current of an EVSE is never held, nor is a lowering that any row needs.
    """
    had, most_a = demands.column(Column.SENT_A), demands.most_a  # NaN is neither more nor less
    rises = (had > 0) & (wished_a > had + TOLERANCE_A)
    is_slowed = rises & (now_s - demands.column(Column.RAISED_S) < RAISE_INTERVAL_S)
    is_trifle = rises & (wished_a - had < TRIFLE_A) & (wished_a < most_a - TOLERANCE_A)
    sinks = (wished_a > 0) & (wished_a < had - TOLERANCE_A)
    may_stay = sinks & (had - wished_a < TRIFLE_A) & (had <= most_a + TOLERANCE_A)
    if may_stay.any():
        may_stay = _where_nothing_overflows(
            members, may_stay, had=had, wished_a=wished_a, room=room
        )
    is_held = is_trifle | may_stay
    amps = np.where(is_held | is_slowed, had, wished_a)
    return Paced(amps=amps, is_held=is_held, is_slowed=is_slowed & ~is_trifle)


def _where_nothing_overflows(
    members: Members, may_stay: Bools, *, had: Floats, wished_a: Floats, room: Floats
) -> Bools:
    total = members.row_sums(np.where(may_stay, had, wished_a), len(room))
    overflows = total > room + TOLERANCE_A
    stays = may_stay.copy()
    stays[members.evse[overflows[members.row]]] = False
    return stays
