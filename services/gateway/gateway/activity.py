"""Which of several gateways is the active one: the one that hears from the single-active queue.

Silence: an instance that hears nothing there connects nowhere. One that loses the bus cannot know
whether another has taken over, so it stands down.
"""

import asyncio
import logging
from datetime import datetime, timedelta

from shared.bus.port import Bus, Delivery
from shared.clock import Clock
from shared.contracts.ocpp import UplinkChanged
from shared.contracts.station import FactsRequested

logger = logging.getLogger(__name__)

ASK_EVERY_S = 5.0
LOOK_EVERY_S = 1.0
OTHER_IS_ACTIVE_FOR = timedelta(seconds=75)
"""The active instance repeats ``UplinkChanged`` every 30 s."""


class Activity:
    """Knows whether this instance is the active one; sets ``changed`` when that changes."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self.clock = clock
        self.changed = asyncio.Event()
        self._other_heard_at: datetime | None = None
        self._asked_at_s = float("-inf")
        self.is_active = False

    async def heard_from_queue(self) -> None:
        """Take note of a message from the single-active queue."""
        if self.is_active:
            return
        logger.info("this gateway is the active one")
        self.is_active = True
        self.changed.set()
        await self._ask()  # whoever takes over has heard nothing of what was told before

    async def heard_uplink(self, delivery: Delivery[UplinkChanged]) -> None:
        """Take note that another gateway is active."""
        if delivery.meta.sender != self._bus.instance:
            self._other_heard_at = self.clock.now()

    async def run(self) -> None:
        """Ask for facts while nobody is active; stand down when the bus is gone."""
        while True:
            if self.is_active and not self._bus.is_connected:
                logger.warning("the bus is gone: this gateway stands down")
                self.is_active = False
                self.changed.set()
            if not self.is_active and not self._another_is_active():
                await self._ask()
            await asyncio.sleep(LOOK_EVERY_S)

    def _another_is_active(self) -> bool:
        heard = self._other_heard_at
        return heard is not None and self.clock.now() - heard < OTHER_IS_ACTIVE_FOR

    async def _ask(self) -> None:
        now_s = self.clock.monotonic()
        if self._bus.is_connected and now_s - self._asked_at_s >= ASK_EVERY_S:
            self._asked_at_s = now_s
            await self._bus.publish(FactsRequested(asker=self._bus.instance))
