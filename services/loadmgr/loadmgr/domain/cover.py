"""Quick boxes give up for a while what slow ones have not given up yet.

A box that does not answer may still allow what it allowed before. Where a row carries too much for
that reason, those who answer are lowered by the rest: for a short silence down to their minimum,
for a long one to nothing where it must be.
"""

import numpy as np

from loadmgr.domain.admission import admit
from loadmgr.domain.arrays import Bools, Floats, Ints
from loadmgr.domain.demand import Column, Demands, floor_steps
from loadmgr.domain.fill import TOLERANCE_A, Members, fill
from loadmgr.domain.site_model import SiteModel

ANSWERS_WITHIN_S = 2.0
"""Most boxes do. Who does not is covered for."""
STOPS_AFTER_S = 10.0
"""So long nobody is stopped for another's silence."""


def covered(
    model: SiteModel,
    demands: Demands,
    members: Members,
    *,
    amps: Floats,
    queue: Ints,
    room: Floats,
    now_s: float,
) -> Floats:
    """Return the currents (A) with which no row carries too much while slow boxes lag."""
    silent_s = now_s - demands.column(Column.UNANSWERED_S)
    is_slow = demands.is_steered & (silent_s >= ANSWERS_WITHIN_S)
    if not is_slow.any():
        return amps
    held_a = np.where(is_slow, np.maximum(demands.upper_a, amps), 0.0)
    left = room - members.row_sums(held_a, len(room))
    quick = ~is_slow & (amps > 0)
    others_a = np.where(quick, amps, 0.0)
    is_over = members.row_sums(others_a, len(room)) > left + TOLERANCE_A
    if not is_over.any():
        return amps
    on = quick
    if (is_slow & (silent_s >= STOPS_AFTER_S)).any():
        order = queue[quick[queue]]
        on = admit(members, order=order, need=model.min_a, room=left)
    least_a = np.where(on, np.minimum(model.min_a, amps), 0.0)
    highest_a = np.where(on, amps, 0.0)
    filled = fill(members, lo=least_a, hi=highest_a, weight=model.weight, room=left)
    return np.where(quick, _in_steps(model, filled.amps, amps, on), amps)


def _in_steps(model: SiteModel, given_a: Floats, amps: Floats, on: Bools) -> Floats:
    """Round down what is less than before; whoever keeps what he had keeps it exactly."""
    steps = np.maximum(floor_steps(given_a, model.step_a), model.min_a)
    return np.where(on, np.where(given_a < amps - TOLERANCE_A, steps, amps), 0.0)
