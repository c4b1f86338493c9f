"""Who gets the minimum current when it does not suffice for all: one after another, in order."""

import numpy as np

from loadmgr.domain.arrays import Bools, Floats, Ints, order_in_rows, running_by_row, sum_by_row
from loadmgr.domain.fill import TOLERANCE_A, Members


def admit(members: Members, *, order: Ints, need: Floats, room: Floats) -> Bools:
    """Grant ``need`` (A) to EVSEs in ``order`` wherever it fits on all their rows.

    The result is that of asking one by one. It is found in few batches: whoever fits even if all
    before him are granted is in, whoever does not fit alone is out, and then again. A granted
    later one takes no room from an undecided earlier one, because his sum has counted that one.
    """
    undecided = np.zeros(len(need), dtype=bool)
    undecided[order] = True
    granted = np.zeros(len(need), dtype=bool)
    rank = np.zeros(len(need), dtype=np.intp)
    rank[order] = np.arange(len(order))
    mine = members.among(undecided)
    mine = mine.on(mine.row_sums(need, len(room)) > room + TOLERANCE_A)
    if not len(mine.row):
        return undecided
    by_rank = order_in_rows(mine.row, rank[mine.evse])
    row, evse, load = mine.row[by_rank], mine.evse[by_rank], mine.load[by_rank]
    room = room + TOLERANCE_A
    while undecided.any():
        wanted = load * np.where(undecided, need, 0.0)[evse]
        fits = _all_of(evse, running_by_row(row, wanted) <= room[row], len(need))
        fits_alone = _all_of(evse, wanted <= room[row], len(need))
        accepted = undecided & (fits | (need <= 0))
        granted |= accepted
        taken = load * np.where(accepted, need, 0.0)[evse]
        room = room - sum_by_row(row, taken, len(room))
        undecided &= ~accepted & fits_alone
    return granted


def _all_of(evse: Ints, holds: Bools, count: int) -> Bools:
    """Tell for which EVSEs something holds on every row."""
    result = np.ones(count, dtype=bool)
    result[evse[~holds]] = False
    return result
