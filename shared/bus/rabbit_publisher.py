"""Publishing: confirmed for what must be safe, without waiting for what may be lost."""

import asyncio
import logging
from collections import deque
from typing import Any

from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import PublishError

from shared.bus.port import MOST_TOGETHER, Delivery
from shared.bus.rabbit_link import Session, broker_trouble
from shared.bus.rabbit_wire import Outgoing, to_amqp, to_amqp_batch
from shared.bus.topology import EVENTS_EXCHANGE
from shared.errors import NotSafe, Unroutable

logger = logging.getLogger(__name__)

OUTBOX_LIMIT = 10_000
"""Transient messages that wait for the socket; beyond that the oldest are dropped."""
MOST_UNDRAINED = 32
"""Messages with samples that are written before the socket has to have taken them."""
RETRY_PAUSE_S = 0.1
FLUSH_WITHIN_S = 2.0


class RabbitPublisher:
    """Two channels: one with confirms, shared by all who wait for one, and one without."""

    def __init__(self, *, safe_within_s: float) -> None:
        self._safe_within_s = safe_within_s
        self._confirmed: AbstractChannel | None = None
        self._loose: AbstractChannel | None = None
        self._ready = asyncio.Event()
        self._outbox: deque[Delivery[Any]] = deque(maxlen=OUTBOX_LIMIT)
        self._outbox_changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._sender = asyncio.get_running_loop().create_task(self._send_outbox())
        self._is_dropping = False
        self.dropped = 0
        """Transient messages that were lost because nobody could take them."""

    async def set_up(self, session: Session) -> None:
        """Open both channels."""
        self._confirmed = await session.channel(confirms=True)
        self._loose = await session.channel()
        self._ready.set()
        if self._is_dropping:
            logger.info("%d transient messages were dropped so far", self.dropped)
        self._is_dropping = False

    def lost(self) -> None:
        """From now on nothing can be published."""
        self._ready.clear()
        self._confirmed = self._loose = None

    def offer(self, delivery: Delivery[Any]) -> None:
        """Send a sample some time soon, or drop it."""
        if self._loose is None:
            self._drop(1)
            return
        if len(self._outbox) == OUTBOX_LIMIT:
            self._drop(1)
        self._outbox.append(delivery)
        self._idle.clear()
        self._outbox_changed.set()

    async def publish_once(self, outgoing: Outgoing, *, within_s: float | None = None) -> None:
        """Publish and wait for the confirm, as long as this publisher waits for one or as told.

        Raises ``Unroutable`` when no queue is bound, ``NotSafe`` when the broker is away.
        """
        channel = self._confirmed
        if channel is None:
            raise NotSafe("the broker is away")
        try:
            with broker_trouble():
                async with asyncio.timeout(within_s or self._safe_within_s):
                    await _publish(channel, outgoing, mandatory=True, drains=False)
        except PublishError:
            raise Unroutable(f"nobody is bound to {outgoing.routing_key}") from None

    async def publish_safely(self, outgoing: Outgoing) -> None:
        """Publish until it is confirmed, across connections. Raises ``NotSafe`` after the limit."""
        try:
            async with asyncio.timeout(self._safe_within_s):
                while True:
                    await self._ready.wait()
                    try:
                        return await self.publish_once(outgoing)
                    except NotSafe:
                        await asyncio.sleep(RETRY_PAUSE_S)
        except TimeoutError:
            raise NotSafe(
                f"{outgoing.routing_key} was not confirmed within {self._safe_within_s} s"
            ) from None
        except Unroutable as error:
            raise NotSafe(str(error)) from error

    async def answer(self, outgoing: Outgoing) -> None:
        """Send an answer ahead of all samples. One that cannot be sent times out at the asker."""
        if not await self._write(outgoing, drains=False):
            self._drop(1)

    async def close(self) -> None:
        """Send what waits, within a short time."""
        try:
            async with asyncio.timeout(FLUSH_WITHIN_S):
                await self._idle.wait()
        except TimeoutError:
            self._drop(len(self._outbox))
        self._sender.cancel()
        await asyncio.gather(self._sender, return_exceptions=True)

    async def _send_outbox(self) -> None:
        while True:
            written = 0
            while self._outbox:
                run = self._next_run()
                written += 1
                drains = not self._outbox or written % MOST_UNDRAINED == 0
                await self._write_samples(run, drains=drains)
            self._idle.set()
            await self._outbox_changed.wait()
            self._outbox_changed.clear()

    def _next_run(self) -> list[Delivery[Any]]:
        """Take the oldest sample, and those of its topic that stand right behind it.

        They do not wait for each other: what has gathered while the message before was written
        goes together.
        """
        run = [self._outbox.popleft()]
        topic = run[0].message.topic
        while self._outbox and len(run) < MOST_TOGETHER and self._outbox[0].message.topic == topic:
            run.append(self._outbox.popleft())
        return run

    async def _write_samples(self, run: list[Delivery[Any]], *, drains: bool) -> None:
        message = to_amqp(run[0]) if len(run) == 1 else to_amqp_batch(run)
        key = run[0].message.routing_key
        if not await self._write(Outgoing(EVENTS_EXCHANGE, key, message), drains=drains):
            self._drop(len(run))

    async def _write(self, outgoing: Outgoing, *, drains: bool) -> bool:
        """Write without a confirm; tells whether there was somebody to write to."""
        channel = self._loose
        if channel is None:
            return False
        try:
            with broker_trouble():
                await _publish(channel, outgoing, mandatory=False, drains=drains)
        except NotSafe:
            return False
        return True

    def _drop(self, count: int) -> None:
        if not self._is_dropping:
            logger.warning("transient messages are being dropped")
        self._is_dropping = True
        self.dropped += count


async def _publish(
    channel: AbstractChannel, outgoing: Outgoing, *, mandatory: bool, drains: bool
) -> None:
    """Hand a message to the socket, and await its confirm where the channel has confirms.

    ``drains``: return when the socket has taken it. Until then the library lets no other message
    onto the channel, which costs each of them three turns of the loop: in a storm of stations, when
    a turn is long, orders and facts would wait for seconds. So only a sample drains, now and then,
    to feel when the broker is slow; what is confirmed is bounded by those who wait for it.
    """
    if channel.is_closed:
        raise NotSafe("the channel is closed")
    underlay = await channel.get_underlay_channel()
    await underlay.basic_publish(
        outgoing.message.body,
        exchange=outgoing.exchange,
        routing_key=outgoing.routing_key,
        properties=outgoing.message.properties,
        mandatory=mandatory,
        wait=drains,  # type: ignore[call-arg]  # aiormq leaves it out of its abstract class
    )
