"""What each EVSE may ask of what there is: class, share by the policy of the site, and turn."""

from dataclasses import dataclass

import numpy as np

from loadmgr.domain.arrays import Bools, Floats, Ints, ranks
from loadmgr.domain.demand import Column, Demands
from loadmgr.domain.policy import Policy, Stays, policy_of
from loadmgr.domain.prospect import Prospect
from loadmgr.domain.site_model import SiteModel
from loadmgr.domain.turns import Turns
from shared.contracts.site import Sharing
from shared.units import NOMINAL_VOLTAGE_V


@dataclass(frozen=True, eq=False, kw_only=True)
class Claims:
    """One column per EVSE."""

    wants: Bools
    """Who could use a minimum current."""
    is_idle: Bools
    """Who takes nothing of what he is offered; he stands behind all others."""
    rank: Ints
    """Higher ones are served first."""
    min_a: Floats
    most_a: Floats
    cap_a: Floats
    """What it is known to use; the rest goes to others first."""
    step_a: Floats
    policy: Policy
    is_young: Bools
    """Shared equally whatever the policy says."""
    queue: Ints
    """All EVSEs: higher ranks first, then who came first."""
    place: Ints
    """Of each EVSE in the queue."""
    owed_s: Floats
    is_on: Bools
    must_stay_on: Bools
    may_begin: Bools
    present_a: Floats
    """What each is offered now; NaN = nothing was sent yet."""


def claims_of(
    model: SiteModel,
    demands: Demands,
    turns: Turns,
    now_s: float,
    *,
    prospect: Prospect | None = None,
) -> Claims:
    """Put together what is known into what each may ask for.

    With a ``prospect`` the highest class is planned until its last departure when not all can be
    full in time, where the site shares by deadlines and plans ahead.
    """
    site = model.site
    rank = 2 * model.priority + demands.truth(Column.FIRST)
    stays = _stays(model, demands, now_s)
    delivered_wh = demands.column(Column.DELIVERED_WH)
    queue = np.lexsort((demands.column(Column.ARRIVED_S), -rank))
    policy = policy_of(site.sharing, stays, weight=model.weight)
    if prospect is not None and site.sharing is Sharing.DEADLINE and site.plans_ahead:
        chosen = _highest(demands.wants & ~demands.truth(Column.IDLE), rank)
        policy = prospect.policy(policy, stays, chosen=chosen, now_s=now_s)
    return Claims(
        wants=demands.wants,
        is_idle=demands.truth(Column.IDLE),
        rank=rank,
        min_a=model.min_a,
        most_a=demands.most_a,
        cap_a=demands.column(Column.CAP_A),
        step_a=model.step_a,
        policy=policy,
        is_young=delivered_wh < 1_000 * site.equal_first_kwh
        if site.sharing is not Sharing.EQUAL
        else np.zeros(len(rank), dtype=bool),
        queue=queue,
        place=ranks(queue),
        owed_s=turns.owed_s(model.min_a, now_s),
        is_on=turns.is_on,
        must_stay_on=turns.must_stay_on(now_s),
        may_begin=turns.may_begin(now_s),
        present_a=demands.column(Column.SENT_A),
    )


def _highest(among: Bools, rank: Ints) -> Bools:
    """Return those of the highest class that is there."""
    return np.asarray(among & (rank == rank[among].max(initial=rank.min(initial=0))))


def _stays(model: SiteModel, demands: Demands, now_s: float) -> Stays:
    """Return how long each stays and what it wants; where nobody said, what the site assumes."""
    site = model.site
    arrived_s, departs_s = demands.column(Column.ARRIVED_S), demands.column(Column.DEPARTS_S)
    wanted_wh, delivered_wh = demands.column(Column.WANTED_WH), demands.column(Column.DELIVERED_WH)
    departs_s = np.where(np.isnan(departs_s), arrived_s + 3_600 * site.assumed_stay_h, departs_s)
    wanted_wh = np.where(np.isnan(wanted_wh), 1_000 * site.assumed_kwh, wanted_wh)
    return Stays(
        arrived_s=arrived_s,
        left_s=departs_s - now_s,
        wanted_wh=wanted_wh,
        delivered_wh=delivered_wh,
        most_a=np.minimum(demands.most_a, demands.column(Column.CAP_A)),
        volts=NOMINAL_VOLTAGE_V * np.maximum(demands.usage.sum(axis=1), 1.0),
    )
