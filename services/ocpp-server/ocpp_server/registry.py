"""The stations connected to this replica: the newest connection of each wins."""

import asyncio
import logging
from collections.abc import Callable

from ocpp_server.answers import CallHandler
from ocpp_server.arrivals import Arrivals
from ocpp_server.domain.handshake import Admission, Handshake, Refusal
from ocpp_server.domain.site_view import SiteView
from ocpp_server.facilities import Facilities
from ocpp_server.gate import Gate
from ocpp_server.link import Front, Link, Receiver
from ocpp_server.metrics import CONNECTED, REFUSED
from ocpp_server.pacing import evenly
from ocpp_server.station import Station
from shared.bus.port import Inbox
from shared.contracts.message import Address, station_address
from shared.contracts.site import SiteConfig
from shared.contracts.station import StationRefused
from shared.errors import ParkadeError

logger = logging.getLogger(__name__)

SWEEP_EVERY_S = 1.0
SILENCE_GRACE_S = 30.0
"""Silence that ends a link: two heartbeat intervals and this."""

UNKNOWN_FRAME_LIMIT = 256 << 10
"""Bytes of a message of a station that nobody has configured."""
TOLD_CHARACTERS = 500
"""So much of what a refused peer has sent is told."""
TOLD_SUBPROTOCOLS = 20

NORMAL = 1000
GOING_AWAY = 1001
TRY_AGAIN = 1013
_STOPS = "the server stops"


class Registry:
    """Admits stations, serves each in a task of its own, and knows who is here."""

    def __init__(
        self,
        facilities: Facilities,
        inbox: Inbox,
        group: asyncio.TaskGroup,
        *,
        handler_of: Callable[[Station], CallHandler],
    ) -> None:
        self._facilities = facilities
        self._inbox = inbox
        self._group = group
        self._handler_of = handler_of
        self._stations: dict[str, Station] = {}
        self._arrivals = Arrivals(facilities.ledger)
        self._arriving: set[Station] = set()
        """Open links of stations that are not the ones of their names yet."""
        self._is_closing = False
        self._gate = Gate(lambda: facilities.view.site, clock=facilities.clock)

    @property
    def stations(self) -> tuple[Station, ...]:
        """The newest connection of each station."""
        return tuple(self._stations.values())

    @property
    def front(self) -> Front:
        """What the listener asks."""
        return Front(
            admit=self.admit,
            opened=self.opened,
            refused=self.refused,
            turned_away=self._gate.turned_away,
            frame_limit=self._frame_limit,
            ping_interval_s=lambda: self._facilities.view.site.ocpp_server.ping_interval_s,
        )

    def station(self, station_id: str) -> Station | None:
        """Return a station that is connected here."""
        return self._stations.get(station_id)

    async def admit(self, handshake: Handshake) -> Admission | Refusal:
        """Decide about a connection."""
        return await self._gate.admit(handshake)

    def refused(self, handshake: Handshake, refusal: Refusal) -> None:
        """Tell why a connection was refused, so that the operator can mend it."""
        REFUSED.labels(refusal.reason.value).inc()
        if not self._gate.is_news(handshake, refusal):
            return
        logger.info("%s refused: %s", handshake.peer, refusal.reason.value)
        self._facilities.announcer.tell(
            StationRefused(
                station_id=handshake.identity[:64],
                refused_at=self._facilities.clock.now(),
                peer=handshake.peer,
                reason=refusal.reason,
                detail=refusal.detail,
                path=handshake.path[:TOLD_CHARACTERS],
                subprotocols=tuple(
                    name[:64] for name in handshake.subprotocols[:TOLD_SUBPROTOCOLS]
                ),
                user=None if handshake.user is None else handshake.user[:TOLD_CHARACTERS],
                tls=handshake.tls,
                tls_alert=refusal.tls_alert,
            )
        )

    def opened(self, link: Link) -> Receiver:
        """Serve a station from now on."""
        station = Station(link, self._facilities, handler_of=self._handler_of, on_closed=self._left)
        self._arriving.add(station)
        self._group.create_task(self._serve(station))
        if self._is_closing:
            # Not at once: the link does not know yet whom to tell that it is closed.
            asyncio.get_running_loop().call_soon(station.close, GOING_AWAY, _STOPS)
        return station.conversation

    async def evicted(self, address: Address, epoch: int) -> None:
        """Close the link to a station that has connected elsewhere."""
        station = self._stations.get(address.name)
        if station is not None and station.epoch < epoch:
            station.close(NORMAL, "connected to another replica")

    def site_changed(self, site: SiteConfig) -> None:
        """Let every station feel the new site."""
        self._facilities.view = SiteView.of(site)
        self._facilities.forget_removed()
        for station in self.stations:
            self._adapt(station)

    def announce_all(self) -> None:
        """Publish what is known of every station here."""
        for station in self._stations.values():
            station.announce_connected()
            station.driver.setup.announce()

    async def run(self) -> None:
        """Look at the time for every station once a second, until cancelled."""
        while True:
            async for station in evenly(self.stations, over_s=SWEEP_EVERY_S):
                if station.conversation.is_open:
                    self.look_at_time(station)

    def look_at_time(self, station: Station) -> None:
        """Act on what is due at a station, or end its link when it has been silent for too long."""
        limit_s = self._silence_limit_s
        if self._facilities.clock.monotonic() - station.conversation.heard_at > limit_s:
            station.close(GOING_AWAY, f"nothing heard for {limit_s:g} s")
        else:
            station.sweep()

    def close_all(self) -> None:
        """Send every station away, also one that is still being taken over or comes in from now
        on; they come back to whoever serves then."""
        self._is_closing = True
        for station in (*self._stations.values(), *self._arriving):
            station.close(GOING_AWAY, _STOPS)

    def _frame_limit(self, station_id: str | None) -> int:
        if station_id is not None and self._facilities.view.configured_id(station_id) is None:
            return UNKNOWN_FRAME_LIMIT
        return self._facilities.view.site.ocpp_server.frame_limit_bytes

    @property
    def _silence_limit_s(self) -> float:
        return 2 * self._facilities.view.site.ocpp_server.heartbeat_interval_s + SILENCE_GRACE_S

    async def _serve(self, station: Station) -> None:
        try:
            if await self._take_over(station):
                await station.run()
        except ParkadeError as error:
            logger.warning("%s cannot be served now: %s", station.id, error)
        except Exception:
            logger.exception("%s cannot be served", station.id)
        finally:
            station.close(TRY_AGAIN, "the server cannot serve this station now")
            self._arriving.discard(station)
            self._left(station)
            await self._release(station)

    async def _release(self, station: Station) -> None:
        try:
            await self._inbox.release(station_address(station.id), station.epoch)
        except ParkadeError as error:
            logger.warning("%s is not released: %s", station.id, error)

    async def _take_over(self, station: Station) -> bool:
        """Make this connection the one of its station; False when a newer one is known."""
        claim = await self._arrivals.claim(station.id)
        station.epoch = claim.epoch
        older = self._stations.get(station.id)
        if not station.conversation.is_open or (older and older.epoch > station.epoch):
            return False
        self._stations[station.id] = station
        self._arriving.discard(station)
        if older is not None:
            older.close(NORMAL, "replaced by a newer connection")
        CONNECTED.set(len(self._stations))
        station.restore(claim.running)
        await self._inbox.own(station_address(station.id), station.epoch)
        logger.info("%s connected, epoch %s", station.id, station.epoch)
        self._adapt(station)  # the site may have changed while it came in
        station.announce_connected()
        return True

    def _left(self, station: Station) -> None:
        """A link is gone. Only the newest connection of a station speaks for it."""
        if self._stations.get(station.id) is not station:
            return
        del self._stations[station.id]
        CONNECTED.set(len(self._stations))
        logger.info("%s disconnected: %s", station.id, station.conversation.close_reason)
        station.announce_disconnected()

    def _adapt(self, station: Station) -> None:
        """Fit one station to the new site."""
        configured = self._facilities.view.configured_id(station.id)
        if configured is not None and configured != station.id:
            station.close(NORMAL, "configured under another spelling")
        elif (configured is not None) != station.known:
            station.known_changed(configured is not None)
            station.announce_connected()
        station.site_changed()
