"""Requests: sent with a reply address, answered on one exclusive queue per participant."""

import asyncio

from aio_pika.abc import AbstractIncomingMessage

from shared.bus.port import Delivery, R
from shared.bus.rabbit_link import CALL_TIMEOUT_S, Session, broker_trouble
from shared.bus.rabbit_publisher import RabbitPublisher
from shared.bus.rabbit_wire import Outgoing, from_reply, to_amqp
from shared.bus.topology import ORDERS_EXCHANGE, ownership_key
from shared.contracts.message import Request
from shared.errors import NotSafe, ReplyTimeout


class RabbitAsker:
    """Open questions, by message id."""

    def __init__(self, publisher: RabbitPublisher) -> None:
        self._publisher = publisher
        self._queue_name: str | None = None
        self._open: dict[str, asyncio.Future[AbstractIncomingMessage]] = {}

    async def set_up(self, session: Session) -> None:
        """Declare and consume the reply queue."""
        channel = await session.channel()
        with broker_trouble():
            queue = await channel.declare_queue(exclusive=True, timeout=CALL_TIMEOUT_S)
            await queue.consume(self._on_reply, no_ack=True, timeout=CALL_TIMEOUT_S)
        self._queue_name = queue.name

    def lost(self) -> None:
        """Answers to open questions went to a queue that is gone."""
        self._queue_name = None
        for answered in self._open.values():
            if not answered.done():
                answered.set_exception(ReplyTimeout("the broker went away before the answer came"))

    async def ask(self, request: Request[R], delivery: Delivery[Request[R]], timeout_s: float) -> R:
        """Send a request and wait for its answer; see the port for what is raised."""
        if self._queue_name is None:
            raise NotSafe("the broker is away")
        expiry = min(timeout_s, request.expires_after_s or timeout_s)
        message = to_amqp(delivery, reply_to=self._queue_name, expires_after_s=expiry)
        answered: asyncio.Future[AbstractIncomingMessage] = (
            asyncio.get_running_loop().create_future()
        )
        self._open[delivery.meta.message_id] = answered
        try:
            async with asyncio.timeout(timeout_s):
                outgoing = Outgoing(ORDERS_EXCHANGE, ownership_key(request.address), message)
                await self._publisher.publish_once(outgoing)
                reply = from_reply(await answered, request.reply)
        except TimeoutError:
            raise ReplyTimeout(f"{request.topic} to {request.address}: {timeout_s} s") from None
        finally:
            del self._open[delivery.meta.message_id]
            answered.cancel()
        if isinstance(reply, Exception):
            raise reply
        return reply  # type: ignore[return-value]  # decoded as the class that R stands for

    async def _on_reply(self, incoming: AbstractIncomingMessage) -> None:
        answered = self._open.get(incoming.correlation_id or "")
        if answered is not None and not answered.done():
            answered.set_result(incoming)
