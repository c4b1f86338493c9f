"""Declares the topology on a broker. Declaring again what is there already does nothing."""

from typing import Any

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractQueue

from shared.bus.rabbit_link import CALL_TIMEOUT_S, Session, broker_trouble
from shared.bus.topology import (
    DEAD_EXCHANGE,
    DEAD_QUEUE,
    DURABLE_QUEUES,
    EVENTS_EXCHANGE,
    ORDERS_EXCHANGE,
    OWNERSHIP_EXCHANGE,
    DurableQueue,
    QueueKind,
)

DELIVERY_LIMIT = 50
"""How often the broker hands a billing fact to consumers that vanish before it goes to the dead
letters. Restarts count too, so it is not small."""

EXCHANGES = {
    EVENTS_EXCHANGE: ExchangeType.TOPIC,
    ORDERS_EXCHANGE: ExchangeType.DIRECT,
    OWNERSHIP_EXCHANGE: ExchangeType.FANOUT,
    DEAD_EXCHANGE: ExchangeType.FANOUT,
}


def queue_arguments(queue: DurableQueue) -> dict[str, Any]:
    """Return RabbitMQ's arguments of a queue. They can never be changed while the queue exists.

    Expiry is not among them: it travels with each message, so that a contract may change it.
    """
    arguments: dict[str, Any] = {}
    if queue.kind is QueueKind.BILLING:
        arguments = {
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": DEAD_EXCHANGE,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
    elif queue.max_length is not None:
        arguments = {"x-max-length": queue.max_length, "x-overflow": "drop-head"}
    if queue.single_active:
        arguments["x-single-active-consumer"] = True
    return arguments


async def declare_queue(channel: AbstractChannel, queue: DurableQueue) -> AbstractQueue:
    """Declare a queue of the topology and bind it to its events."""
    with broker_trouble():
        declared = await channel.declare_queue(
            queue.name, durable=True, arguments=queue_arguments(queue), timeout=CALL_TIMEOUT_S
        )
        for key in queue.binding_keys:
            await declared.bind(EVENTS_EXCHANGE, key, timeout=CALL_TIMEOUT_S)
    return declared


class TopologyPart:
    """The exchanges and every shared queue, whether or not somebody consumes it."""

    async def set_up(self, session: Session) -> None:
        """Declare everything."""
        channel = await session.channel()
        with broker_trouble():
            for name, kind in EXCHANGES.items():
                await channel.declare_exchange(name, kind, durable=True, timeout=CALL_TIMEOUT_S)
            dead = await channel.declare_queue(
                DEAD_QUEUE,
                durable=True,
                arguments={"x-queue-type": "quorum"},
                timeout=CALL_TIMEOUT_S,
            )
            await dead.bind(DEAD_EXCHANGE, timeout=CALL_TIMEOUT_S)
        for queue in DURABLE_QUEUES:
            await declare_queue(channel, queue)
        await session.close_channel(channel)

    def lost(self) -> None:
        """What is declared here is durable."""
