"""How much of the fair shares can be given right now: raises only out of what is uncommitted.

Lowering is always allowed. A raise may use only what no limit in force, no measurement and no
unreachable box may be using, so the sum of all that may flow stays below every fuse at any moment.
"""

from dataclasses import dataclass

import numpy as np

from loadmgr.domain.admission import admit
from loadmgr.domain.arrays import Floats, Ints
from loadmgr.domain.demand import Column, Demands, floor_steps
from loadmgr.domain.fill import TOLERANCE_A, UNBOUND, Members, fill
from loadmgr.domain.reserve import EXCESS_A, MARGIN_A
from loadmgr.domain.site_model import SiteModel


@dataclass(frozen=True, eq=False, kw_only=True)
class Committed:
    """What may be sent now, and the row that holds the rest of a raise back."""

    amps: Floats
    row: Ints


@dataclass(frozen=True, eq=False, kw_only=True)
class Fixed:
    """What is taken on each row whatever is sent."""

    possible: Floats
    """What may flow: a current measured before a limit was lowered counts on."""
    proven: Floats
    """What was seen to exceed the limit of its time. Without the rest nobody is thought to disobey
    only because he has not been measured again."""


def reserved_now(demands: Demands, upper_a: Floats) -> Floats:
    """Return what may flow per EVSE and grid phase (N x 3).

    The limit in force on the phases in use; where more is measured, that and a margin.
    """
    by_limit = demands.usage * upper_a[:, None]
    is_exceeded = demands.flowing_a > by_limit + EXCESS_A
    return np.where(is_exceeded, demands.flowing_a + MARGIN_A, by_limit)


def fixed_rows(model: SiteModel, demands: Demands) -> Fixed:
    """Return what EVSEs take that no setpoint can change now.

    All that may flow at those out of reach, and at the others what exceeds their limit.
    """
    reserved = reserved_now(demands, demands.upper_a)
    by_limit = demands.usage * demands.upper_a[:, None]
    fixed = np.where(demands.is_steered[:, None], reserved - by_limit, reserved)
    if not fixed.any():
        nothing = np.zeros(model.rows.count)
        return Fixed(possible=nothing, proven=nothing)
    obeyed = demands.usage * np.maximum(demands.upper_a, demands.column(Column.UNDER_A))[:, None]
    is_proven = ~demands.is_steered[:, None] | (demands.flowing_a > obeyed + EXCESS_A)
    proven = np.where(is_proven, fixed, 0.0)
    return Fixed(
        possible=model.rows.sums(fixed, demands.who), proven=model.rows.sums(proven, demands.who)
    )


def may_flow(model: SiteModel, demands: Demands) -> Floats:
    """Return per row the most that all EVSEs may draw now."""
    return model.rows.sums(reserved_now(demands, demands.upper_a), demands.who)


def commit(
    model: SiteModel,
    demands: Demands,
    members: Members,
    *,
    target_a: Floats,
    queue: Ints,
    room: Floats,
) -> Committed:
    """Return the part of the targets that fits beside everything that is still reserved.

    Raises from nothing are granted in the order of ``queue``.
    """
    upper_a = np.where(demands.is_steered, demands.upper_a, 0.0)
    raises = demands.is_steered & (target_a > upper_a + TOLERANCE_A)
    free = room - members.row_sums(upper_a, len(room))
    amps, row = target_a, np.full(len(target_a), UNBOUND)
    if raises.any():
        amps, row = _raised(
            model,
            members.among(raises),
            upper_a=upper_a,
            target_a=target_a,
            order=queue[raises[queue]],
            free=free,
        )
        amps = np.where(raises, amps, target_a)
    return _without_raise_where_overfull(model, demands, members, amps=amps, row=row, free=free)


def _raised(
    model: SiteModel,
    raising: Members,
    *,
    upper_a: Floats,
    target_a: Floats,
    order: Ints,
    free: Floats,
) -> tuple[Floats, Ints]:
    """Return the targets of those in ``order`` cut to what is free, and the row that cuts each."""
    need = np.maximum(model.min_a - upper_a, 0.0)
    granted = admit(raising, order=order, need=need, room=free)
    lo = np.where(granted, np.maximum(upper_a, model.min_a), upper_a)
    hi = np.where(granted, target_a, lo)
    room = free + raising.row_sums(upper_a, len(free))
    filled = fill(raising, lo=lo, hi=hi, weight=model.weight, room=room)
    steps = np.maximum(floor_steps(filled.amps, model.step_a), model.min_a)
    raised = np.where(granted, np.minimum(steps, target_a), _held(upper_a, model))
    return raised, filled.row


def _without_raise_where_overfull(
    model: SiteModel,
    demands: Demands,
    members: Members,
    *,
    amps: Floats,
    row: Ints,
    free: Floats,
) -> Committed:
    """Send below a row that may be overfull only what is certainly no raise.

    What is reserved may be less than what is in force; a setpoint between the two would fill up a
    row that has nothing left.
    """
    is_overfull = free[members.row] < -TOLERANCE_A
    row = row.copy()
    row[members.evse[is_overfull]] = members.row[is_overfull]
    is_below = np.zeros(len(amps), dtype=bool)
    is_below[members.evse[is_overfull]] = True
    lower_limit_a = demands.column(Column.LOWER_A)
    lower_a = np.maximum(floor_steps(lower_limit_a, model.step_a), model.min_a)
    safe_a = np.where(lower_limit_a >= model.min_a, lower_a, 0.0)
    return Committed(amps=np.where(is_below, np.minimum(amps, safe_a), amps), row=row)


def _held(upper_a: Floats, model: SiteModel) -> Floats:
    """Return what stays of a raise that does not fit: nothing between zero and the minimum."""
    return np.where(upper_a >= model.min_a, upper_a, 0.0)
