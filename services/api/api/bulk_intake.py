"""Takes frames and meter values into the database, and lets go of what is older than it is kept."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from api.storage.messages import MessageStore
from api.storage.meter_values import MeterValueStore
from shared.bus.port import Bus, Delivery, Subscription
from shared.bus.topology import MESSAGES_TO_API, METER_VALUES_TO_API
from shared.clock import Clock
from shared.errors import StoreUnavailable

logger = logging.getLogger(__name__)

FRAMES_BATCH, VALUES_BATCH = 10, 100
"""Messages of a queue at a time. One may carry 500 frames of 64 KiB, so fewer of these."""
PRUNE_EVERY_S = 10.0
"""At 10,000 frames a second the log is 5 % longer than it may be by then."""
BETWEEN_STEPS_S = 0.02
"""Others write meanwhile."""


class BulkIntake:
    """Consumes the two bulk queues and prunes their tables."""

    def __init__(
        self,
        bus: Bus,
        messages: MessageStore,
        meter_values: MeterValueStore,
        *,
        clock: Clock,
        keep_messages: timedelta,
        most_messages: int,
        keep_values: timedelta,
    ) -> None:
        self._bus = bus
        self._messages = messages
        self._meter_values = meter_values
        self._clock = clock
        self._keep_messages = keep_messages
        self._most_messages = most_messages
        self._keep_values = keep_values
        self._subscriptions: list[Subscription] = []
        self._is_failing = False

    async def open(self) -> None:
        """Start to work on both queues."""
        consume = self._bus.consume
        self._subscriptions.append(
            await consume(METER_VALUES_TO_API, self._commit_values, max_batch=VALUES_BATCH)
        )
        self._subscriptions.append(
            await consume(MESSAGES_TO_API, self._commit_messages, max_batch=FRAMES_BATCH)
        )

    async def close(self) -> None:
        """Stop; what is not committed stays in its queue."""
        for subscription in self._subscriptions:
            await subscription.close()

    async def run(self) -> None:
        """Prune now and then, for ever."""
        while True:
            await self.prune()
            await asyncio.sleep(PRUNE_EVERY_S)

    async def prune(self) -> None:
        """Delete what is kept no longer, in small steps; while the database is away nothing."""
        now = self._clock.now()
        try:
            await _until_done(lambda: self._messages.forget_beyond(self._most_messages))
            await _until_done(lambda: self._messages.forget_before(now - self._keep_messages))
            await _until_done(lambda: self._meter_values.forget_before(now - self._keep_values))
        except StoreUnavailable as error:
            if not self._is_failing:
                logger.warning("old frames and meter values stay for now: %s", error)
            self._is_failing = True
        else:
            self._is_failing = False

    async def _commit_messages(self, deliveries: Sequence[Delivery[Any]]) -> None:
        await self._messages.add([row for one in deliveries for row in one.message.rows])

    async def _commit_values(self, deliveries: Sequence[Delivery[Any]]) -> None:
        """Returning is the promise that the values are stored (see the bus's port)."""
        await self._meter_values.add([row for one in deliveries for row in one.message.rows])


async def _until_done(forget_some: Callable[[], Awaitable[int]]) -> None:
    while await forget_some():
        await asyncio.sleep(BETWEEN_STEPS_S)
