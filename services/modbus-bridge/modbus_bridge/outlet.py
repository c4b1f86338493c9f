"""One EVSE of a Modbus device: what was ordered for it, what it shows, and its session."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from modbus_bridge.domain.lease import Tenure
from modbus_bridge.domain.reading import OutletReading, read_outlet
from modbus_bridge.domain.session import Ended, SessionTracker, Started
from modbus_bridge.registers import Registers
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.site import Evse
from shared.ids import new_id


@dataclass
class Outlet:
    """The state of one EVSE. Only the poller of its station changes it."""

    evse: Evse
    registers: Registers
    tenure: Tenure
    sessions: SessionTracker = field(default_factory=SessionTracker)
    reading: OutletReading = field(default_factory=OutletReading)
    """The last word of the box."""

    def look(self, now: datetime) -> Started | Ended | None:
        """Take over what the registers say, and return what that means for the session."""
        seen = read_outlet(self.registers.model.template, self.registers.values)
        sessions = self.sessions.with_card(seen.token, seen.token_seen)
        sessions = sessions.with_energy(seen.energy_wh, now)
        self.sessions, change = sessions.with_state(seen.state, now, new_id=new_id())
        self.reading = replace(seen, energy_wh=self.sessions.energy.believed_wh)
        if seen.state is EvseState.A and self.tenure.is_held:
            self.tenure = self.tenure.held(False)
        return change

    def observed(self, *, epoch: int, online: bool, now: datetime) -> EvseObserved:
        """Return what is seen at the outlet; offline it is the last word of the box."""
        return EvseObserved(
            evse_id=self.evse.id,
            station_id=self.evse.station,
            connector=self.evse.connector,
            epoch=epoch,
            observed_at=now,
            online=online,
            state=self.reading.state,
            current_a=self.reading.current_a,
            power_w=self.reading.power_w,
            energy_wh=self.reading.energy_wh,
            offered_a=self.reading.offered_a,
            token=self.reading.token,
            token_seen=self.reading.token_seen,
            fault=self.reading.fault,
        )
