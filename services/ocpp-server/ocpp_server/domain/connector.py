"""What is known of one outlet right now, and what of it is worth telling."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ocpp_server.domain.connector_state import ConnectorStatus
from ocpp_server.domain.meter_values import NOTHING_READ, Reading
from ocpp_server.domain.timeline import Timeline
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.site import Evse


@dataclass(slots=True)
class Connector:
    """The present of one connector. ``None`` is unknown."""

    state: EvseState | None = None
    fault: str | None = None
    reading: Reading = NOTHING_READ
    measured_at: datetime | None = None
    """When current or power were last told; older ones are unknown, not unchanged."""
    token: str | None = None
    token_seen: int | None = None
    transaction_id: int | None = None

    def take_status(self, status: ConnectorStatus) -> None:
        """Take a StatusNotification of the present. Without a vehicle there is no session."""
        self.state = status.state
        self.fault = status.fault
        if status.state is EvseState.A:
            self.transaction_id = None
            self.token = None
            self._forget_measured()

    def take_reading(self, reading: Reading, *, arrived: datetime) -> None:
        """Take meter values of the present; what they do not tell stays as it was."""
        old = self.reading
        tells_flow = reading.current_a is not None or reading.power_w is not None
        self.reading = Reading(
            current_a=reading.current_a if tells_flow else old.current_a,
            power_w=reading.power_w if tells_flow else old.power_w,
            energy_wh=old.energy_wh if reading.energy_wh is None else reading.energy_wh,
            offered_a=old.offered_a if reading.offered_a is None else reading.offered_a,
        )
        if tells_flow:
            self.measured_at = arrived

    def take_token(self, token: str) -> None:
        """Take a card that was read here."""
        self.token = token
        self.token_seen = (self.token_seen or 0) + 1

    def forget_old_measurement(self, now: datetime, *, max_age: timedelta) -> bool:
        """Make currents unknown that are too old to stand for now; True when that was so."""
        if self.measured_at is None or now - self.measured_at <= max_age:
            return False
        self._forget_measured()
        return True

    def forget_present(self) -> None:
        """The station was away: what flowed before says nothing about now."""
        self.state = None
        self.fault = None
        self._forget_measured()

    def observed(self, evse: Evse, *, epoch: int, online: bool, now: datetime) -> EvseObserved:
        """Return what is known as an event."""
        reading = self.reading
        return EvseObserved(
            evse_id=evse.id,
            station_id=evse.station,
            connector=evse.connector,
            epoch=epoch,
            observed_at=now,
            online=online,
            state=self.state,
            current_a=reading.current_a,
            power_w=reading.power_w,
            energy_wh=reading.energy_wh,
            offered_a=reading.offered_a,
            token=self.token,
            token_seen=self.token_seen,
            transaction_id=self.transaction_id,
            fault=self.fault,
        )

    def _forget_measured(self) -> None:
        self.reading = Reading(energy_wh=self.reading.energy_wh)
        self.measured_at = None


@dataclass(slots=True)
class StationMemory:
    """What outlasts a connection: outlets, and what is known of the station's clock."""

    connectors: dict[int, Connector] = field(default_factory=dict)
    timeline: Timeline = field(default_factory=Timeline)

    def connector(self, number: int) -> Connector:
        """Return a connector; one that was never heard of is unknown in everything."""
        found = self.connectors.get(number)
        if found is None:
            found = self.connectors[number] = Connector()
        return found
