"""What a ``BatchHandler`` is promised: the same in both adapters, so it is written once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.bus.handling import outcome_of
from shared.bus.port import BatchHandler, Delivery
from shared.errors import ParkadeError

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True)
class Work:
    """A message of a shared queue, and how to tell the queue what became of it."""

    delivery: Delivery[Any]
    settle: Callable[[], Awaitable[None]]
    """It is done with; the queue may forget it."""
    bury: Callable[[Exception], Awaitable[None]]
    """Keep it among the dead letters, with the reason. A retryable error is tried again."""


class BatchWorker:
    """Gets batches committed: retries in place, and buries what cannot be handled.

    A batch is settled only when it is committed or buried, so stopping never loses one.
    """

    def __init__(self, queue: str, handler: BatchHandler) -> None:
        self._queue = queue
        self._handler = handler
        self._closing = asyncio.Event()

    @property
    def is_closing(self) -> bool:
        """No further batch should be started."""
        return self._closing.is_set()

    def stop(self) -> None:
        """Finish the attempt that runs, and make no other."""
        self._closing.set()

    async def work_off(self, batch: Sequence[Work]) -> Sequence[Work]:
        """Commit or bury a batch. Returns what was left undone because of ``stop``."""
        failure = await self._persist(lambda: self._hand_over(batch))
        if failure is None:
            await _settle(batch)
            return ()
        if _is_retryable(failure):
            return batch
        if len(batch) == 1:
            work = batch[0]
            return () if await self.bury(work.bury, work.settle, failure) else batch
        for done, work in enumerate(batch):
            if await self.work_off([work]):
                return batch[done:]
        return ()

    async def bury(
        self,
        bury: Callable[[Exception], Awaitable[None]],
        settle: Callable[[], Awaitable[None]],
        reason: Exception,
    ) -> bool:
        """Put a message to the dead letters, then settle it; tells whether that was done."""

        async def attempt() -> Exception | None:
            return await outcome_of(bury(reason), what=f"burying of {self._queue}")

        if await self._persist(attempt) is not None:
            return False
        await settle()
        return True

    async def _persist(
        self, attempt: Callable[[], Awaitable[Exception | None]]
    ) -> Exception | None:
        """Repeat an attempt until it succeeds or fails for good; ``stop`` ends it as it is."""
        pause_s = FIRST_PAUSE_S
        failing = False
        while _is_retryable(failure := await attempt()):
            if not failing:
                logger.warning("queue %s waits: %s", self._queue, failure)
            failing = True
            if await self._paused(pause_s):
                return failure
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        if failing:
            logger.info("queue %s moves again", self._queue)
        return failure

    async def _hand_over(self, batch: Sequence[Work]) -> Exception | None:
        deliveries = [work.delivery for work in batch]
        what = f"handling {len(batch)} of queue {self._queue}"
        return await outcome_of(self._handler(deliveries), what=what)

    async def _paused(self, pause_s: float) -> bool:
        """Pause; tells whether ``stop`` ended the pause."""
        try:
            async with asyncio.timeout(pause_s):
                await self._closing.wait()
        except TimeoutError:
            return False
        return True


async def _settle(batch: Sequence[Work]) -> None:
    for work in batch:
        await work.settle()


def _is_retryable(failure: Exception | None) -> bool:
    return isinstance(failure, ParkadeError) and failure.retryable
