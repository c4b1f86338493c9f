"""The bus in one process: a hub that every service joins. Nothing is copied and nothing is encoded.

A durable event is safe here when every durable consumer has committed it, because there is no
broker that could keep it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from shared.bus.batches import BatchWorker
from shared.bus.codec import decode_error, encode_error, new_metadata
from shared.bus.dead_letters import DeadLetter, DeadLetters
from shared.bus.listener import Listener
from shared.bus.memory_queues import MemoryConsumer, MemoryQueue, Pending
from shared.bus.orders import OrderDesk, Outcome
from shared.bus.port import (
    BatchHandler,
    Bus,
    Delivery,
    EventHandler,
    EvictionHandler,
    Inbox,
    OrderHandler,
    R,
    Subscription,
)
from shared.bus.topology import DurableQueue, QueueKind, queues_of
from shared.clock import SYSTEM_CLOCK, Clock
from shared.contracts.message import Address, Command, Event, Request
from shared.errors import HandlerFailed, NotSafe, ReplyTimeout, Unroutable
from shared.ids import new_id

logger = logging.getLogger(__name__)

SAFE_WITHIN_S = 10.0


class MemoryBus:
    """The hub. ``services`` are those that run here: their durable queues exist from the start."""

    def __init__(
        self,
        clock: Clock = SYSTEM_CLOCK,
        services: frozenset[str] = frozenset(),
        dead_letter_file: Path | None = None,
        *,
        safe_within_s: float = SAFE_WITHIN_S,
    ) -> None:
        self.clock = clock
        self.dead_letters = DeadLetters(dead_letter_file)
        self.safe_within_s = safe_within_s
        self.listeners: list[Listener] = []
        self.owners: dict[Address, OrderDesk] = {}
        self._queues = {
            queue.name: MemoryQueue(queue, clock, self.bury) for queue in queues_of(services)
        }

    def join(self, service: str) -> Bus:
        """Return a participant with a name of its own."""
        return MemoryParticipant(self, f"{service}/{new_id()[:8]}")

    def queue(self, declared: DurableQueue) -> MemoryQueue:
        """Return a shared queue; being consumed makes it exist."""
        return self._queues.setdefault(declared.name, MemoryQueue(declared, self.clock, self.bury))

    def queues_for(self, event: Event) -> list[MemoryQueue]:
        """Return the shared queues that an event belongs to."""
        return [q for q in self._queues.values() if type(event) in q.declared.events]

    async def bury(self, delivery: Delivery[Any], queue: str, error: Exception) -> None:
        """Put a message to the dead letters."""
        reason = f"{type(error).__name__}: {error}"
        await self.dead_letters.add(DeadLetter(delivery, queue, reason, self.clock.now()))


class MemoryParticipant:
    """One service on the hub."""

    def __init__(self, hub: MemoryBus, instance: str) -> None:
        self._hub = hub
        self._instance = instance
        self._subscriptions: list[Subscription] = []
        self._inboxes: list[MemoryInbox] = []
        self._is_open = True

    @property
    def instance(self) -> str:
        """This participant's name, unique among all."""
        return self._instance

    @property
    def is_connected(self) -> bool:
        """The hub carries messages as long as this participant has not left."""
        return self._is_open

    async def publish(self, event: Event, *, cause: Delivery[Any] | None = None) -> None:
        """Tell a fact; see the port."""
        if not self._is_open:
            if event.durable:
                raise NotSafe("this participant has left the bus")
            return
        delivery = self._delivery(event, cause)
        for listener in self._hub.listeners:
            listener.offer(delivery)
        waiting: list[tuple[MemoryQueue, Pending]] = []
        for queue in self._hub.queues_for(event):
            pending = queue.put(delivery)
            if queue.declared.kind is QueueKind.BILLING:
                waiting.append((queue, pending))
        if event.durable:
            await self._until_safe(event, waiting)

    async def send(self, command: Command, *, cause: Delivery[Any] | None = None) -> None:
        """Hand a command to the owner of its address; see the port."""
        delivery = self._delivery(command, cause)

        async def answer(outcome: Outcome) -> None:
            if isinstance(outcome, Exception):
                await self._hub.bury(delivery, command.address.word, outcome)

        await self._owner_of(command.address).accept(delivery, answer)

    async def send_together(self, commands: Sequence[Command]) -> None:
        """Hand commands to the owners of their addresses; see the port."""
        handed_over = 0
        for command in commands:
            with suppress(Unroutable):
                await self.send(command)
                handed_over += 1
        if not handed_over:
            raise Unroutable("none of these addresses is connected")

    async def ask(
        self, request: Request[R], *, timeout_s: float, cause: Delivery[Any] | None = None
    ) -> R:
        """Ask the owner of an address; see the port."""
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        async def answer(outcome: Outcome) -> None:
            if not answered.done():
                answered.set_result(outcome)

        await self._owner_of(request.address).accept(self._delivery(request, cause), answer)
        try:
            async with asyncio.timeout(timeout_s):
                outcome = await answered
        except TimeoutError:
            raise ReplyTimeout(f"{request.topic} to {request.address}: {timeout_s} s") from None
        if isinstance(outcome, Exception):
            raise decode_error(encode_error(outcome))
        if not isinstance(outcome, request.reply):
            raise HandlerFailed(f"{request.topic} was answered with {type(outcome).__name__}")
        return outcome  # type: ignore[return-value]  # reply is the class of R by declaration

    async def listen(
        self, events: Sequence[type[Event]], handler: EventHandler, *, limit: int = 10_000
    ) -> Subscription:
        """Hear events from now on; see the port."""
        listener = Listener(events, handler, limit=limit, clock=self._hub.clock)
        self._hub.listeners.append(listener)
        return self._until_closed(listener.close, lambda: self._hub.listeners.remove(listener))

    async def consume(
        self, queue: DurableQueue, handler: BatchHandler, *, max_batch: int = 1
    ) -> Subscription:
        """Work on a queue of the topology; see the port."""
        worker = BatchWorker(queue.name, handler)
        consumer = MemoryConsumer(self._hub.queue(queue), worker, max_batch=max_batch)
        return self._until_closed(consumer.close)

    async def inbox(self, on_evicted: EvictionHandler) -> Inbox:
        """Open this participant's inbox; see the port."""
        inbox = MemoryInbox(self._hub, OrderDesk(on_evicted, self._hub.clock))
        self._inboxes.append(inbox)
        return inbox

    async def close(self) -> None:
        """Leave: subscriptions end, owned addresses are released."""
        self._is_open = False
        for subscription in tuple(self._subscriptions):
            await subscription.close()
        for inbox in self._inboxes:
            await inbox.close()
        self._inboxes.clear()

    def _delivery(self, message: Any, cause: Delivery[Any] | None) -> Delivery[Any]:
        return Delivery(message, new_metadata(self._instance, self._hub.clock, cause))

    def _owner_of(self, address: Address) -> OrderDesk:
        owner = self._hub.owners.get(address)
        if owner is None:
            raise Unroutable(f"{address} is not connected")
        return owner

    async def _until_safe(self, event: Event, waiting: list[tuple[MemoryQueue, Pending]]) -> None:
        """Wait until every durable consumer has committed."""
        try:
            async with asyncio.timeout(self._hub.safe_within_s):
                for _, pending in waiting:
                    await pending.settled
        except TimeoutError:
            raise NotSafe(
                f"{event.topic} was not committed within {self._hub.safe_within_s} s"
            ) from None
        finally:
            for queue, pending in waiting:
                queue.withdraw(pending)

    def _until_closed(
        self,
        close: Callable[[], Coroutine[Any, Any, None]],
        forget: Callable[[], None] = lambda: None,
    ) -> Subscription:
        subscription = MemorySubscription(close, forget, self._subscriptions)
        self._subscriptions.append(subscription)
        return subscription


class MemorySubscription:
    """Something of a participant that runs until it is closed."""

    def __init__(
        self,
        close: Callable[[], Coroutine[Any, Any, None]],
        forget: Callable[[], None],
        siblings: list[Subscription],
    ) -> None:
        self._close = close
        self._forget = forget
        self._siblings = siblings

    async def close(self) -> None:
        """Stop; closing twice does nothing."""
        if self in self._siblings:
            self._siblings.remove(self)
            self._forget()
            await self._close()


class MemoryInbox:
    """The orders of one participant."""

    def __init__(self, hub: MemoryBus, desk: OrderDesk) -> None:
        self._hub = hub
        self._desk = desk

    def on(self, order: type[Command] | type[Request[Any]], handler: OrderHandler) -> None:
        """Route one kind of order; see the port."""
        self._desk.on(order, handler)

    async def own(self, address: Address, epoch: int) -> None:
        """Take an address over; see the port."""
        owner = self._hub.owners.get(address)
        known = None if owner is None else owner.epoch_of(address)
        if owner is not None and known is not None:
            if known == epoch and owner is self._desk:
                return
            if known >= epoch:
                self._desk.tell_evicted(address, known)
                return
        self._hub.owners[address] = self._desk
        self._desk.take(address, epoch)
        if owner is not None and owner is not self._desk:
            await owner.evict(address, epoch)

    async def release(self, address: Address, epoch: int) -> None:
        """Give an address up; see the port."""
        if self._desk.epoch_of(address) == epoch:
            if self._hub.owners.get(address) is self._desk:
                del self._hub.owners[address]
            await self._desk.drop(address, epoch)

    async def close(self) -> None:
        """Give every address up."""
        for address, epoch in self._desk.owned.items():
            await self.release(address, epoch)
        await self._desk.close()
