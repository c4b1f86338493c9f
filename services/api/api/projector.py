"""Carries what happens into what the api remembers: sessions durably, the present in memory."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from api.event_stream import EventStream
from api.live import LiveView
from api.recorder import Recorder
from api.storage.sessions import SessionStore
from shared.bus.port import Bus, Delivery, Subscription
from shared.bus.topology import SESSIONS_TO_API
from shared.contracts.alarm import AlarmChanged
from shared.contracts.charging import OffersDecided, PermissionChanged, SetpointApplied
from shared.contracts.evse import EvseObserved
from shared.contracts.message import Event
from shared.contracts.meter import MeterSampled
from shared.contracts.ocpp import FrameReceived, UplinkChanged
from shared.contracts.session import SessionEnded, SessionStarted
from shared.contracts.site import SiteChanged
from shared.contracts.station import (
    FactsRequested,
    LocalListChanged,
    ReservationChanged,
    SecurityEventReported,
    StationBooted,
    StationConfigurationRead,
    StationConnected,
    StationDisconnected,
    StationJobChanged,
    StationRefused,
)

logger = logging.getLogger(__name__)

BATCH = 100
WATCH_EVERY_S = 1.0
LIVE_EVENTS: tuple[type[Event], ...] = (
    StationConnected,
    StationBooted,
    StationDisconnected,
    StationRefused,
    StationConfigurationRead,
    LocalListChanged,
    StationJobChanged,
    ReservationChanged,
    SecurityEventReported,
    EvseObserved,
    MeterSampled,
    OffersDecided,
    SetpointApplied,
    PermissionChanged,
    SessionStarted,
    SessionEnded,
    FrameReceived,
    UplinkChanged,
    AlarmChanged,
    SiteChanged,
)


class Projector:
    """Listens and consumes; what to make of an event is in ``api.domain``."""

    def __init__(
        self,
        bus: Bus,
        sessions: SessionStore,
        *,
        live: LiveView,
        recorder: Recorder,
        stream: EventStream,
    ) -> None:
        self._bus = bus
        self._sessions = sessions
        self._live = live
        self._recorder = recorder
        self._stream = stream
        self._subscriptions: list[Subscription] = []

    async def open(self) -> None:
        """Start to hear, then ask everybody for what there is."""
        self._subscriptions = [
            await self._bus.listen(LIVE_EVENTS, self._heard),
            await self._bus.consume(SESSIONS_TO_API, self._commit, max_batch=BATCH),
        ]
        self._live.remember(await self._sessions.open_sessions())
        await self._request_facts()

    async def watch(self) -> None:
        """Ask again whenever the bus was away: what happened meanwhile was not heard. For ever."""
        was_connected = True
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            if self._bus.is_connected and not was_connected:
                await self._request_facts()
            was_connected = self._bus.is_connected

    async def close(self) -> None:
        """Stop; facts that are not committed stay in their queue."""
        for subscription in self._subscriptions:
            await subscription.close()

    async def _request_facts(self) -> None:
        await self._bus.publish(FactsRequested(asker=self._bus.instance))

    async def _heard(self, delivery: Delivery[Any]) -> None:
        event = delivery.message
        self._live.apply(event)
        if isinstance(event, EvseObserved):
            self._recorder.take(event, offered_a=self._live.offered_a(event.evse_id))
        else:
            self._recorder.take(event)
        self._stream.offer(delivery)

    async def _commit(self, deliveries: Sequence[Delivery[Any]]) -> None:
        """Returning is the promise that the facts are stored (see the bus's port)."""
        await self._sessions.record([delivery.message for delivery in deliveries])
