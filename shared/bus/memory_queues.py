"""The shared queues of the topology, in one process."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from shared.bus.batches import BatchWorker, Work
from shared.bus.codec import has_expired
from shared.bus.port import Delivery
from shared.bus.topology import DurableQueue
from shared.clock import Clock

Bury = Callable[[Delivery[Any], str, Exception], Awaitable[None]]


@dataclass(eq=False)
class Pending:
    """A message in a shared queue; ``settled`` becomes true when it is committed or buried."""

    delivery: Delivery[Any]
    settled: asyncio.Future[None]
    bury: Callable[[Exception], Awaitable[None]]

    async def settle(self) -> None:
        """Tell the publisher who waits that the fact is safe."""
        if not self.settled.done():
            self.settled.set_result(None)


class MemoryQueue:
    """A shared queue of the topology: ordered, bounded if its declaration says so."""

    def __init__(self, declared: DurableQueue, clock: Clock, bury: Bury) -> None:
        self.declared = declared
        self._bury = bury
        self._clock = clock
        self._waiting: deque[Pending] = deque()
        self._consumers: list[MemoryConsumer] = []

    def put(self, delivery: Delivery[Any]) -> Pending:
        """Append a message; where the queue is full the oldest gives way."""
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        bury = partial(self._bury, delivery, self.declared.name)
        pending = Pending(delivery, settled, bury)
        self._waiting.append(pending)
        limit = self.declared.max_length
        if limit is not None and len(self._waiting) > limit:
            self._waiting.popleft()
        self._wake()
        return pending

    def withdraw(self, pending: Pending) -> None:
        """Forget a message whose publisher gave up, unless it is being handled."""
        if pending in self._waiting:
            self._waiting.remove(pending)

    def take(self, consumer: "MemoryConsumer", most: int) -> list[Pending]:
        """Return the next messages for a consumer, or nothing when it is not its turn."""
        if self.declared.single_active and consumer is not self._consumers[0]:
            return []
        taken: list[Pending] = []
        while self._waiting and len(taken) < most:
            pending = self._waiting.popleft()
            message, meta = pending.delivery.message, pending.delivery.meta
            if not has_expired(message, meta, self._clock.now()):
                taken.append(pending)
        return taken

    def put_back(self, pending: Sequence[Pending]) -> None:
        """Return what a closing consumer left undone, in front and in order."""
        self._waiting.extendleft(reversed(pending))

    def join(self, consumer: "MemoryConsumer") -> None:
        """Add a consumer; with ``single_active`` it waits behind the others."""
        self._consumers.append(consumer)

    def leave(self, consumer: "MemoryConsumer") -> None:
        """Remove a consumer; the next one takes over."""
        self._consumers.remove(consumer)
        self._wake()

    def _wake(self) -> None:
        for consumer in self._consumers:
            consumer.changed.set()


class MemoryConsumer:
    """Works on a shared queue with one task."""

    def __init__(
        self,
        queue: MemoryQueue,
        worker: BatchWorker,
        *,
        max_batch: int,
    ) -> None:
        self.changed = asyncio.Event()
        self.changed.set()
        self._queue = queue
        self._worker = worker
        self._max_batch = max_batch
        queue.join(self)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop after the attempt that runs; what is not committed stays in the queue."""
        self._worker.stop()
        self.changed.set()
        if asyncio.current_task() is not self._task:
            await self._task

    async def _run(self) -> None:
        try:
            while not self._worker.is_closing:
                await self.changed.wait()
                self.changed.clear()
                await self._work_off_all()
        finally:
            self._queue.leave(self)

    async def _work_off_all(self) -> None:
        while not self._worker.is_closing:
            batch = self._queue.take(self, self._max_batch)
            if not batch:
                return
            works = [Work(pending.delivery, pending.settle, pending.bury) for pending in batch]
            left = await self._worker.work_off(works)
            self._queue.put_back(batch[len(batch) - len(left) :])
