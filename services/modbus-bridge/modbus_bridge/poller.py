"""Holds one Modbus station: polls it, and has written what is ordered for its outlets."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from modbus_bridge.context import Context
from modbus_bridge.domain.lease import Desired, failsafe_timeout_s
from modbus_bridge.domain.session import Ended, Started
from modbus_bridge.link import Unit
from modbus_bridge.outlet import Outlet
from modbus_bridge.presence import Presence
from modbus_bridge.reports import StationReports
from modbus_bridge.writer import Applied, Writer
from shared.contracts.site import Evse, Mode, SiteConfig, Station
from shared.errors import DeviceUnreachable, ParkadeError

logger = logging.getLogger(__name__)

LEASE_CHECK_S = 1.0
"""How late the end of a lease may be noticed between two polls."""
POLLS_PER_FAILSAFE = 3
"""Polling is what keeps most boxes from falling back, so it must not be slower than that."""
OWN_TIMEOUT_S = 5.0
FAREWELL_S = 3.0
"""How long a device is given to take its last orders."""


class StationPoller:
    """One station, one task. What happens at this device never waits for another.

    Silence: after two missed cycles the station is told to be offline, with its last words; the box
    falls back by its own fail-safe registers.
    """

    def __init__(
        self, station: Station, outlets: Sequence[Outlet], *, unit: Unit, context: Context
    ) -> None:
        self.station = station
        self.outlets = tuple(outlets)
        self.reports = StationReports(station, unit=unit, context=context)
        self._context = context
        self._presence = Presence(
            f"station {station.id}",
            f"device-unreachable/{station.id}",
            unit=unit,
            bus=context.bus,
            clock=context.clock,
        )
        self._writers = {o.evse.id: Writer(o, context.clock) for o in outlets}
        self._mode = context.site.current.mode
        self._is_leaving = False
        self._is_reached = False
        self._is_untold = False
        """It is reached and the bus does not take it."""
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        """Held by whoever speaks with the device: the cycle, or an operator's order."""

    async def run(self) -> None:
        """Poll for ever."""
        loop = asyncio.get_running_loop()
        while True:
            next_at = loop.time() + self._interval_s
            if self._presence.may_be_asked():
                async with self._turn:
                    await self._cycle()
            await self._until(next_at)

    def outlet(self, connector: int) -> Outlet | None:
        """Return the outlet of that connector."""
        return next((o for o in self.outlets if o.evse.connector == connector), None)

    def act_soon(self) -> None:
        """Something was ordered: do not wait for the next cycle."""
        self._news.set()

    async def act_now(self, outlet: Outlet) -> Applied | None:
        """Write what is ordered, wait for it, and return what became of it.

        Raises ``DeviceUnreachable``.
        """
        async with self._turn:
            return await self._reconcile(outlet)

    def site_changed(self, site: SiteConfig) -> None:
        """Take over changed settings of the outlets; leaving load management lets go (S9)."""
        for outlet in self.outlets:
            changed: Evse | None = site.evse(outlet.evse.id)
            outlet.evse = changed or outlet.evse
        if self._mode is Mode.LOAD_MANAGEMENT and site.mode is not Mode.LOAD_MANAGEMENT:
            self._is_leaving = True
        if site.mode is Mode.LOAD_MANAGEMENT:
            self._is_leaving = False
        self._mode = site.mode
        self.act_soon()

    async def tell_again(self) -> None:
        """Publish everything that is known: somebody started with an empty memory."""
        await self.reports.again(self.outlets)
        if self._presence.is_missing:
            await self._presence.tell()

    async def stop(self, reason: str) -> None:
        """Tell that nobody looks at the station any more, and leave it to its fail-safe."""
        await self.reports.disconnected(reason)

    async def retire(self, site: SiteConfig) -> None:
        """Leave the boxes that are not configured here any more as the policy says (S9)."""
        kept = {evse.id for evse in site.evses_of(self.station.id)}
        gone = [outlet for outlet in self.outlets if outlet.evse.id not in kept]
        if gone and self._mode is Mode.LOAD_MANAGEMENT and self._is_reached:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_S), self._turn:
                    await self._let_go(gone)
        await self.reports.disconnected("configuration changed")
        for outlet in self.outlets:
            await self.reports.observed(outlet, at_once=True)
        await self._presence.withdraw()

    @property
    def _interval_s(self) -> float:
        site = self._context.site.current
        return min(site.poll_interval_s, failsafe_timeout_s(site.lease_s) / POLLS_PER_FAILSAFE)

    async def _cycle(self) -> None:
        try:
            for outlet in self.outlets:
                await outlet.registers.poll(self._context.clock.monotonic())
        except DeviceUnreachable as error:
            await self._missed(error)
            return
        await self._presence.answered()
        if not self._is_reached:
            self._is_reached = True
            for outlet in self.outlets:
                outlet.tenure = outlet.tenure.reached(self._context.clock.now())
        if not self.reports.is_online:
            await self._come_online()
        await self._act()
        for outlet in self.outlets:
            await self._look(outlet)

    async def _come_online(self) -> None:
        """Own the station and tell it. Without a bus the box is polled and falls back all the same.

        Polling keeps the box's own fail-safe from acting, so ours has to.
        """
        try:
            async with asyncio.timeout(OWN_TIMEOUT_S):
                await self.reports.connected(self.outlets[0])
        except (ParkadeError, TimeoutError) as error:
            if not self._is_untold:
                logger.warning("station %s cannot be told: %s", self.station.id, error)
            self._is_untold = True
        else:
            self._is_untold = False

    async def _look(self, outlet: Outlet) -> None:
        before, journal = outlet.sessions.open, self._context.journal
        match outlet.look(self._context.clock.now()):
            case Started() as started:
                journal.started(outlet.evse, started)
            case Ended() as ended:
                journal.ended(outlet.evse.id, ended, reason="unplugged")
            case None if outlet.sessions.open != before and outlet.sessions.open is not None:
                journal.updated(outlet.evse.id, outlet.sessions.open)
        await self.reports.observed(outlet)

    async def _act(self) -> None:
        """Write what is ordered for all outlets."""
        if self._is_leaving:
            await self._let_go(self.outlets)
            self._is_leaving = False
        for outlet in self.outlets:
            try:
                await self._reconcile(outlet)
            except DeviceUnreachable as error:
                await self._missed(error)
                return

    async def _reconcile(self, outlet: Outlet) -> Applied | None:
        now = self._context.clock.now()
        try:
            done = await self._writers[outlet.evse.id].reconcile(self._context.site.current, now)
        except DeviceUnreachable as error:
            await self.reports.setpoint_failed(outlet, str(error))
            raise
        if done is None:
            return None
        wanted: Desired = done[0]
        await self.reports.setpoint(outlet, wanted, done[1])
        return done[1]

    async def _let_go(self, outlets: Sequence[Outlet]) -> None:
        for outlet in outlets:
            try:
                await self._writers[outlet.evse.id].let_go(self._context.site.current)
            except DeviceUnreachable as error:
                logger.warning("evse %s keeps its limit: %s", outlet.evse.id, error)

    async def _missed(self, error: DeviceUnreachable) -> None:
        if not await self._presence.missed(str(error)):
            return
        self._is_leaving = self._is_reached = False
        await self.reports.disconnected(str(error))
        for outlet in self.outlets:
            await self.reports.observed(outlet, at_once=True)
            outlet.registers.forget()
            self._writers[outlet.evse.id].forget()

    async def _until(self, next_at: float) -> None:
        """Wait for the next cycle, and act in between on orders and on leases that end."""
        loop = asyncio.get_running_loop()
        while (rest_s := next_at - loop.time()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(rest_s, LEASE_CHECK_S)):
                    await self._news.wait()
            self._news.clear()
            if self._is_reached and loop.time() < next_at:
                async with self._turn:
                    await self._act()
