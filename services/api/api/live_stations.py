"""Which stations are here, which are not, and who was turned away; bounded."""

from collections import deque
from collections.abc import Callable

from api.domain import station_live
from api.domain.station_live import StationLive, StationState, StationView, refused_view
from shared.contracts.site import SiteConfig
from shared.contracts.station import (
    StationBooted,
    StationConnected,
    StationDisconnected,
    StationRefused,
)

KEPT_REFUSALS = 200
MOST_UNKNOWN = 1_000


class LiveStations:
    """The last word about every configured station, and about unknown ones while connected."""

    def __init__(self, touch: Callable[[str, str], None]) -> None:
        self._touch = touch
        self._stations: dict[str, StationLive] = {}
        self._configured: dict[str, str] = {}
        self._refusals: deque[StationRefused] = deque(maxlen=KEPT_REFUSALS)

    def use_site(self, site: SiteConfig) -> None:
        """Take over which stations are configured."""
        self._configured = {station.id.casefold(): station.id for station in site.stations}
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
        shown = configured or (live.station_id if live is not None else station_id)
        return StationView(id=shown, state=state, configured=configured is not None, live=live)

    def views(self) -> list[StationView]:
        """Return every station that is configured or connected, by id."""
        views = [self.view(key) for key in {**self._configured, **self._stations}]
        return sorted((view for view in views if view is not None), key=lambda view: view.id)

    def refusals(self) -> list[StationView]:
        """Return the last refused connections, newest first."""
        return [
            refused_view(fact, configured=fact.station_id.casefold() in self._configured)
            for fact in reversed(self._refusals)
        ]

    def connected(self, fact: StationConnected) -> None:
        """A station is here; that it was turned away before is settled."""
        key = fact.station_id.casefold()
        self._put(key, station_live.connected(self._stations.get(key), fact))
        waiting = [r for r in self._refusals if r.station_id.casefold() != key]
        if len(waiting) != len(self._refusals):
            self._refusals = deque(waiting, maxlen=KEPT_REFUSALS)
            self._touch("refusals", "")

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
        self._refusals.append(fact)
        self._touch("refusals", "")

    def _put(self, key: str, live: StationLive) -> None:
        self._stations[key] = live
        if key not in self._configured:
            self._bound_unknown(key)
        self._touch("station", self._configured.get(key, live.station_id))

    def _bound_unknown(self, newest: str) -> None:
        if not self._stations[newest].online:
            del self._stations[newest]
        unknown = [key for key in self._stations if key not in self._configured]
        for oldest in unknown[: max(0, len(unknown) - MOST_UNKNOWN)]:
            del self._stations[oldest]
