"""What a decision is told as: offers with their reasons, and how full each circuit is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from loadmgr.domain.arrays import Floats
from loadmgr.domain.commit import reserved_now
from loadmgr.domain.evse_record import EvseRecord
from loadmgr.domain.reasons import Outcome, Why
from loadmgr.domain.site_model import SiteModel
from shared.contracts.charging import CircuitLoad, Offer, OffersDecided
from shared.units import PhaseAmps


@dataclass(frozen=True, eq=False, kw_only=True)
class Report:
    """Everything that is needed to tell a decision. Telling takes longer than deciding."""

    model: SiteModel
    records: Mapping[str, EvseRecord]
    outcome: Outcome
    why: Why
    beside_a: Floats
    """What flows at the circuits beside the EVSEs, three phases each."""
    decided_at: datetime

    def event(self) -> OffersDecided:
        """Return the decision as it is published."""
        demands, amps = self.outcome.demands, self.outcome.paced.amps
        upper_a = np.where(demands.is_steered, np.maximum(demands.upper_a, amps), demands.upper_a)
        limits = np.where(demands.is_steered, amps, demands.upper_a)
        reserved = reserved_now(demands, upper_a)
        columns = (limits.tolist(), self.outcome.phases.tolist(), reserved.max(axis=1).tolist())
        offers = tuple(
            Offer(
                evse_id=evse.config.id,
                limit_a=limit_a,
                phases=int(phases) or None,
                measured_a=_measured(self.records[evse.config.id], self.decided_at.timestamp()),
                reserved_a=most_a,
                reason=self.why.of(evse.index),
            )
            for evse, limit_a, phases, most_a in zip(self.model.evses, *columns, strict=True)
        )
        loads = _loads(self.model, self.model.rows.sums(reserved, demands.who), self.beside_a)
        at = self.decided_at.astimezone(UTC)
        return OffersDecided(decided_at=at, offers=offers, circuits=loads)


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
