"""Records what stations did and told: committed before the queue may forget it."""

from collections.abc import Sequence
from typing import Any

from api.storage.station_records import StationRecordStore
from shared.bus.port import Bus, Delivery, Subscription
from shared.bus.topology import STATION_RECORDS_TO_API

BATCH = 100


class StationRecords:
    """The consumer of ``api.station-records``."""

    def __init__(self, bus: Bus, store: StationRecordStore) -> None:
        self._bus = bus
        self._store = store
        self._subscription: Subscription | None = None

    async def open(self) -> None:
        """Start to consume."""
        self._subscription = await self._bus.consume(
            STATION_RECORDS_TO_API, self._commit, max_batch=BATCH
        )

    async def close(self) -> None:
        """Stop; what is not committed stays in its queue."""
        if self._subscription is not None:
            await self._subscription.close()

    async def _commit(self, deliveries: Sequence[Delivery[Any]]) -> None:
        """Returning is the promise that the facts are stored (see the bus's port)."""
        await self._store.record([delivery.message for delivery in deliveries])
