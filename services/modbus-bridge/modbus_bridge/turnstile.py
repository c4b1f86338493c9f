"""Lets one request at a time onto a line: writes first, then by urgency, and none for ever last."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum


class Priority(IntEnum):
    """What goes first when several wait."""

    WRITE = 0
    FAST = 1
    NORMAL = 2
    SLOW = 3


PATIENCE_S = 2.0
"""A request that has waited this much longer goes before one that is a step more urgent."""


class Turnstile:
    """A lock whose waiters are served by priority, aged so that a busy line starves nobody."""

    def __init__(self) -> None:
        self._is_taken = False
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._arrivals = itertools.count()

    @asynccontextmanager
    async def turn(self, priority: Priority) -> AsyncIterator[None]:
        """Wait for the line and hold it."""
        await self._enter(priority)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, priority: Priority) -> None:
        if not self._is_taken:
            self._is_taken = True
            return
        loop = asyncio.get_running_loop()
        granted: asyncio.Future[None] = loop.create_future()
        rank = 0.0 if priority is Priority.WRITE else loop.time() + priority * PATIENCE_S
        heapq.heappush(self._waiting, (rank, next(self._arrivals), granted))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._leave()  # the turn came together with the cancellation: pass it on
            raise

    def _leave(self) -> None:
        while self._waiting:
            *_, granted = heapq.heappop(self._waiting)
            if not granted.done():
                granted.set_result(None)
                return
        self._is_taken = False
