"""Publishes the facts of all stations in the order they became known, without holding anyone up."""

import asyncio
import logging
from collections import deque

from shared.bus.port import Bus
from shared.contracts.message import Event
from shared.errors import ParkadeError

logger = logging.getLogger(__name__)

WAITING_LIMIT = 50_000
"""Events that may wait; the oldest are dropped first."""


class Announcer:
    """The one way out for events that may be lost. Durable ones go through the postman."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: deque[Event] = deque(maxlen=WAITING_LIMIT)
        self._changed = asyncio.Event()

    def tell(self, event: Event) -> None:
        """Queue an event; returns at once."""
        self._waiting.append(event)
        self._changed.set()

    async def run(self) -> None:
        """Publish what is told, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.flush()

    async def flush(self) -> None:
        """Publish what waits."""
        while self._waiting:
            event = self._waiting.popleft()
            try:
                await self._bus.publish(event)
            except ParkadeError as error:
                logger.debug("%s not published: %s", event.topic, error)
