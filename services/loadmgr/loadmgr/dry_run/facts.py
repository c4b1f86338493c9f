"""The facts that a virtual garage tells, as the services would put them on the bus."""

from datetime import datetime, timedelta

from loadmgr.domain.arrays import Three
from loadmgr.dry_run.boxes import Box
from loadmgr.dry_run.visits import Visit
from shared.contracts.charging import (
    PermissionChanged,
    SetpointApplied,
    SetpointOutcome,
)
from shared.contracts.evse import EvseObserved
from shared.contracts.meter import MeterSampled
from shared.contracts.plan import PlanChanged
from shared.units import PhaseAmps


class Facts:
    """Facts of a run that begins at a moment; times are seconds after it."""

    def __init__(self, begins: datetime) -> None:
        """Second 0 is ``begins``."""
        self._begins = begins

    def moment(self, at_s: float) -> datetime:
        """Return the time of day of a second."""
        return self._begins + timedelta(seconds=at_s)

    def observed(self, box: Box, at_s: float) -> EvseObserved:
        """Tell what is seen at an EVSE."""
        return EvseObserved(
            evse_id=box.evse.id,
            station_id=box.evse.station,
            connector=box.evse.connector,
            epoch=1,
            observed_at=self.moment(at_s),
            online=True,
            state=box.state,
            current_a=_phases(box.line_a),
            power_w=box.power_w,
            energy_wh=box.counter_wh,
            offered_a=box.limit_a,
        )

    def applied(self, box: Box, outcome: SetpointOutcome, at_s: float) -> SetpointApplied:
        """Tell what became of the box's last setpoint."""
        return SetpointApplied(
            evse_id=box.evse.id,
            station_id=box.evse.station,
            revision=box.revision,
            limit_a=box.limit_a,
            outcome=outcome,
            applied_at=self.moment(at_s),
        )

    def permitted(self, box: Box, at_s: float) -> PermissionChanged:
        """Tell that the billing backend permits charging; a dry run has none that refuses."""
        return PermissionChanged(
            evse_id=box.evse.id, source="backend", permitted=True, changed_at=self.moment(at_s)
        )

    def planned(self, visit: Visit, at_s: float) -> PlanChanged:
        """Tell the plan of a visit."""
        return PlanChanged(evse_id=visit.evse_id, plan=visit.plan, changed_at=self.moment(at_s))

    def sampled(self, meter_id: str, shown_a: Three, at_s: float) -> MeterSampled:
        """Tell what a meter shows."""
        return MeterSampled(
            meter_id=meter_id, sampled_at=self.moment(at_s), current_a=_phases(shown_a)
        )


def _phases(amps: Three) -> PhaseAmps:
    return PhaseAmps(l1=amps[0], l2=amps[1], l3=amps[2])
