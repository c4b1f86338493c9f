"""Everything we call a station for by ourselves, one thing after another, the urgent first.

Handlers of the station's own messages only wake the driver; its calls begin after their answers
are out. What the driver does is decided anew after each call, so a limit that comes in during the
setting-up goes out next.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ocpp_server.facilities import Facilities
from ocpp_server.limits import Limits
from ocpp_server.setup import Setup

if TYPE_CHECKING:
    from ocpp_server.station import Station

logger = logging.getLogger(__name__)

BOOT_GRACE_S = 5.0
"""A station that has not sent a BootNotification by then is asked for it once, and served all the
same (field notes 5.1, 7)."""

Step = Callable[[], Awaitable[None]]


class Driver:
    """The calls of one connection."""

    def __init__(self, station: "Station", facilities: Facilities) -> None:
        self._station = station
        self._clock = facilities.clock
        self._habits = facilities.habits
        self._connected_at = facilities.clock.monotonic()
        self._wanted_triggers: list[str] = []
        self._is_ready = False
        """It booted, or has had the time to."""
        self._wake = asyncio.Event()
        self.limits = Limits(station, facilities, wake=self._wake.set)
        self.setup = Setup(station, facilities, wake=self._look_at_setup)
        self._is_set_up = False
        """Setting up had no next step, and nothing of it has changed since."""

    def booted(self) -> None:
        """The station was accepted: everything is sent again, a reboot may have lost it."""
        self._is_ready = True
        self.limits.send_again()
        self.setup.send_again()
        self._look_at_setup()

    def ask_for(self, message: str) -> None:
        """Have the station send a message."""
        if message not in self._wanted_triggers:
            self._wanted_triggers.append(message)
            self._wake.set()

    def site_changed(self) -> None:
        """Look again at what must be sent."""
        self.limits.site_changed()
        self._look_at_setup()

    def sweep(self) -> None:
        """Look at the time."""
        now = self._clock.monotonic()
        if self._station.known and not self._is_ready and now - self._connected_at >= BOOT_GRACE_S:
            self._is_ready = True
            self._wake.set()
            if self._habits.may_ask_to_boot(self._station.id, self._station.model, now):
                self.ask_for("BootNotification")
            self.ask_for("StatusNotification")
        if self.limits.is_due(now):
            self._wake.set()
        if self.setup.is_waiting:
            self._look_at_setup()

    async def run(self) -> None:
        """Do what is to be done, until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._do_everything()
        finally:
            self.setup.closed()

    async def _do_everything(self) -> None:
        while self._station.conversation.is_open and (step := self._next_step()) is not None:
            await step()

    def _next_step(self) -> Step | None:
        if self._wanted_triggers:
            return self._trigger
        if not self._is_ready:
            return None
        return self.limits.next_step() or self._next_of_setup()

    def _next_of_setup(self) -> Step | None:
        """Looking takes its time, so that it is not done again for every limit."""
        step = None if self._is_set_up else self.setup.next_step()
        self._is_set_up = step is None
        return step

    def _look_at_setup(self) -> None:
        self._is_set_up = False
        self._wake.set()

    async def _trigger(self) -> None:
        message = self._wanted_triggers.pop(0)
        reply = await self._station.call("TriggerMessage", {"requestedMessage": message})
        logger.debug("%s asked for %s: %s", self._station.id, message, reply.summary)
