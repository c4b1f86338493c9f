"""One decision: from the site, what is known and the time to setpoints."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np

from loadmgr.domain.arrays import Bools, Floats
from loadmgr.domain.claims import claims_of
from loadmgr.domain.commit import commit, fixed_rows
from loadmgr.domain.demand import Column, Demands
from loadmgr.domain.imbalance import carried_by_all
from loadmgr.domain.limits import limits_now
from loadmgr.domain.pace import pace
from loadmgr.domain.phase_choice import Sight, chosen_phases
from loadmgr.domain.reasons import Outcome, Why
from loadmgr.domain.report import Report
from loadmgr.domain.share import Shares, share
from loadmgr.domain.site_model import SiteModel
from loadmgr.domain.state import State
from loadmgr.domain.uncontrolled import silent_meters, uncontrolled_rows
from shared.contracts.charging import ApplySetpoint, OffersDecided
from shared.contracts.site import Meter


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to send, what to tell, and what to remember."""

    setpoints: tuple[ApplySetpoint, ...]
    """Lowerings first."""
    report: Report = field(compare=False)
    shares: Shares = field(compare=False)
    silent_meters: frozenset[Meter]
    disobeying: frozenset[str]

    @cached_property
    def decided(self) -> OffersDecided:
        """What is told of it; made only when somebody asks, because setpoints go first."""
        return self.report.event()


def decide(model: SiteModel, state: State, now: datetime) -> Decision:
    """Plan, and remember in ``state`` what was planned. The setpoints count as sent."""
    decision = plan(model, state, now)
    state.note_setpoints(model, decision.setpoints, now.timestamp())
    state.turns.note(
        wants=decision.report.outcome.demands.wants,
        deserved_a=decision.shares.deserved_a,
        given_a=decision.shares.amps,
        min_a=model.min_a,
        now_s=now.timestamp(),
    )
    return decision


def plan(model: SiteModel, state: State, now: datetime) -> Decision:
    """Decide what every EVSE is offered.

    Whatever is unknown counts as its worst case. The sum of what may flow (``reserved_a``) and of
    what flows beside never grows beyond a limit by anything that is sent here.
    """
    now_s = now.timestamp()
    demands = state.demands(model, now_s)
    beside_a, is_lost = uncontrolled_rows(model, state.meters, now_s)
    limits = limits_now(model, state.external, now)
    carried_by_all(model.rows, demands, limits.amount)
    room = limits.amount - model.rows.with_circuits(beside_a) - fixed_rows(model, demands)
    members = state.members(model, demands, limits.amount)
    claims = claims_of(model, demands, state.turns, now_s)
    shares = share(claims, members, room)
    sight = Sight(
        model=model,
        demands=demands,
        claims=claims,
        limit=limits.amount,
        left=room - members.row_sums(shares.amps, len(room)),
        amps=shares.amps,
    )
    phases, changes = chosen_phases(sight, now_s)
    target_a = np.where(changes, 0.0, shares.amps)
    committed = commit(model, demands, members, target_a=target_a, queue=claims.queue, room=room)
    paced = pace(members, demands, wished_a=committed.amps, room=room, now_s=now_s)
    outcome = Outcome(
        demands=demands,
        limits=limits,
        shares=shares,
        committed=committed,
        paced=paced,
        phases=phases,
        is_lost=is_lost,
    )
    why = Why(model, outcome)
    return Decision(
        setpoints=_setpoints(model, state, outcome, why, now_s=now_s),
        report=Report(
            model=model,
            records=state.evses,
            outcome=outcome,
            why=why,
            members=members,
            room=room,
            beside_a=beside_a,
            decided_at=now,
        ),
        shares=shares,
        silent_meters=silent_meters(model, state.meters, now_s),
        disobeying=_ids(model, demands.truth(Column.DISOBEYS)),
    )


def _ids(model: SiteModel, chosen: Bools) -> frozenset[str]:
    return frozenset(model.evses[index].config.id for index in np.flatnonzero(chosen))


def _setpoints(
    model: SiteModel, state: State, outcome: Outcome, why: Why, *, now_s: float
) -> tuple[ApplySetpoint, ...]:
    """Return what is new, what renews a lease, and what was not accepted the last time."""
    demands, amps, phases = outcome.demands, outcome.paced.amps, outcome.phases
    revision = max(state.revision + 1, int(now_s * 1_000))
    due = np.flatnonzero(_is_due(demands, amps, phases, now_s))
    lowered_first = due[np.argsort(amps[due] > demands.upper_a[due], kind="stable")]
    return tuple(
        ApplySetpoint(
            station_id=model.evses[index].station_id,
            evse_id=model.evses[index].config.id,
            connector=model.evses[index].config.connector,
            revision=revision,
            limit_a=float(amps[index]),
            phases=int(phases[index]) or None,
            lease_s=model.site.lease_s,
            reason=why.of(index),
        )
        for index in lowered_first.tolist()
    )


def _is_due(demands: Demands, amps: Floats, phases: Floats, now_s: float) -> Bools:
    told = np.nan_to_num(demands.column(Column.TOLD_PHASES))
    is_new = (demands.column(Column.SENT_A) != amps) | (told != phases)
    is_due = is_new | (demands.column(Column.DUE_S) <= now_s)
    return np.asarray(demands.is_steered & is_due)
