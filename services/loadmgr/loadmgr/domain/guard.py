"""What of a fuse is kept free for what other consumers add within seconds.

Where a meter shows that they draw b, and the site says that they draw w at most, they can add no
more than w - b, so no more is kept free. Whoever draws more than was said has refuted it, and what
a lost meter hides proves nothing: then all of the guard is kept. So it is for some seconds after
they have begun to draw more: the cars are lowered by all of it first, and what is too much is over
as soon as most of them have followed.
"""

from collections.abc import Mapping

import numpy as np

from loadmgr.domain.arrays import Bools, Floats
from loadmgr.domain.meter_record import MeterRecord
from loadmgr.domain.reserve import FOLLOW_S
from loadmgr.domain.site_model import SiteModel

AFTER_RISE_S = FOLLOW_S + 1.0
"""A meter tells once a second, and then the cars follow."""


def guard_now(
    model: SiteModel,
    meters: Mapping[str, MeterRecord],
    beside_a: Floats,
    is_lost: Bools,
    *,
    now_s: float,
) -> Floats:
    """Return what each row keeps free now.

    ``beside_a`` and ``is_lost`` are of the circuits, three phases each: what others draw there, and
    whether a lost meter's worst case counts.
    """
    guard = model.rows.guard.copy()
    for index, said_most_a in model.said_most_a.items():
        rows = slice(3 * index, 3 * index + 3)
        may_add = said_most_a - beside_a[rows]
        is_whole = is_lost[rows] | (may_add < 0) | _has_risen(model, meters, index, now_s)
        guard[rows] = np.where(is_whole, guard[rows], np.minimum(guard[rows], may_add))
    return guard


def _has_risen(
    model: SiteModel, meters: Mapping[str, MeterRecord], index: int, now_s: float
) -> list[bool]:
    """Tell of each phase of a circuit whether others have begun to draw more just now."""
    at = [meters[meter.id].phases for meter in model.meters_at[index]]
    return [any(now_s - of[phase].rose_s < AFTER_RISE_S for of in at) for phase in range(3)]
