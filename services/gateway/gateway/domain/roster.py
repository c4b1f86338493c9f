"""Which charge points the site shows to which backends (S2, S12, S17)."""

from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

from shared.contracts.site import Backend, Evse, SiteConfig, Station


@dataclass(frozen=True)
class PlannedConnector:
    """One EVSE as connector ``number`` of a charge point at a backend."""

    number: int
    evse: Evse
    station: Station

    @property
    def is_transparent(self) -> bool:
        """The box speaks OCPP itself, so its own frames go to the backend."""
        return self.station.protocol == "ocpp"


@dataclass(frozen=True)
class UplinkPlan:
    """One charge point at one backend."""

    uplink_id: str
    """``<url> <client id>``; the key under which the outbox keeps what is for this backend."""
    backend: Backend
    connectors: tuple[PlannedConnector, ...]

    @property
    def endpoint(self) -> str:
        """The URL to connect to: the backend's URL and the client id, URL-encoded (S2)."""
        parts = urlsplit(self.backend.url)
        path = f"{parts.path.rstrip('/')}/{quote(self.backend.client_id, safe='')}"
        return urlunsplit(parts._replace(path=path))

    @property
    def evse_ids(self) -> tuple[str, ...]:
        """The EVSEs behind it, in the order of their connector numbers."""
        return tuple(connector.evse.id for connector in self.connectors)

    @property
    def single_station(self) -> str | None:
        """The one OCPP station that this charge point is, if it is nothing else besides."""
        stations = {connector.station.id for connector in self.connectors}
        if len(stations) == 1 and self.connectors[0].is_transparent:
            return self.connectors[0].station.id
        return None

    def connector(self, number: object) -> PlannedConnector | None:
        """Return the connector of that number at the backend."""
        return next((c for c in self.connectors if c.number == number), None)

    def of_station(self, station_id: str) -> tuple[PlannedConnector, ...]:
        """Return the connectors that belong to one station."""
        wanted = station_id.casefold()
        return tuple(c for c in self.connectors if c.station.id.casefold() == wanted)


def plan_uplinks(site: SiteConfig) -> tuple[UplinkPlan, ...]:
    """Return every charge point of the site, connectors numbered in the order of the file.

    EVSEs with the same URL and client id are connectors 1..n of one charge point; the password
    and certificates of the first of them count.
    """
    groups: dict[str, list[tuple[Evse, Station, Backend]]] = {}
    for evse in site.evses:
        station = site.station(evse.station)
        if evse.backend is not None and station is not None:
            groups.setdefault(uplink_id_of(evse.backend), []).append((evse, station, evse.backend))
    return tuple(
        UplinkPlan(
            uplink_id=uplink_id,
            backend=members[0][2],
            connectors=tuple(
                PlannedConnector(number, evse, station)
                for number, (evse, station, _) in enumerate(members, start=1)
            ),
        )
        for uplink_id, members in groups.items()
    )


def uplink_id_of(backend: Backend) -> str:
    """Return the name of a charge point; a trailing slash makes no other backend."""
    return f"{backend.url.rstrip('/')} {backend.client_id}"
