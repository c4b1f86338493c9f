"""Frames as they go, for those who follow: filtered, bounded, and heard only while one follows."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from api.domain.message_log import LoggedMessage, MessageFilter, logged
from shared.bus.port import Bus, Delivery
from shared.contracts.ocpp import MessagesLogged
from shared.errors import ParkadeError

logger = logging.getLogger(__name__)

MOST_WAITING = 1_000
MOST_CHARACTERS = 4_000_000
"""A thousand frames of 64 KiB would be too many for one client that is slow."""
MOST_HEARD = 200
"""Messages of the bus that wait here, with some hundred frames in each."""
RETRY_S = 1.0


class MessageFollower:
    """One client and the frames that wait for it."""

    def __init__(self, which: MessageFilter) -> None:
        self._which = which
        self._waiting: deque[LoggedMessage] = deque()
        self._characters = 0
        self._lost = 0
        self._arrived = asyncio.Event()

    def offer(self, message: LoggedMessage) -> None:
        """Queue a frame that is wanted; for a client that does not keep up the oldest give way."""
        if not self._which.fits(message):
            return
        self._waiting.append(message)
        self._characters += len(message.text)
        while len(self._waiting) > MOST_WAITING or self._characters > MOST_CHARACTERS:
            self._characters -= len(self._waiting.popleft().text)
            self._lost += 1
        self._arrived.set()

    async def take(self) -> tuple[int, list[LoggedMessage]]:
        """Wait for frames, for ever if none go; return how many were lost before them, and them."""
        await self._arrived.wait()
        self._arrived.clear()
        lost, messages = self._lost, list(self._waiting)
        self._lost, self._characters = 0, 0
        self._waiting.clear()
        return lost, messages


class MessageFeed:
    """Hears the message log while somebody follows it, because most of the time nobody does."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._followers: set[MessageFollower] = set()
        self._wanted = asyncio.Event()
        self._unwanted = asyncio.Event()
        self._hearing = asyncio.Event()

    @contextmanager
    def follow(self, which: MessageFilter) -> Iterator[MessageFollower]:
        """Return a follower for the time of the block."""
        follower = MessageFollower(which)
        self._followers.add(follower)
        self._wanted.set()
        self._unwanted.clear()
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            if not self._followers:
                self._wanted.clear()
                self._unwanted.set()

    async def heard(self) -> None:
        """Return when frames that go from now on are heard; while the broker is away it waits."""
        await self._hearing.wait()

    async def run(self) -> None:
        """Hear the log whenever it is wanted, for ever."""
        while True:
            await self._wanted.wait()
            try:
                await self._hear_while_wanted()
            except ParkadeError as error:
                logger.warning("the message log cannot be followed: %s", error)
                await asyncio.sleep(RETRY_S)

    async def _hear_while_wanted(self) -> None:
        subscription = await self._bus.listen([MessagesLogged], self._take, limit=MOST_HEARD)
        self._hearing.set()
        try:
            await self._unwanted.wait()
        finally:
            self._hearing.clear()
            await subscription.close()

    async def _take(self, delivery: Delivery[Any]) -> None:
        for row in delivery.message.rows:
            message = logged(row)
            for follower in self._followers:
                follower.offer(message)
