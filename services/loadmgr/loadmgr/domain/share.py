"""Who ought to have how much: fair shares by class, minimum or nothing, in steps."""

from dataclasses import dataclass

import numpy as np

from loadmgr.domain.admission import admit
from loadmgr.domain.arrays import Bools, Floats, Ints
from loadmgr.domain.demand import Demands, floor_steps
from loadmgr.domain.fill import TOLERANCE_A, UNBOUND, Filled, Members, fill
from loadmgr.domain.site_model import SiteModel


@dataclass(frozen=True, eq=False, kw_only=True)
class Shares:
    """What each EVSE ought to be offered once everybody follows."""

    amps: Floats
    row: Ints
    """The row that allows no more; ``UNBOUND`` = it has the most it may be offered."""


def share(
    model: SiteModel, demands: Demands, members: Members, *, room: Floats, present_a: Floats
) -> Shares:
    """Share ``room`` (A per row) among the EVSEs that want current.

    Higher classes first; in a class whoever gets his minimum, by order, and then max-min by
    weight. What nobody in need can use goes to those who have left some unused. ``present_a`` is
    what each is offered now: of equals the one who has the odd step keeps it.
    """
    amps = np.zeros(len(demands.most_a))
    row = np.full(len(amps), UNBOUND)
    on = np.zeros(len(amps), dtype=bool)
    for of_class in _classes(model, demands.wants):
        left = room - members.row_sums(amps, len(room))
        chosen = _admitted(model, demands, members, among=of_class, room=left)
        hi = np.minimum(demands.most_a, demands.cap_a)
        filled = _filled(model, members, chosen, lo=model.min_a, hi=hi, room=left)
        amps = np.where(chosen, filled.amps, amps)
        row = np.where(chosen, filled.row, row)
        on |= chosen
    topped, full = _top_up(model, demands, members, amps=amps, on=on, room=room)
    row = np.where((row == UNBOUND) | (topped > amps + TOLERANCE_A), full, row)
    amps = topped
    amps = _in_steps(model, demands, members, amps=amps, room=room, present_a=present_a)
    row[amps >= demands.most_a - TOLERANCE_A] = UNBOUND
    return Shares(amps=amps, row=_fullest_of_waiting(members, demands, amps, row, room=room))


def _classes(model: SiteModel, wants: Bools) -> list[Bools]:
    """Return who wants, class by class, higher ones first."""
    present = np.unique(model.priority[wants])[::-1]
    return [wants & (model.priority == priority) for priority in present]


def _admitted(
    model: SiteModel, demands: Demands, members: Members, *, among: Bools, room: Floats
) -> Bools:
    order = demands.order[among[demands.order]]
    return admit(members, order=order, need=model.min_a, room=room)


def _filled(
    model: SiteModel, members: Members, chosen: Bools, *, lo: Floats, hi: Floats, room: Floats
) -> Filled:
    low, high = np.where(chosen, lo, 0.0), np.where(chosen, hi, 0.0)
    return fill(members.among(chosen), lo=low, hi=high, weight=model.weight, room=room)


def _top_up(
    model: SiteModel,
    demands: Demands,
    members: Members,
    *,
    amps: Floats,
    on: Bools,
    room: Floats,
) -> tuple[Floats, Ints]:
    """Give what the caps have left over, class by class, and find the row that binds each."""
    row = np.full(len(amps), UNBOUND)
    for of_class in _classes(model, on):
        others = np.where(of_class, 0.0, amps)
        low = np.where(of_class, amps, 0.0)
        high = np.where(of_class, np.maximum(demands.most_a, amps), 0.0)
        left = room - members.row_sums(others, len(room))
        filled = fill(members.among(of_class), lo=low, hi=high, weight=model.weight, room=left)
        amps = np.where(of_class, filled.amps, amps)
        row = np.where(of_class, filled.row, row)
    return amps, row


def _in_steps(
    model: SiteModel,
    demands: Demands,
    members: Members,
    *,
    amps: Floats,
    room: Floats,
    present_a: Floats,
) -> Floats:
    """Round down to the steps of each box and give away whole steps of what is left over."""
    on = amps > 0
    steps = np.where(on, np.maximum(floor_steps(amps, model.step_a), model.min_a), 0.0)
    missed = on & (steps + model.step_a <= demands.most_a + TOLERANCE_A)
    loses = ~(present_a >= steps + model.step_a - TOLERANCE_A)
    remainder = np.round(amps - steps, 6)
    rank = np.empty(len(amps), dtype=np.intp)
    rank[demands.order] = np.arange(len(amps))
    order = np.lexsort((rank, loses, -remainder, -model.priority))
    left = room - members.row_sums(steps, len(room))
    given = admit(members, order=order[missed[order]], need=model.step_a, room=left)
    topped: Floats = np.where(given, steps + model.step_a, steps)
    return np.round(topped, 6)


def _fullest_of_waiting(
    members: Members, demands: Demands, amps: Floats, row: Ints, *, room: Floats
) -> Ints:
    """Name for those who get nothing the fullest of their rows."""
    waiting = demands.wants & (amps <= 0)
    if not waiting.any():
        return row
    mine = members.among(waiting)
    left = (room - members.row_sums(amps, len(room)))[mine.row]
    fullest_first = np.lexsort((mine.row, left))[::-1]
    row = row.copy()
    row[mine.evse[fullest_first]] = mine.row[fullest_first]
    return row
