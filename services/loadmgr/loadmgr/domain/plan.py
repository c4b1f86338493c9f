"""One decision: from the site, what is known and the time to setpoints."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

import numpy as np

from loadmgr.domain.arrays import Bools, Floats
from loadmgr.domain.claims import Claims, claims_of
from loadmgr.domain.commit import commit, fixed_rows, may_flow
from loadmgr.domain.cover import covered
from loadmgr.domain.demand import Column, Demands
from loadmgr.domain.fill import Members
from loadmgr.domain.ground import Ground
from loadmgr.domain.guard import guard_now
from loadmgr.domain.imbalance import carried_by_all
from loadmgr.domain.limits import limits_now
from loadmgr.domain.pace import pace
from loadmgr.domain.phase_choice import Sight, chosen_phases
from loadmgr.domain.prospect import Prospect
from loadmgr.domain.reasons import Outcome, Why
from loadmgr.domain.report import Report
from loadmgr.domain.share import share
from loadmgr.domain.site_model import SiteModel
from loadmgr.domain.state import State
from loadmgr.domain.surplus import Look
from loadmgr.domain.uncontrolled import silent_meters, uncontrolled_rows
from shared.contracts.charging import ApplySetpoint, OffersDecided
from shared.contracts.site import Meter


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to send, what to tell, and what to remember."""

    setpoints: tuple[ApplySetpoint, ...]
    """Lowerings first."""
    report: Report = field(compare=False)
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
    outcome = decision.report.outcome
    state.turns.note(
        wants=outcome.demands.wants,
        deserved_a=outcome.shares.deserved_a,
        given_a=outcome.shares.amps,
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
    ground = _ground(model, state, demands, now)
    members = state.members(model, demands, ground.limits.amount)
    prospect = Prospect(members=members, room=ground.fair_room, kept=state.plan)
    claims = claims_of(model, demands, state.turns, now_s, prospect=prospect)
    outcome = _outcome(model, claims, demands, members, ground=ground, now_s=now_s)
    report = Report(
        model=model,
        outcome=outcome,
        why=Why(model, outcome),
        members=members,
        decided_at=now,
    )
    return Decision(
        setpoints=_setpoints(state, report, now_s),
        report=report,
        silent_meters=silent_meters(model, state.meters, now_s),
        disobeying=_ids(model, demands.truth(Column.DISOBEYS)),
    )


def _ground(model: SiteModel, state: State, demands: Demands, now: datetime) -> Ground:
    """Return what there is to share."""
    now_s = now.timestamp()
    beside_a, is_lost = uncontrolled_rows(model, state.meters, now_s)
    beside = model.rows.with_circuits(beside_a)
    guard = guard_now(model, state.meters, beside_a, is_lost, now_s=now_s)
    limits = limits_now(model, state.external, now, guard=guard)
    look = Look(
        model=model,
        records=state.evses,
        meters=state.meters,
        now_s=now_s,
        solar=_ids(model, demands.truth(Column.SOLAR)),
    )
    state.moving.lower(limits, look, lambda: beside + may_flow(model, demands))
    carried_by_all(model.rows, demands, limits.amount)
    left, fixed = limits.amount - beside, fixed_rows(model, demands)
    return Ground(
        limits=limits,
        beside_a=beside_a,
        is_lost=is_lost,
        guard=guard,
        room=left - fixed.possible,
        fair_room=left - fixed.proven,
    )


def _outcome(
    model: SiteModel,
    claims: Claims,
    demands: Demands,
    members: Members,
    *,
    ground: Ground,
    now_s: float,
) -> Outcome:
    """Return every stage from the fair shares to what is sent."""
    room, fair_room = ground.room, ground.fair_room
    shares = share(claims, members, fair_room)
    sight = Sight(
        model=model,
        demands=demands,
        claims=claims,
        limit=ground.limits.amount,
        left=fair_room - members.row_sums(shares.amps, len(fair_room)),
        amps=shares.amps,
    )
    phases, changes = chosen_phases(sight, now_s)
    target_a = np.where(changes, 0.0, shares.amps)
    committed = commit(model, demands, members, target_a=target_a, queue=claims.queue, room=room)
    paced = pace(members, demands, wished_a=committed.amps, room=fair_room, now_s=now_s)
    fuses = room + ground.guard
    amps = covered(
        model, demands, members, amps=paced.amps, queue=claims.queue, room=fuses, now_s=now_s
    )
    return Outcome(
        demands=demands,
        ground=ground,
        shares=shares,
        committed=committed,
        paced=replace(paced, amps=amps),
        phases=phases,
    )


def _ids(model: SiteModel, chosen: Bools) -> frozenset[str]:
    return frozenset(model.evses[index].config.id for index in np.flatnonzero(chosen))


def _setpoints(state: State, report: Report, now_s: float) -> tuple[ApplySetpoint, ...]:
    """Return what is new, what renews a lease, and what was not accepted the last time."""
    outcome, model = report.outcome, report.model
    amps, phases = outcome.paced.amps, outcome.phases
    revision = max(state.revision + 1, int(now_s * 1_000))
    due = np.flatnonzero(_is_due(outcome.demands, amps, phases, now_s))
    rises = amps[due] > outcome.demands.upper_a[due]
    return tuple(
        ApplySetpoint(
            station_id=model.evses[index].station_id,
            evse_id=model.evses[index].config.id,
            connector=model.evses[index].config.connector,
            revision=revision,
            limit_a=float(amps[index]),
            phases=int(phases[index]) or None,
            lease_s=model.site.lease_s,
            reason=report.why.of(index),
        )
        for index in due[np.argsort(rises, kind="stable")].tolist()
    )


def _is_due(demands: Demands, amps: Floats, phases: Floats, now_s: float) -> Bools:
    told = demands.column(Column.TOLD_PHASES)
    is_new = (demands.column(Column.SENT_A) != amps) | ((told != phases) & ~np.isnan(told))
    is_due = is_new | (demands.column(Column.DUE_S) <= now_s)
    return np.asarray(demands.is_steered & is_due)
