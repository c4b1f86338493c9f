"""Which stations are here, which are not, and who was turned away; bounded."""

from collections.abc import Callable

from api.domain import station_live
from api.domain.oddities import connectors_in, oddities
from api.domain.station_live import StationLive, StationState, StationView, refused_view
from api.refusal_book import MOST_REFUSALS, RefusalBook
from shared.contracts.site import Evse, OcppServerConfig, SiteConfig, Station
from shared.contracts.station import (
    StationBooted,
    StationConfigurationRead,
    StationConnected,
    StationDisconnected,
    StationRefused,
)

MOST_UNKNOWN = 1_000


class LiveStations:
    """The last word about every configured station, and about unknown ones while connected."""

    def __init__(self, touch: Callable[[str, str], None]) -> None:
        self._touch = touch
        self._stations: dict[str, StationLive] = {}
        self._configured: dict[str, Station] = {}
        self._evses: dict[str, list[Evse]] = {}
        self._server = OcppServerConfig()
        self._connectors: dict[str, int] = {}
        """How many connectors configured stations say they have."""
        self._models: dict[str, str] = {}
        """By whose habits configured stations are treated; empty = by nobody's."""
        self.refused_connections = RefusalBook(lambda: touch("refusals", ""))

    def use_site(self, site: SiteConfig) -> None:
        """Take over which stations are configured."""
        self._configured = {station.id.casefold(): station for station in site.stations}
        self._server = site.ocpp_server
        self._evses = {}
        for evse in site.evses:
            self._evses.setdefault(evse.station.casefold(), []).append(evse)
        for known in (self._connectors, self._models):
            for gone in known.keys() - self._configured.keys():
                del known[gone]
        for key in [k for k, live in self._stations.items() if not live.online]:
            if key not in self._configured:
                del self._stations[key]

    def live(self, station_id: str) -> StationLive | None:
        """Return what is known of a station's connection."""
        return self._stations.get(station_id.casefold())

    def view(self, station_id: str) -> StationView | None:
        """Return a station that is configured or connected."""
        key = station_id.casefold()
        live, configured = self._stations.get(key), self._configured.get(key)
        if configured is None and live is None:
            return None
        state = StationState.OFFLINE
        if live is not None and live.online:
            state = StationState.UNKNOWN if configured is None else StationState.CONNECTED
        shown = live.station_id if live is not None else station_id
        return StationView(
            id=shown if configured is None else configured.id,
            state=state,
            configured=configured is not None,
            live=live,
            oddities=[] if live is None else self._oddities(key, live),
        )

    def views(self) -> list[StationView]:
        """Return every station that is configured or connected, by id."""
        views = [self.view(key) for key in {**self._configured, **self._stations}]
        return sorted((view for view in views if view is not None), key=lambda view: view.id)

    def refusals(self, most: int = MOST_REFUSALS) -> list[StationView]:
        """Return the last refused connections, newest first."""
        return [
            refused_view(record, configured=record.station_id.casefold() in self._configured)
            for record in self.refused_connections.newest(most)
        ]

    def connected(self, fact: StationConnected) -> None:
        """A station is here; that it was turned away before is settled."""
        key = fact.station_id.casefold()
        self._put(key, station_live.connected(self._stations.get(key), fact))
        self.refused_connections.connected(fact)

    def booted(self, fact: StationBooted) -> None:
        """A station told what it is."""
        key = fact.station_id.casefold()
        self._put(key, station_live.booted(self._stations.get(key), fact))

    def disconnected(self, fact: StationDisconnected) -> None:
        """A connection is gone."""
        key = fact.station_id.casefold()
        self._put(key, station_live.disconnected(self._stations.get(key), fact))

    def refused(self, fact: StationRefused) -> None:
        """A connection was turned away."""
        self.refused_connections.refused(fact)

    def configuration_read(self, fact: StationConfigurationRead) -> None:
        """A station told how many connectors it has; what it does not tell now stays known."""
        key, connectors = fact.station_id.casefold(), connectors_in(fact.entries)
        if key not in self._configured:
            return
        before = self._connectors.get(key), self._models.get(key, "")
        if connectors is not None:
            self._connectors[key] = connectors
        self._models[key] = fact.model
        if before != (self._connectors.get(key), fact.model):
            self._touch("station", self._configured[key].id)

    def _oddities(self, key: str, live: StationLive) -> list[str]:
        return oddities(
            live,
            self._configured.get(key),
            evses=self._evses.get(key, ()),
            server=self._server,
            connectors=self._connectors.get(key),
            model=self._models.get(key, ""),
        )

    def _put(self, key: str, live: StationLive) -> None:
        self._stations[key] = live
        if key not in self._configured:
            self._bound_unknown(key)
        configured = self._configured.get(key)
        self._touch("station", live.station_id if configured is None else configured.id)

    def _bound_unknown(self, newest: str) -> None:
        if not self._stations[newest].online:
            del self._stations[newest]
        unknown = [key for key in self._stations if key not in self._configured]
        for oldest in unknown[: max(0, len(unknown) - MOST_UNKNOWN)]:
            del self._stations[oldest]
