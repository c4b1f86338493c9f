"""One decision: from the site, what is known and the time to setpoints. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np

from loadmgr.domain.arrays import Bools, Floats
from loadmgr.domain.commit import commit, fixed_rows
from loadmgr.domain.demand import Demands, judge
from loadmgr.domain.evse_record import EvseRecord
from loadmgr.domain.fill import Members
from loadmgr.domain.limits import limits_now
from loadmgr.domain.pace import Present, pace
from loadmgr.domain.reasons import Outcome, reasons
from loadmgr.domain.report import Report
from loadmgr.domain.share import share
from loadmgr.domain.site_model import SiteModel
from loadmgr.domain.state import State
from loadmgr.domain.uncontrolled import silent_meters, uncontrolled_rows
from shared.contracts.charging import ApplySetpoint, OffersDecided, Reason, SetpointOutcome
from shared.contracts.site import Meter

RETRY_S = 10.0
"""A setpoint that was not accepted is sent again after this."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to send, what to tell, and what to remember."""

    setpoints: tuple[ApplySetpoint, ...]
    """Lowerings first."""
    report: Report = field(compare=False)
    served: frozenset[str]
    waiting: frozenset[str]
    silent_meters: frozenset[Meter]
    disobeying: frozenset[str]

    @cached_property
    def decided(self) -> OffersDecided:
        """What is told of it; made only when somebody asks, because setpoints go first."""
        return self.report.event()


def decide(model: SiteModel, state: State, now: datetime) -> Decision:
    """Plan, and remember in ``state`` what was planned. The setpoints count as sent."""
    decision = plan(model, state, now)
    state.note_decision(model, decision.setpoints, now.timestamp())
    state.note_turns(decision.served, decision.waiting, now.timestamp())
    return decision


def plan(model: SiteModel, state: State, now: datetime) -> Decision:
    """Decide what every EVSE is offered.

    Whatever is unknown counts as its worst case. The sum of what may flow (``reserved_a``) and of
    what flows beside never grows beyond a limit by anything that is sent here.
    """
    now_s = now.timestamp()
    demands = judge(model, state, now_s)
    beside_a, is_lost = uncontrolled_rows(model, state.meters, now_s)
    limits = limits_now(model, state.external, now)
    room = limits.amount - model.rows.with_circuits(beside_a) - fixed_rows(model, demands)
    members = Members.of(model, demands.usage, limits.amount)
    present = _present(model, state)
    shares = share(model, demands, members, room=room, present_a=present.amps)
    committed = commit(model, demands, members, target_a=shares.amps, room=room)
    paced = pace(
        members,
        present,
        wished_a=committed.amps,
        most_a=demands.most_a,
        room=room,
        now_s=now_s,
    )
    outcome = Outcome(
        demands=demands,
        limits=limits,
        shares=shares,
        committed=committed,
        paced=paced,
        is_lost=is_lost,
    )
    why = reasons(model, outcome)
    return Decision(
        setpoints=_setpoints(model, state, demands, paced.amps, why, now_s=now_s),
        report=Report(
            model=model,
            records=state.evses,
            outcome=outcome,
            why=why,
            beside_a=beside_a,
            decided_at=now,
        ),
        served=_ids(model, shares.amps > 0),
        waiting=_ids(model, demands.wants & (shares.amps <= 0)),
        silent_meters=silent_meters(model, state.meters, now_s),
        disobeying=frozenset(
            e.config.id for e in model.evses if state.evses[e.config.id].disobeys(now_s)
        ),
    )


def _present(model: SiteModel, state: State) -> Present:
    records = [state.evses[evse.config.id] for evse in model.evses]
    return Present(
        amps=np.array([np.nan if r.sent is None else r.sent.limit_a for r in records], dtype=float),
        raised_s=np.array([r.raised_s for r in records], dtype=float),
    )


def _ids(model: SiteModel, chosen: Bools) -> frozenset[str]:
    return frozenset(model.evses[index].config.id for index in np.flatnonzero(chosen))


def _setpoints(
    model: SiteModel,
    state: State,
    demands: Demands,
    amps: Floats,
    why: tuple[Reason, ...],
    *,
    now_s: float,
) -> tuple[ApplySetpoint, ...]:
    """Return what is new, what renews a lease, and what was not accepted the last time."""
    revision = max(state.revision + 1, int(now_s * 1_000))
    lowered: list[ApplySetpoint] = []
    raised: list[ApplySetpoint] = []
    columns = (demands.is_steered, amps, demands.upper_a)
    lines = zip(model.evses, why, *(column.tolist() for column in columns), strict=True)
    for evse, reason, is_steered, limit_a, upper_a in lines:
        record = state.evses[evse.config.id]
        if not is_steered or not _is_due(record, limit_a, model.site.lease_s, now_s=now_s):
            continue
        (raised if limit_a > upper_a else lowered).append(
            ApplySetpoint(
                station_id=evse.station_id,
                evse_id=evse.config.id,
                connector=evse.config.connector,
                revision=revision,
                limit_a=limit_a,
                lease_s=model.site.lease_s,
                reason=reason,
            )
        )
    return (*lowered, *raised)


def _is_due(record: EvseRecord, limit_a: float, lease_s: float, *, now_s: float) -> bool:
    sent = record.sent
    if sent is None or record.must_resend or sent.limit_a != limit_a:
        return True
    age_s = now_s - sent.sent_s
    is_accepted = sent.outcome is SetpointOutcome.ACCEPTED
    return age_s >= lease_s / 3 - 1 or (not is_accepted and age_s >= RETRY_S)
