"""The site as the OCPP server asks for it: by station and connector, indexed once per revision."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.contracts.site import Evse, Mode, SiteConfig, Station, Token

NO_EVSES: Mapping[int, Evse] = {}


@dataclass(frozen=True)
class SiteView:
    """One revision of the site, with the look-ups of the hot path."""

    site: SiteConfig
    _evses: Mapping[str, Mapping[int, Evse]]
    _tokens: Mapping[str, Token]
    _station_ids: Mapping[str, str]
    _stations: Mapping[str, Station]

    @classmethod
    def of(cls, site: SiteConfig) -> "SiteView":
        """Index a site."""
        evses: dict[str, dict[int, Evse]] = {}
        for evse in site.evses:
            evses.setdefault(evse.station, {})[evse.connector] = evse
        return cls(
            site=site,
            _evses=evses,
            _tokens={token.id.casefold(): token for token in site.tokens},
            _station_ids={s.id.casefold(): s.id for s in site.stations if s.protocol == "ocpp"},
            _stations={s.id: s for s in site.stations if s.protocol == "ocpp"},
        )

    @property
    def steers(self) -> bool:
        """S1: limits and settings may be sent to devices."""
        return self.site.mode is Mode.LOAD_MANAGEMENT

    def evses_of(self, station_id: str) -> Mapping[int, Evse]:
        """Return the EVSEs of a station by connector."""
        return self._evses.get(station_id, NO_EVSES)

    def station(self, station_id: str) -> Station | None:
        """Return how an OCPP station is configured; its id as it is written there."""
        return self._stations.get(station_id)

    def token(self, token_id: str) -> Token | None:
        """Return the token of that id, compared without regard to case (OCPP CiString)."""
        return self._tokens.get(token_id.casefold())

    def configured_id(self, identity: str) -> str | None:
        """Return how an OCPP station is written in the configuration; None when it is not."""
        return self._station_ids.get(identity.casefold())
