"""Who gets the minimum current when it does not suffice for all: one after another, in order."""

import numpy as np

from loadmgr.domain.arrays import Bools, Floats, Ints, Stretches, order_in_rows
from loadmgr.domain.fill import TOLERANCE_A, Members


def admit(members: Members, *, order: Ints, need: Floats, room: Floats) -> Bools:
    """Grant ``need`` (A) to EVSEs in ``order`` wherever it fits on all their rows.

    The result is that of asking one by one. It is found in few batches: whoever fits even if all
    before him are granted is in, whoever does not fit alone is out, and then again. A granted
    later one takes no room from an undecided earlier one, because his sum has counted that one.
    """
    asking = np.zeros(len(need), dtype=bool)
    asking[order] = True
    need, room = np.where(asking, need, 0.0), room + TOLERANCE_A
    granted = asking & (need <= 0)
    mine = members.where((members.row_sums(need, len(room)) > room)[members.row])
    undecided = _fitting(asking & ~granted, mine, mine.load * need[mine.evse], room)
    mine = mine.among(undecided)
    if not len(mine.row):
        return granted | undecided
    rank = np.zeros(len(need), dtype=np.intp)
    rank[order] = np.arange(len(order))
    mine = mine.where(order_in_rows(mine.row, rank[mine.evse]))
    while undecided.any():
        wanted = mine.load * need[mine.evse]
        accepted = _fitting(undecided, mine, Stretches.of(mine.row).running(wanted), room)
        granted |= accepted
        room = room - mine.row_sums(np.where(accepted, need, 0.0), len(room))
        undecided = _fitting(undecided & ~accepted, mine, wanted, room)
        mine = mine.among(undecided)
    return granted


def _fitting(asking: Bools, members: Members, taken: Floats, room: Floats) -> Bools:
    """Keep those for whom what is taken of their rows is there, on every one of them."""
    fitting = asking.copy()
    fitting[members.evse[taken > room[members.row]]] = False
    return fitting
