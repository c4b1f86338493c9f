"""How unevenly cars on fewer than three phases may load the grid (VDE-AR-N 4100: 20 A).

A phase may carry so much more of them than any other phase carries; what flows on all three alike
does not count. What the other phases carry is taken as measured, never as offered: a car may draw
less.
"""

import numpy as np

from loadmgr.domain.arrays import Floats
from loadmgr.domain.demand import Column, Demands
from loadmgr.domain.rows import Rows


def carried_by_all(rows: Rows, demands: Demands, limit: Floats) -> None:
    """Raise the limits of imbalance in ``limit`` by what every phase carries at least.

    A car of which nobody knows the phase is on none of them here.
    """
    first = rows.imbalance
    if not np.isfinite(limit[first]):
        return
    usage = demands.usage
    is_placed = demands.truth(Column.UNBALANCED) & (usage.sum(axis=1) < 3)
    limit[first : first + 3] += demands.measured_a[is_placed].sum(axis=0).min()
