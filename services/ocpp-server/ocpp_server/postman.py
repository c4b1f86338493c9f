"""Delivers durable events: at once where the bus confirms, otherwise again until it does.

The events lie in the ledger before they are published (transactional outbox), so neither a broker
that is away nor ``kill -9`` loses one.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

from ocpp_server.ledger import Ledger, StoredEvent
from ocpp_server.metrics import UNSAFE
from shared.bus.port import Bus
from shared.clock import Clock
from shared.contracts.message import Event
from shared.contracts.ocpp import FrameReceived
from shared.contracts.session import (
    MeterValuesRecorded,
    SessionEnded,
    SessionStarted,
    SignedValueReceived,
)
from shared.contracts.station import ReservationChanged, SecurityEventReported, StationJobChanged
from shared.errors import NotSafe, StoreUnavailable

logger = logging.getLogger(__name__)

AGAIN_EVERY_S = 5.0
AGAIN_AFTER = timedelta(seconds=15)
"""Longer than a publish may take, so that what is under way is not sent twice."""

EVENTS: dict[str, type[Event]] = {
    event.topic: event
    for event in (
        SessionStarted,
        SessionEnded,
        FrameReceived,
        MeterValuesRecorded,
        SignedValueReceived,
        StationJobChanged,
        ReservationChanged,
        SecurityEventReported,
    )
}


class Postman:
    """Durable events of this replica, and those that another one left behind."""

    def __init__(self, bus: Bus, ledger: Ledger, *, clock: Clock) -> None:
        self._bus = bus
        self._ledger = ledger
        self._clock = clock
        self._waiting_stations: set[str] = set()
        """Stations with an undelivered event: later ones stay behind it, in order."""

    async def deliver(self, stored: Sequence[StoredEvent]) -> bool:
        """Publish events that lie in the outbox; False when they stay there for later."""
        for event in stored:
            if event.station_id in self._waiting_stations or not await self._published(event):
                self._waiting_stations.add(event.station_id)
                return False
        await self._ledger.forget_events([event.id for event in stored])
        return True

    async def publish(self, station_id: str, event: Event) -> bool:
        """Publish an event of which nothing is stored; keep it when the bus does not confirm."""
        if station_id not in self._waiting_stations and await self._is_safe(event):
            return True
        self._waiting_stations.add(station_id)
        await self._ledger.keep_event(station_id, event, now=self._clock.now())
        return False

    async def run(self) -> None:
        """Deliver what was left behind, until cancelled."""
        while True:
            try:
                await self.deliver_old()
            except StoreUnavailable as error:
                logger.warning("undelivered events cannot be read: %s", error)
            await asyncio.sleep(AGAIN_EVERY_S)

    async def deliver_old(self) -> None:
        """Publish what has waited long enough, oldest first; stop at what is not confirmed."""
        while True:
            before = self._clock.now() - AGAIN_AFTER
            kept = await self._ledger.kept_events(before=before)
            if not kept:
                break
            for event in kept:
                if not await self._published(event):
                    return
                await self._ledger.forget_events([event.id])
        if self._waiting_stations:
            self._waiting_stations &= await self._ledger.stations_with_events()

    async def _published(self, stored: StoredEvent) -> bool:
        kind = EVENTS.get(stored.topic)
        if kind is None:
            logger.error(
                "event %s of the outbox is of an unknown kind: %s", stored.id, stored.topic
            )
            return True
        return await self._is_safe(kind.model_validate_json(stored.body))

    async def _is_safe(self, event: Event) -> bool:
        try:
            await self._bus.publish(event)
        except NotSafe as error:
            UNSAFE.inc()
            logger.warning("%s is kept until the bus confirms it: %s", event.topic, error)
            return False
        return True
