"""One decision: from the site, what is known and the time to setpoints. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from loadmgr.domain.arrays import Bools, Floats
from loadmgr.domain.commit import commit, fixed_rows, reserved_now
from loadmgr.domain.demand import Demands, judge
from loadmgr.domain.evse_record import EvseRecord
from loadmgr.domain.fill import Members
from loadmgr.domain.limits import limits_now
from loadmgr.domain.pace import Present, pace
from loadmgr.domain.reasons import Outcome, reasons
from loadmgr.domain.share import share
from loadmgr.domain.site_model import SiteModel
from loadmgr.domain.state import State
from loadmgr.domain.uncontrolled import silent_meters, uncontrolled_rows
from shared.contracts.charging import (
    ApplySetpoint,
    CircuitLoad,
    Offer,
    OffersDecided,
    Reason,
    SetpointOutcome,
)
from shared.contracts.site import Meter
from shared.units import PhaseAmps

RETRY_S = 10.0
"""A setpoint that was not accepted is sent again after this."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to send, what to tell, and what to remember."""

    setpoints: tuple[ApplySetpoint, ...]
    """Lowerings first."""
    decided: OffersDecided
    served: frozenset[str]
    waiting: frozenset[str]
    silent_meters: frozenset[Meter]
    disobeying: frozenset[str]


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
        decided=_decided(model, state, outcome, why, beside_a=beside_a, now=now),
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


def _decided(
    model: SiteModel,
    state: State,
    outcome: Outcome,
    why: tuple[Reason, ...],
    *,
    beside_a: Floats,
    now: datetime,
) -> OffersDecided:
    demands, amps = outcome.demands, outcome.paced.amps
    upper_a = np.where(demands.is_steered, np.maximum(demands.upper_a, amps), demands.upper_a)
    limits = np.where(demands.is_steered, amps, demands.upper_a)
    reserved = reserved_now(demands, upper_a)
    offers = tuple(
        Offer(
            evse_id=evse.config.id,
            limit_a=limit_a,
            measured_a=_measured(state.evses[evse.config.id], now.timestamp()),
            reserved_a=most_a,
            reason=reason,
        )
        for evse, limit_a, most_a, reason in zip(
            model.evses, limits.tolist(), reserved.max(axis=1).tolist(), why, strict=True
        )
    )
    loads = _loads(model, model.rows.sums(reserved), beside_a)
    return OffersDecided(decided_at=now.astimezone(UTC), offers=offers, circuits=loads)


def _measured(record: EvseRecord, now_s: float) -> PhaseAmps | None:
    if not record.is_measured(now_s):
        return None
    first, second, third = record.line_a
    return PhaseAmps(l1=first, l2=second, l3=third)


def _loads(model: SiteModel, reserved: Floats, beside_a: Floats) -> tuple[CircuitLoad, ...]:
    return tuple(
        CircuitLoad(
            circuit_id=circuit.id,
            limit_a=circuit.limit_a.amps,
            reserved_a=_amps(reserved[3 * index : 3 * index + 3]),
            uncontrolled_a=_amps(beside_a[3 * index : 3 * index + 3]),
        )
        for index, circuit in enumerate(model.circuits)
    )


def _amps(phase_a: Floats) -> PhaseAmps:
    first, second, third = (round(amps, 3) for amps in phase_a.tolist())
    return PhaseAmps(l1=first, l2=second, l3=third)
