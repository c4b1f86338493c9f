"""The present, in memory: the last word of everybody, bounded by what the site names.

Rebuilt from events after a start; nothing here steers anything by itself.
"""

from collections.abc import Callable, Iterable
from typing import Any

from api.domain.evse_view import EvseLive, evse_live, is_newer
from api.domain.session_record import SessionRecord, ended, started
from api.live_configurations import LiveConfigurations
from api.live_stations import LiveStations
from api.watching import Watchers
from shared.contracts.alarm import AlarmChanged
from shared.contracts.charging import (
    CircuitLoad,
    Offer,
    OffersDecided,
    PermissionChanged,
    SetpointApplied,
)
from shared.contracts.evse import EvseObserved
from shared.contracts.message import Event
from shared.contracts.meter import MeterSampled
from shared.contracts.ocpp import UplinkChanged
from shared.contracts.session import SessionEnded, SessionStarted
from shared.contracts.site import SiteConfig
from shared.contracts.station import (
    LocalListChanged,
    StationBooted,
    StationConfigurationRead,
    StationConnected,
    StationDisconnected,
    StationRefused,
)

MOST_ALARMS = 1_000
SHOWN_REFUSALS = 200
"""To followers, who get all of them with every change; ``/stations`` shows more."""
MOST_SOURCES = 10
"""Permissions of one EVSE, by source."""


class LiveView:
    """The last word about stations, EVSEs, meters, circuits, backends and alarms."""

    def __init__(self, site: SiteConfig) -> None:
        self.watchers = Watchers()
        self._touch = self.watchers.touch
        self.stations = LiveStations(self._station_touched)
        self.configurations = LiveConfigurations()
        self._observed: dict[str, EvseObserved] = {}
        self._observers: list[Callable[[EvseObserved], None]] = []
        self._offers: dict[str, Offer] = {}
        self._setpoints: dict[str, SetpointApplied] = {}
        self._permissions: dict[str, dict[str, PermissionChanged]] = {}
        self._sessions: dict[str, SessionRecord] = {}
        self.meters: dict[str, MeterSampled] = {}
        self.circuits: dict[str, CircuitLoad] = {}
        self.uplinks: dict[str, UplinkChanged] = {}
        self.alarms: dict[str, AlarmChanged] = {}
        self._tables: dict[str, dict[str, Any]] = {
            "meter": self.meters,
            "circuit": self.circuits,
            "uplink": self.uplinks,
            "alarm": self.alarms,
        }
        self._fold: dict[type[Event], Callable[[Any], None]] = {
            StationConnected: self.stations.connected,
            StationBooted: self.stations.booted,
            StationDisconnected: self.stations.disconnected,
            StationRefused: self.stations.refused,
            StationConfigurationRead: self._configuration_read,
            LocalListChanged: self.configurations.local_list_changed,
            EvseObserved: self._evse_observed,
            MeterSampled: self._meter_sampled,
            OffersDecided: self._offers_decided,
            SetpointApplied: self._setpoint_applied,
            PermissionChanged: self._permission_changed,
            SessionStarted: self._session_started,
            SessionEnded: self._session_ended,
            UplinkChanged: self._uplink_changed,
            AlarmChanged: self._alarm_changed,
        }
        self._site = site
        self.use_site(site)

    def use_site(self, site: SiteConfig) -> None:
        """Take over a new site: what it does not name any more is forgotten."""
        self._site = site
        evses = {evse.id for evse in site.evses}
        self._evse_ids = evses
        self._meter_ids = {meter.id for meter in site.meters}
        self.stations.use_site(site)
        self.configurations.use_site(site)
        kept = (self._observed, self._offers, self._setpoints, self._permissions, self._sessions)
        for by_evse in kept:
            _keep(by_evse, evses)
        _keep(self.meters, self._meter_ids)
        _keep(self.circuits, {circuit.id for circuit in site.circuits})
        self._touch("site", "")

    def apply(self, event: Event) -> None:
        """Fold an event in; kinds that are not shown are ignored."""
        fold = self._fold.get(type(event))
        if fold is not None:
            fold(event)

    def on_observed(self, listener: Callable[[EvseObserved], None]) -> None:
        """Call ``listener`` with every observation of an EVSE that is newer than the last."""
        self._observers.append(listener)

    def remember(self, sessions: Iterable[SessionRecord]) -> None:
        """Take open sessions over that the database knows, unless newer ones are here."""
        for session in sessions:
            if session.evse_id in self._evse_ids and self._is_later(session):
                self._sessions[session.evse_id] = session
                self._touch("evse", session.evse_id)

    def offered_a(self, evse_id: str) -> float | None:
        """Return what load management last offered there."""
        offer = self._offers.get(evse_id)
        return None if offer is None else offer.limit_a

    def evse(self, evse_id: str) -> EvseLive | None:
        """Return the live side of an EVSE of the site."""
        configured = self._site.evse(evse_id)
        if configured is None:
            return None
        return evse_live(
            evse_id,
            observed=self._observed.get(evse_id),
            offer=self._offers.get(evse_id),
            setpoint=self._setpoints.get(evse_id),
            permissions=self._permissions.get(evse_id, {}).values(),
            session=self._sessions.get(evse_id),
            station=self.stations.live(configured.station),
        )

    def snapshot(self) -> dict[str, object]:
        """Return everything that is shown."""
        return {
            "site": self.value("site", ""),
            "evses": [self.evse(evse.id) for evse in self._site.evses],
            "stations": self.stations.views(),
            "refusals": self.stations.refusals(SHOWN_REFUSALS),
            "meters": list(self.meters.values()),
            "circuits": list(self.circuits.values()),
            "uplinks": list(self.uplinks.values()),
            "alarms": list(self.alarms.values()),
        }

    def value(self, kind: str, name: str) -> object:
        """Return what is shown of one thing now; ``None`` = it is gone."""
        match kind:
            case "site":
                site = self._site
                return {"revision": site.revision, "name": site.name, "mode": site.mode}
            case "evse":
                return self.evse(name)
            case "station":
                return self.stations.view(name)
            case "refusals":
                return self.stations.refusals(SHOWN_REFUSALS)
        return self._tables[kind].get(name)

    def _station_touched(self, kind: str, station_id: str) -> None:
        """S10: the tile of an EVSE shows its station, so it changes with it."""
        self._touch(kind, station_id)
        if kind == "station":
            for evse in self._site.evses_of(station_id):
                self._touch("evse", evse.id)

    def _configuration_read(self, fact: StationConfigurationRead) -> None:
        self.configurations.configuration_read(fact)
        self.stations.configuration_read(fact)

    def _evse_observed(self, fact: EvseObserved) -> None:
        if fact.evse_id in self._evse_ids and is_newer(fact, self._observed.get(fact.evse_id)):
            self._observed[fact.evse_id] = fact
            self._touch("evse", fact.evse_id)
            for observer in self._observers:
                observer(fact)

    def _meter_sampled(self, fact: MeterSampled) -> None:
        if fact.meter_id in self._meter_ids:
            self.meters[fact.meter_id] = fact
            self._touch("meter", fact.meter_id)

    def _offers_decided(self, fact: OffersDecided) -> None:
        for offer in fact.offers:
            known = self._offers.get(offer.evse_id)
            if offer.evse_id in self._evse_ids and offer != known:
                self._offers[offer.evse_id] = offer
                self._touch("evse", offer.evse_id)
        for load in fact.circuits:
            if load != self.circuits.get(load.circuit_id):
                self.circuits[load.circuit_id] = load
                self._touch("circuit", load.circuit_id)

    def _setpoint_applied(self, fact: SetpointApplied) -> None:
        if fact.evse_id in self._evse_ids:
            self._setpoints[fact.evse_id] = fact
            self._touch("evse", fact.evse_id)

    def _permission_changed(self, fact: PermissionChanged) -> None:
        if fact.evse_id not in self._evse_ids:
            return
        sources = self._permissions.setdefault(fact.evse_id, {})
        if fact.source in sources or len(sources) < MOST_SOURCES:
            sources[fact.source] = fact
            self._touch("evse", fact.evse_id)

    def _session_started(self, fact: SessionStarted) -> None:
        self.remember([started(None, fact)])

    def _session_ended(self, fact: SessionEnded) -> None:
        known = self._sessions.get(fact.evse_id)
        if known is not None and known.session_id == fact.session_id:
            self._sessions[fact.evse_id] = ended(known, fact)
            self._touch("evse", fact.evse_id)

    def _is_later(self, session: SessionRecord) -> bool:
        known = self._sessions.get(session.evse_id)
        if known is None or known.started_at is None or session.started_at is None:
            return True
        return session.session_id != known.session_id and session.started_at >= known.started_at

    def _uplink_changed(self, fact: UplinkChanged) -> None:
        """An EVSE has one backend, so a new uplink replaces the one it had before."""
        evses = set(fact.evse_ids)
        for other in [u for u in self.uplinks.values() if evses & set(u.evse_ids)]:
            del self.uplinks[other.uplink_id]
        if evses & self._evse_ids:
            self.uplinks[fact.uplink_id] = fact
        self._touch("uplink", fact.uplink_id)

    def _alarm_changed(self, fact: AlarmChanged) -> None:
        self.alarms.pop(fact.alarm_id, None)
        if fact.active:
            self.alarms[fact.alarm_id] = fact
        if len(self.alarms) > MOST_ALARMS:
            del self.alarms[next(iter(self.alarms))]
        self._touch("alarm", fact.alarm_id)


def _keep(by_id: dict[str, Any], ids: set[str]) -> None:
    """Forget what is not among the ids."""
    for gone in by_id.keys() - ids:
        del by_id[gone]
