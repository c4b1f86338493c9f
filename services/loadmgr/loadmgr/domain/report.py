"""What a decision is told as: offers with their reasons, and how full each circuit is."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import isnan

import numpy as np

from loadmgr.domain.arrays import Floats
from loadmgr.domain.commit import reserved_now
from loadmgr.domain.demand import Column
from loadmgr.domain.fill import Members
from loadmgr.domain.forecast import Outlook, Sessions, outlook
from loadmgr.domain.moment import NEVER
from loadmgr.domain.reasons import Outcome, Why
from loadmgr.domain.site_model import SiteModel
from shared.contracts.charging import CircuitLoad, Forecast, Offer, OffersDecided
from shared.units import NOMINAL_VOLTAGE_V, PhaseAmps

FORESEEN_S = 2 * 86_400.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Report:
    """Everything that is needed to tell a decision, as it was then.

    Telling takes longer than deciding, and what is told may be told later.
    """

    model: SiteModel
    outcome: Outcome
    why: Why
    members: Members
    decided_at: datetime

    @property
    def late(self) -> frozenset[str]:
        """The EVSEs at which a vehicle will leave with less than planned."""
        misses = np.flatnonzero(self._outlook.misses_wh > 0).tolist()
        return frozenset(self.model.evses[index].config.id for index in misses)

    def event(self) -> OffersDecided:
        """Return the decision as it is published."""
        demands, amps = self.outcome.demands, self.outcome.paced.amps
        upper_a = np.where(demands.is_steered, np.maximum(demands.upper_a, amps), demands.upper_a)
        limits = np.where(demands.is_steered, amps, demands.upper_a)
        reserved = reserved_now(demands, upper_a)
        phases = self.outcome.phases.tolist()
        most_a, line_a = reserved.max(axis=1).tolist(), demands.line_a.tolist()
        columns = (limits.tolist(), phases, most_a, line_a, self._forecasts())
        offers = tuple(
            Offer(
                evse_id=evse.config.id,
                limit_a=limit_a,
                phases=int(phases) or None,
                measured_a=_measured(line_a),
                reserved_a=most_a,
                reason=self.why.of(evse.index),
                forecast=forecast,
            )
            for evse, limit_a, phases, most_a, line_a, forecast in zip(
                self.model.evses, *columns, strict=True
            )
        )
        loads = self._loads(self.model.rows.sums(reserved, demands.who))
        at = self.decided_at.astimezone(UTC)
        return OffersDecided(decided_at=at, offers=offers, circuits=loads)

    def _forecasts(self) -> list[Forecast | None]:
        """Return what is to be expected of each session whose demand is known."""
        sessions, found = self._sessions, self._outlook
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

    @cached_property
    def _outlook(self) -> Outlook:
        return outlook(self._sessions, self.members, self.outcome.ground.room)

    @cached_property
    def _sessions(self) -> Sessions:
        demands, now_s = self.outcome.demands, self.decided_at.timestamp()
        wanted_wh = demands.column(Column.WANTED_WH)
        return Sessions(
            is_known=~np.isnan(wanted_wh) & (demands.column(Column.ARRIVED_S) > NEVER),
            missing_wh=np.maximum(wanted_wh - demands.column(Column.DELIVERED_WH), 0.0),
            left_s=demands.column(Column.DEPARTS_S) - now_s,
            volts=NOMINAL_VOLTAGE_V * demands.usage.sum(axis=1),
            most_a=demands.most_a,
            rate_a=np.maximum(self.outcome.paced.amps, self.outcome.shares.deserved_a),
        )

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


def _measured(line_a: list[float]) -> PhaseAmps | None:
    first, second, third = (None if isnan(amps) else amps for amps in line_a)
    measured = PhaseAmps(l1=first, l2=second, l3=third)
    return measured if measured.known else None


def _amps(phase_a: Floats) -> PhaseAmps:
    first, second, third = (round(amps, 3) for amps in phase_a.tolist())
    return PhaseAmps(l1=first, l2=second, l3=third)
