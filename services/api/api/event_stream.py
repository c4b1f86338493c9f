"""Every event of the bus for those who follow by SSE: filtered by topic, and bounded."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import orjson

from api.domain.site_secrets import hidden
from shared.bus.port import Delivery
from shared.contracts.message import Event
from shared.contracts.site import SiteChanged

MOST_WAITING = 1_000


@dataclass(frozen=True)
class StreamedEvent:
    """One event as it is sent."""

    message_id: str
    topic: str
    text: str
    """JSON: topic, time and data."""


class Follower:
    """One client and what waits for it."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = tuple(patterns)
        self._waiting: deque[StreamedEvent] = deque(maxlen=MOST_WAITING)
        self._arrived = asyncio.Event()

    def wants(self, topic: str) -> bool:
        """Tell whether the topic fits the client's filter; without one everything does."""
        return not self._patterns or any(fnmatchcase(topic, p) for p in self._patterns)

    def offer(self, event: StreamedEvent) -> None:
        """Queue an event; for a client that does not keep up the oldest gives way."""
        self._waiting.append(event)
        self._arrived.set()

    async def events(self) -> AsyncIterator[StreamedEvent]:
        """Yield events as they come, for ever."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            self._arrived.clear()
            await self._arrived.wait()


class EventStream:
    """Hands events to all followers; encodes each only once, and none when nobody follows."""

    def __init__(self) -> None:
        self._followers: set[Follower] = set()

    @contextmanager
    def follow(self, patterns: Sequence[str]) -> Iterator[Follower]:
        """Return a follower for the time of the block."""
        follower = Follower(patterns)
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    def offer(self, delivery: Delivery[Any]) -> None:
        """Hand an event to those who want it."""
        interested = [f for f in self._followers if f.wants(delivery.message.topic)]
        if not interested:
            return
        event = _streamed(delivery)
        for follower in interested:
            follower.offer(event)


def _streamed(delivery: Delivery[Event]) -> StreamedEvent:
    message, meta = delivery.message, delivery.meta
    data = message.model_dump(mode="json")
    if isinstance(message, SiteChanged):
        data = {**data, "site": hidden(data["site"])}
    body = {"topic": message.topic, "time": meta.sent_at, "data": data}
    return StreamedEvent(meta.message_id, message.topic, orjson.dumps(body).decode())
