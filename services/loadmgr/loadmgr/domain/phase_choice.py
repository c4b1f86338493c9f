"""When a box changes between three phases and one, so that its car keeps charging.

Three phases need 6 A on each of them, one phase needs 6 A on one: where no more is left a car on a
single phase charges and does not wait. A change takes place while nothing is offered, and it stays
so for a while: cars and contactors are not made for more.
"""

from dataclasses import dataclass

import numpy as np

from loadmgr.domain.admission import admit
from loadmgr.domain.arrays import Bools, Floats
from loadmgr.domain.claims import Claims
from loadmgr.domain.demand import Column, Demands
from loadmgr.domain.fill import Members
from loadmgr.domain.site_model import SiteModel

DWELL_S = 600.0
"""The shortest time between two changes."""
WORTH = 1.2
"""Three phases must promise so many times the power of one."""
THREE = 3.0
ONE = 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Sight:
    """What the choice looks at."""

    model: SiteModel
    demands: Demands
    claims: Claims
    limit: Floats
    left: Floats
    """What the shares leave free on each row."""
    amps: Floats
    """The shares."""


def chosen_phases(sight: Sight, now_s: float) -> tuple[Floats, Bools]:
    """Return the phases that each box is told (0 = nothing), and who changes now: to 0 A first."""
    told = sight.demands.column(Column.TOLD_PHASES)
    cannot = np.isnan(told)
    phases = np.where(cannot, 0.0, told)
    may = ~cannot & (now_s - sight.demands.column(Column.SWITCHED_S) >= DWELL_S)
    if not may.any():
        return phases, may
    to_one = _to_one(sight, may & (told != ONE))
    to_three = _to_three(sight, may & (told == ONE))
    phases = np.where(to_one, ONE, np.where(to_three, THREE, phases))
    return phases, to_one | to_three


def _to_one(sight: Sight, among: Bools) -> Bools:
    """Return who waits on three phases and would have his minimum on one."""
    claims = sight.claims
    waits = claims.wants & (sight.amps <= 0) & ~claims.is_idle & claims.may_begin
    single = _members(sight, among & waits, sight.model.single_usage)
    order = claims.queue[(among & waits)[claims.queue]]
    return admit(single, order=order, need=claims.min_a, room=sight.left)


def _to_three(sight: Sight, among: Bools) -> Bools:
    """Return who would have more on three phases than he has on one."""
    claims, model = sight.claims, sight.model
    among = among & claims.wants
    others = _members(sight, among, model.full_usage - model.single_usage)
    most_a = np.where(among, claims.most_a, 0.0)
    np.minimum.at(most_a, others.evse, sight.left[others.row] / others.load)
    gains = among & (most_a >= claims.min_a) & (3 * most_a > WORTH * sight.amps)
    order = claims.queue[gains[claims.queue]]
    return admit(others, order=order, need=claims.min_a, room=sight.left)


def _members(sight: Sight, chosen: Bools, usage: Floats) -> Members:
    """Return what these EVSEs would load if they used these phases."""
    who = sight.demands.who
    return Members.of(
        sight.model.rows, np.where(chosen[:, None], usage, 0.0), who, limit=sight.limit
    )
