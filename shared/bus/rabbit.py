"""The bus over RabbitMQ. What is confirmed here is on the disk of a quorum of brokers."""

import asyncio
from collections.abc import Sequence
from typing import Any, Self

from shared.bus.batches import BatchWorker
from shared.bus.codec import new_metadata
from shared.bus.orders import OrderDesk
from shared.bus.port import (
    BatchHandler,
    Delivery,
    EventHandler,
    EvictionHandler,
    Inbox,
    R,
    Subscription,
)
from shared.bus.rabbit_asker import RabbitAsker
from shared.bus.rabbit_consumer import RabbitConsumer, RabbitListener, Undertaker
from shared.bus.rabbit_inbox import RabbitInbox
from shared.bus.rabbit_link import RabbitLink
from shared.bus.rabbit_publisher import RabbitPublisher
from shared.bus.rabbit_topology import TopologyPart
from shared.bus.rabbit_wire import Outgoing, to_amqp, to_amqp_batch
from shared.bus.topology import EVENTS_EXCHANGE, ORDERS_EXCHANGE, DurableQueue, ownership_key
from shared.clock import SYSTEM_CLOCK, Clock
from shared.contracts.message import Command, Event, Message, Request
from shared.errors import ConfigError
from shared.ids import new_id

SAFE_WITHIN_S = 10.0


class RabbitBus:
    """One participant, on one connection."""

    def __init__(self, url: str, service: str, clock: Clock, *, safe_within_s: float) -> None:
        self._instance = f"{service}/{new_id()[:8]}"
        self._clock = clock
        self._link = RabbitLink(url, self._instance)
        self._publisher = RabbitPublisher(safe_within_s=safe_within_s)
        self._asker = RabbitAsker(self._publisher)
        self._undertaker = Undertaker(self._publisher, clock)

    @classmethod
    async def connect(
        cls,
        url: str,
        service: str,
        clock: Clock = SYSTEM_CLOCK,
        *,
        safe_within_s: float = SAFE_WITHIN_S,
    ) -> Self:
        """Connect, however long the broker takes to appear, and declare the topology.

        Raises ``ConfigError`` when the broker has queues of our names declared otherwise.
        """
        bus = cls(url, service, clock, safe_within_s=safe_within_s)
        try:
            await bus._link.start(TopologyPart(), bus._publisher, bus._asker)
        except BaseException:
            await bus.close()
            raise
        return bus

    @property
    def instance(self) -> str:
        """This participant's name, unique among all."""
        return self._instance

    @property
    def is_connected(self) -> bool:
        """The broker is there and everything is set up on it."""
        return self._link.session is not None

    @property
    def dropped(self) -> int:
        """How many transient events were lost because the broker was away or slow."""
        return self._publisher.dropped

    async def publish(self, event: Event, *, cause: Delivery[Any] | None = None) -> None:
        """Tell a fact; see the port."""
        delivery = self._delivery(event, cause)
        if not event.durable:
            self._publisher.offer(delivery)
            return
        outgoing = Outgoing(EVENTS_EXCHANGE, event.routing_key, to_amqp(delivery))
        await self._publisher.publish_safely(outgoing)

    async def send(self, command: Command, *, cause: Delivery[Any] | None = None) -> None:
        """Hand a command to the owner of its address; see the port."""
        message = to_amqp(self._delivery(command, cause))
        key = ownership_key(command.address)
        await self._publisher.publish_once(Outgoing(ORDERS_EXCHANGE, key, message))

    async def send_together(self, commands: Sequence[Command]) -> None:
        """Hand commands to the owners of their addresses; see the port."""
        keys = list(dict.fromkeys(ownership_key(command.address) for command in commands))
        batch = to_amqp_batch([self._delivery(c, None) for c in commands], also_to=keys[1:])
        await self._publisher.publish_once(Outgoing(ORDERS_EXCHANGE, keys[0], batch))

    async def ask(
        self, request: Request[R], *, timeout_s: float, cause: Delivery[Any] | None = None
    ) -> R:
        """Ask the owner of an address; see the port. ``NotSafe`` while the broker is away."""
        return await self._asker.ask(request, self._delivery(request, cause), timeout_s)

    async def listen(
        self, events: Sequence[type[Event]], handler: EventHandler, *, limit: int = 10_000
    ) -> Subscription:
        """Hear events from now on; see the port."""
        listener = RabbitListener(events, handler, limit=limit, link=self._link, clock=self._clock)
        await self._link.add(listener)
        return listener

    async def consume(
        self, queue: DurableQueue, handler: BatchHandler, *, max_batch: int = 1
    ) -> Subscription:
        """Work on a queue of the topology; see the port."""
        consumer = RabbitConsumer(
            queue,
            BatchWorker(queue.name, handler),
            max_batch=max_batch,
            link=self._link,
            undertaker=self._undertaker,
            clock=self._clock,
        )
        try:
            await self._link.add(consumer)
        except ConfigError:
            await consumer.close()
            raise
        return consumer

    async def inbox(self, on_evicted: EvictionHandler) -> Inbox:
        """Open this participant's inbox; see the port."""
        inbox = RabbitInbox(
            OrderDesk(on_evicted, self._clock),
            instance=self._instance,
            link=self._link,
            publisher=self._publisher,
            undertaker=self._undertaker,
        )
        await self._link.add(inbox)
        return inbox

    async def close(self) -> None:
        """Leave: subscriptions end, owned addresses are released, what waits is sent."""
        await asyncio.gather(*(subscription.close() for subscription in self._link.subscriptions))
        await self._publisher.close()
        await self._link.close()

    def _delivery(self, message: Message, cause: Delivery[Any] | None) -> Delivery[Any]:
        return Delivery(message, new_metadata(self._instance, self._clock, cause))
