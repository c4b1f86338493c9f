"""How stations are set, and which local list they have, as they told last. In memory only."""

from shared.contracts.site import SiteConfig
from shared.contracts.station import LocalListChanged, StationConfigurationRead


class LiveConfigurations:
    """The last word about every configured station; asked for again after a start."""

    def __init__(self) -> None:
        self._configured: set[str] = set()
        self._configurations: dict[str, StationConfigurationRead] = {}
        self._local_lists: dict[str, LocalListChanged] = {}

    def use_site(self, site: SiteConfig) -> None:
        """Forget stations that the site does not name any more."""
        self._configured = {station.id.casefold() for station in site.stations}
        for gone in self._configurations.keys() - self._configured:
            del self._configurations[gone]
        for gone in self._local_lists.keys() - self._configured:
            del self._local_lists[gone]

    def configuration(self, station_id: str) -> StationConfigurationRead | None:
        """Return what a station is set to; ``None`` = it was not read yet."""
        return self._configurations.get(station_id.casefold())

    def local_list(self, station_id: str) -> LocalListChanged | None:
        """Return what is known of a station's local list."""
        return self._local_lists.get(station_id.casefold())

    def configuration_read(self, fact: StationConfigurationRead) -> None:
        """A configuration was read. What an older connection read is not news."""
        key = fact.station_id.casefold()
        known = self._configurations.get(key)
        if key in self._configured and (known is None or fact.epoch >= known.epoch):
            self._configurations[key] = fact

    def local_list_changed(self, fact: LocalListChanged) -> None:
        """A local list was looked at or sent."""
        key = fact.station_id.casefold()
        known = self._local_lists.get(key)
        if key in self._configured and (known is None or fact.changed_at >= known.changed_at):
            self._local_lists[key] = fact
