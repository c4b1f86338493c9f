"""Takes frames and meter values into the database."""

from collections.abc import Sequence
from typing import Any

from api.storage.messages import MessageStore
from api.storage.meter_values import MeterValueStore
from shared.bus.port import Bus, Delivery, Subscription
from shared.bus.topology import MESSAGES_TO_API, METER_VALUES_TO_API

FRAMES_BATCH, VALUES_BATCH = 10, 100
"""Messages of a queue at a time. One may carry 500 frames of 64 KiB, so fewer of these."""


class BulkIntake:
    """Consumes the two bulk queues."""

    def __init__(self, bus: Bus, messages: MessageStore, meter_values: MeterValueStore) -> None:
        self._bus = bus
        self._messages = messages
        self._meter_values = meter_values
        self._subscriptions: list[Subscription] = []

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

    async def _commit_messages(self, deliveries: Sequence[Delivery[Any]]) -> None:
        await self._messages.add([row for one in deliveries for row in one.message.rows])

    async def _commit_values(self, deliveries: Sequence[Delivery[Any]]) -> None:
        """Returning is the promise that the values are stored (see the bus's port)."""
        await self._meter_values.add([row for one in deliveries for row in one.message.rows])
