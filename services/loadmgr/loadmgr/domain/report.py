"""What a decision is told as: offers with their reasons, and how full each circuit is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from loadmgr.domain.arrays import Floats
from loadmgr.domain.commit import reserved_now
from loadmgr.domain.demand import Column
from loadmgr.domain.evse_record import EvseRecord
from loadmgr.domain.fill import Members
from loadmgr.domain.forecast import Sessions, outlook
from loadmgr.domain.moment import NEVER
from loadmgr.domain.reasons import Outcome, Why
from loadmgr.domain.site_model import SiteModel
from shared.contracts.charging import CircuitLoad, Forecast, Offer, OffersDecided
from shared.units import NOMINAL_VOLTAGE_V, PhaseAmps

FORESEEN_S = 2 * 86_400.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Report:
    """Everything that is needed to tell a decision. Telling takes longer than deciding."""

    model: SiteModel
    records: Mapping[str, EvseRecord]
    outcome: Outcome
    why: Why
    members: Members
    decided_at: datetime

    def event(self) -> OffersDecided:
        """Return the decision as it is published."""
        demands, amps = self.outcome.demands, self.outcome.paced.amps
        upper_a = np.where(demands.is_steered, np.maximum(demands.upper_a, amps), demands.upper_a)
        limits = np.where(demands.is_steered, amps, demands.upper_a)
        reserved = reserved_now(demands, upper_a)
        phases = self.outcome.phases.tolist()
        columns = (limits.tolist(), phases, reserved.max(axis=1).tolist(), self._forecasts())
        offers = tuple(
            Offer(
                evse_id=evse.config.id,
                limit_a=limit_a,
                phases=int(phases) or None,
                measured_a=_measured(self.records[evse.config.id], self.decided_at.timestamp()),
                reserved_a=most_a,
                reason=self.why.of(evse.index),
                forecast=forecast,
            )
            for evse, limit_a, phases, most_a, forecast in zip(
                self.model.evses, *columns, strict=True
            )
        )
        loads = self._loads(self.model.rows.sums(reserved, demands.who))
        at = self.decided_at.astimezone(UTC)
        return OffersDecided(decided_at=at, offers=offers, circuits=loads)

    def _forecasts(self) -> list[Forecast | None]:
        """Return what is to be expected of each session whose demand is known."""
        demands, now_s = self.outcome.demands, self.decided_at.timestamp()
        wanted_wh = demands.column(Column.WANTED_WH)
        sessions = Sessions(
            is_known=~np.isnan(wanted_wh) & (demands.column(Column.ARRIVED_S) > NEVER),
            missing_wh=np.maximum(wanted_wh - demands.column(Column.DELIVERED_WH), 0.0),
            left_s=demands.column(Column.DEPARTS_S) - now_s,
            volts=NOMINAL_VOLTAGE_V * demands.usage.sum(axis=1),
            most_a=demands.most_a,
            rate_a=np.maximum(self.outcome.paced.amps, self.outcome.shares.deserved_a),
        )
        if not sessions.is_known.any():
            return [None] * len(wanted_wh)
        found = outlook(sessions, self.members, self.outcome.ground.room)
        return [
            self._forecast(float(missing), float(in_s), float(misses)) if known else None
            for known, missing, in_s, misses in zip(
                sessions.is_known,
                sessions.missing_wh,
                found.finishes_in_s,
                found.misses_wh,
                strict=True,
            )
        ]

    def _loads(self, reserved: Floats) -> tuple[CircuitLoad, ...]:
        limit, beside_a = self.outcome.ground.limits.amount, self.outcome.ground.beside_a
        return tuple(
            CircuitLoad(
                circuit_id=circuit.id,
                limit_a=_amps(limit[3 * index : 3 * index + 3]),
                reserved_a=_amps(reserved[3 * index : 3 * index + 3]),
                uncontrolled_a=_amps(beside_a[3 * index : 3 * index + 3]),
            )
            for index, circuit in enumerate(self.model.circuits)
        )

    def _forecast(self, missing_wh: float, in_s: float, misses_wh: float) -> Forecast:
        at = self.decided_at.astimezone(UTC)
        finishes_at = at + timedelta(seconds=round(in_s)) if in_s <= FORESEEN_S else None
        return Forecast(
            remaining_wh=round(missing_wh, 1),
            finishes_at=finishes_at,
            misses_wh=round(misses_wh, 1),
        )


def _measured(record: EvseRecord, now_s: float) -> PhaseAmps | None:
    if not record.is_measured(now_s):
        return None
    first, second, third = record.line_a
    return PhaseAmps(l1=first, l2=second, l3=third)


def _amps(phase_a: Floats) -> PhaseAmps:
    first, second, third = (round(amps, 3) for amps in phase_a.tolist())
    return PhaseAmps(l1=first, l2=second, l3=third)
