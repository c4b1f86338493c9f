"""Consuming: shared queues with acknowledgements, and listeners with queues of their own."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from shared.bus.batches import BatchWorker, Work
from shared.bus.codec import has_expired
from shared.bus.listener import Listener
from shared.bus.port import Delivery, EventHandler
from shared.bus.rabbit_link import CALL_TIMEOUT_S, RabbitLink, Session, broker_trouble
from shared.bus.rabbit_publisher import RabbitPublisher
from shared.bus.rabbit_topology import declare_queue
from shared.bus.rabbit_wire import (
    Outgoing,
    from_amqp,
    from_amqp_batch,
    is_batch,
    to_amqp,
    to_dead_letter,
)
from shared.bus.topology import DEAD_EXCHANGE, EVENTS_EXCHANGE, ORDERS_EXCHANGE, DurableQueue
from shared.clock import Clock
from shared.contracts.message import Event
from shared.errors import NotSafe, ProtocolViolation

logger = logging.getLogger(__name__)


async def acknowledge(incoming: AbstractIncomingMessage) -> None:
    """Tell the broker that a message is done with.

    On a connection that broke meanwhile the broker hands the message over again, as it must.
    """
    try:
        with broker_trouble():
            await incoming.ack()
    except NotSafe:
        logger.debug("%s will be delivered again", incoming.message_id)


def _whole_key(incoming: AbstractIncomingMessage) -> str:
    """Return topic and address; an order is routed by its address alone."""
    key = incoming.routing_key or ""
    return f"{incoming.type}.{key}" if incoming.exchange == ORDERS_EXCHANGE else key


class Undertaker:
    """Publishes what no handler could take to the dead letters, confirmed."""

    def __init__(self, publisher: RabbitPublisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock

    async def bury(self, incoming: AbstractIncomingMessage, queue: str, reason: Exception) -> None:
        """Return when the message is safe among the dead letters. Raises ``NotSafe``."""
        key = _whole_key(incoming)
        letter = to_dead_letter(
            incoming, routing_key=key, queue=queue, reason=reason, died_at=self._clock.now()
        )
        logger.error("dead letter %s from %s: %s", key, queue, reason)
        await self._publisher.publish_safely(Outgoing(DEAD_EXCHANGE, key, letter))

    async def bury_one(self, delivery: Delivery[Any], queue: str, reason: Exception) -> None:
        """The same for one of several messages that came together."""
        message = delivery.message
        letter = to_dead_letter(
            to_amqp(delivery),
            routing_key=message.routing_key,
            queue=queue,
            reason=reason,
            died_at=self._clock.now(),
        )
        logger.error("dead letter %s from %s: %s", message.routing_key, queue, reason)
        await self._publisher.publish_safely(Outgoing(DEAD_EXCHANGE, message.routing_key, letter))


class LastOne:
    """Acknowledges a message when everything in it is done with."""

    def __init__(self, incoming: AbstractIncomingMessage, parts: int) -> None:
        self._incoming = incoming
        self._left = parts

    async def done(self) -> None:
        """One more part is done with."""
        self._left -= 1
        if self._left == 0:
            await acknowledge(self._incoming)


class RabbitConsumer:
    """Works on a shared queue with one task; messages are acknowledged when committed or buried."""

    def __init__(
        self,
        queue: DurableQueue,
        worker: BatchWorker,
        *,
        max_batch: int,
        link: RabbitLink,
        undertaker: Undertaker,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._worker = worker
        self._max_batch = max_batch
        self._link = link
        self._undertaker = undertaker
        self._clock = clock
        self._waiting: deque[AbstractIncomingMessage] = deque()
        self._unpacked: deque[Work] = deque()
        """The rest of a message that more came in than fit one batch."""
        self._changed = asyncio.Event()
        self._channel: tuple[Session, AbstractChannel] | None = None
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def set_up(self, session: Session) -> None:
        """Consume. Twice a batch is fetched at most, so that others get their share."""
        channel = await session.channel(prefetch=2 * self._max_batch)
        queue = await declare_queue(channel, self._queue)
        self._channel = session, channel
        with broker_trouble():
            await queue.consume(self._on_message, timeout=CALL_TIMEOUT_S)

    def lost(self) -> None:
        """What was fetched and not begun will be delivered again."""
        self._waiting.clear()
        self._unpacked.clear()
        self._channel = None

    async def close(self) -> None:
        """Stop after the attempt that runs; what is not committed goes back to the queue."""
        self._link.remove(self)
        self._worker.stop()
        self._changed.set()
        if asyncio.current_task() is not self._task:
            await self._task
        if self._channel is not None:
            session, channel = self._channel
            await session.close_channel(channel)

    async def _on_message(self, incoming: AbstractIncomingMessage) -> None:
        self._waiting.append(incoming)
        self._changed.set()

    async def _run(self) -> None:
        while not self._worker.is_closing:
            await self._changed.wait()
            self._changed.clear()
            while (self._waiting or self._unpacked) and not self._worker.is_closing:
                await self._work_off_batch()

    async def _work_off_batch(self) -> None:
        batch: list[Work] = []
        while len(batch) < self._max_batch and (self._unpacked or self._waiting):
            if not self._unpacked:
                await self._unpack(self._waiting.popleft())
                continue
            work = self._unpacked.popleft()
            if has_expired(work.delivery.message, work.delivery.meta, self._clock.now()):
                await work.settle()
            else:
                batch.append(work)
        if batch:
            await self._worker.work_off(batch)

    async def _unpack(self, incoming: AbstractIncomingMessage) -> None:
        """Make work of a message; one without meaning is buried."""
        bury = partial(self._undertaker.bury, incoming, self._queue.name)
        try:
            if not is_batch(incoming):
                settle = partial(acknowledge, incoming)
                self._unpacked.append(Work(from_amqp(incoming), settle, bury))
                return
            deliveries = from_amqp_batch(incoming)
        except ProtocolViolation as error:
            await self._worker.bury(bury, partial(acknowledge, incoming), error)
            return
        last = LastOne(incoming, len(deliveries))
        for delivery in deliveries:
            bury_one = partial(self._undertaker.bury_one, delivery, self._queue.name)
            self._unpacked.append(Work(delivery, last.done, bury_one))


class RabbitListener:
    """An exclusive queue that feeds a listener. Nothing is acknowledged: samples may be lost."""

    def __init__(
        self,
        events: Sequence[type[Event]],
        handler: EventHandler,
        *,
        limit: int,
        link: RabbitLink,
        clock: Clock,
    ) -> None:
        self._events = tuple(events)
        self._limit = limit
        self._link = link
        self._listener = Listener(events, handler, limit=limit, clock=clock)
        self._channel: tuple[Session, AbstractChannel] | None = None

    async def set_up(self, session: Session) -> None:
        """Declare, bind and consume a queue of our own."""
        channel = await session.channel()
        self._channel = session, channel
        with broker_trouble():
            queue = await channel.declare_queue(
                exclusive=True,
                arguments={"x-max-length": self._limit, "x-overflow": "drop-head"},
                timeout=CALL_TIMEOUT_S,
            )
            for event in self._events:
                await queue.bind(EVENTS_EXCHANGE, f"{event.topic}.*", timeout=CALL_TIMEOUT_S)
            await queue.consume(self._on_message, no_ack=True, timeout=CALL_TIMEOUT_S)

    def lost(self) -> None:
        """The queue is gone with its connection."""
        self._channel = None

    async def close(self) -> None:
        """Stop after the event that is being handled."""
        self._link.remove(self)
        if self._channel is not None:
            session, channel = self._channel
            await session.close_channel(channel)
        await self._listener.close()

    async def _on_message(self, incoming: AbstractIncomingMessage) -> None:
        deliveries: list[Delivery[Any]]
        try:
            deliveries = from_amqp_batch(incoming) if is_batch(incoming) else [from_amqp(incoming)]
        except ProtocolViolation as error:
            logger.warning("an event was not understood: %s", error)
            return
        for delivery in deliveries:
            self._listener.offer(delivery)
