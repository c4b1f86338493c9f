"""A listener: hears events from now on, forgets the oldest where it cannot keep up."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

from shared.bus.codec import has_expired
from shared.bus.handling import outcome_of
from shared.bus.port import Delivery, EventHandler
from shared.clock import Clock
from shared.contracts.message import Event
from shared.errors import ParkadeError

logger = logging.getLogger(__name__)


class Listener:
    """Hears events, a bounded number of them waiting, with one task."""

    def __init__(
        self, events: Sequence[type[Event]], handler: EventHandler, *, limit: int, clock: Clock
    ) -> None:
        self._topics = frozenset(event.topic for event in events)
        self._handler = handler
        self._clock = clock
        self._waiting: deque[Delivery[Any]] = deque(maxlen=limit)
        self._changed = asyncio.Event()
        self._closing = False
        self._task = asyncio.get_running_loop().create_task(self._run())

    def offer(self, delivery: Delivery[Any]) -> None:
        """Take an event that this listener listens to; the oldest gives way."""
        if delivery.message.topic in self._topics:
            self._waiting.append(delivery)
            self._changed.set()

    async def close(self) -> None:
        """Stop after the event that is being handled."""
        self._closing = True
        self._changed.set()
        if asyncio.current_task() is not self._task:
            await self._task

    async def _run(self) -> None:
        while not self._closing:
            await self._changed.wait()
            self._changed.clear()
            while self._waiting and not self._closing:
                await self._handle(self._waiting.popleft())

    async def _handle(self, delivery: Delivery[Any]) -> None:
        if has_expired(delivery.message, delivery.meta, self._clock.now()):
            return
        outcome = await outcome_of(self._handler(delivery), what="a listener")
        if isinstance(outcome, ParkadeError):
            logger.warning("a listener failed at %s: %s", delivery.message.topic, outcome)
