"""What every station of this replica shares."""

from dataclasses import dataclass, field

from ocpp_server.announcer import Announcer
from ocpp_server.authority import Authority
from ocpp_server.domain.connector import StationMemory
from ocpp_server.domain.site_view import SiteView
from ocpp_server.habits import Habits
from ocpp_server.ledger import Ledger
from ocpp_server.message_log import MessageLog
from ocpp_server.meter_recorder import MeterRecorder
from ocpp_server.postman import Postman
from ocpp_server.relay import Relay
from ocpp_server.setup_slots import SetupSlots
from shared.clock import Clock


@dataclass(kw_only=True)
class Facilities:
    """The shared parts, and the present site. Only the registry replaces ``view``."""

    clock: Clock
    view: SiteView
    ledger: Ledger
    announcer: Announcer
    postman: Postman
    relay: Relay
    log: MessageLog
    meter_values: MeterRecorder
    authority: Authority
    habits: Habits = field(default_factory=Habits)
    setup_slots: SetupSlots = field(default_factory=SetupSlots)
    _memories: dict[str, StationMemory] = field(default_factory=dict)

    def memory(self, station_id: str) -> StationMemory:
        """Return what outlasts the connections of a configured station."""
        found = self._memories.get(station_id)
        if found is None:
            found = self._memories[station_id] = StationMemory()
        return found

    def forget_removed(self) -> None:
        """Forget the stations that the site does not list any more."""
        for station_id in tuple(self._memories):
            if self.view.configured_id(station_id) != station_id:
                del self._memories[station_id]
                self.habits.forget(station_id)
