"""Publishes the facts of all stations in the order they became known, without holding anyone up."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Hashable

from shared.bus.port import Bus
from shared.contracts.message import Event
from shared.errors import ParkadeError

logger = logging.getLogger(__name__)

WAITING_LIMIT = 50_000
"""Events that may wait; the oldest are dropped first."""
GATHER_S = 0.005
"""Measurements are told no more often than this; of several, the newest."""

Look = Callable[[], Event | None]
"""Makes an event of what is true at that moment; None when there is nothing to tell any more."""


class Announcer:
    """The one way out for events that may be lost. Durable ones go through the postman."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: deque[Event] = deque(maxlen=WAITING_LIMIT)
        self._changed_things: dict[Hashable, Look] = {}
        self._changed = asyncio.Event()

    def tell(self, event: Event) -> None:
        """Queue an event; returns at once."""
        self._waiting.append(event)
        self._changed.set()

    def tell_newest(self, thing: Hashable, look: Look) -> None:
        """Have a thing looked at and told soon; many changes until then are told as one."""
        self._changed_things[thing] = look
        self._changed.set()

    async def run(self) -> None:
        """Publish what is told, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.flush()
            await asyncio.sleep(GATHER_S)

    async def flush(self) -> None:
        """Publish what waits."""
        while self._waiting:
            await self._publish(self._waiting.popleft())
        changed, self._changed_things = self._changed_things, {}
        for look in changed.values():
            event = look()
            if event is not None:
                await self._publish(event)

    async def _publish(self, event: Event) -> None:
        try:
            await self._bus.publish(event)
        except ParkadeError as error:
            logger.debug("%s not published: %s", event.topic, error)
