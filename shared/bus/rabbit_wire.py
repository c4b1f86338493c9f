"""Messages of the port as AMQP messages, and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from aio_pika import DeliveryMode
from aio_pika import Message as AmqpMessage
from aio_pika.abc import AbstractIncomingMessage, AbstractMessage, HeadersType

from shared.bus.codec import decode, decode_error, encode, encode_error
from shared.bus.port import Delivery, Metadata
from shared.contracts.message import Event, Message, Reply
from shared.errors import ParkadeError, ProtocolViolation

REPLY_TYPE = "reply"
ERROR_TYPE = "error"
SHORTEST_EXPIRY_S = 0.001
BATCH_CONTENT = "application/vnd.parkade.batch+json"
"""Several messages of one topic in one AMQP message: a list of [payload, metadata ...]."""


@dataclass(frozen=True)
class Outgoing:
    """An AMQP message and where it goes."""

    exchange: str
    routing_key: str
    message: AmqpMessage


def to_amqp(
    delivery: Delivery[Any], *, reply_to: str | None = None, expires_after_s: float | None = None
) -> AmqpMessage:
    """Return a message with its payload alone in the body, and its metadata in the properties."""
    message, meta = delivery.message, delivery.meta
    headers: HeadersType = {"sent_at": meta.sent_at.isoformat()}
    if meta.causation_id is not None:
        headers["causation_id"] = meta.causation_id
    if meta.traceparent is not None:
        headers["traceparent"] = meta.traceparent
    expiry = message.expires_after_s if expires_after_s is None else expires_after_s
    return AmqpMessage(
        encode(message),
        content_type="application/json",
        type=message.topic,
        message_id=meta.message_id,
        correlation_id=meta.correlation_id,
        app_id=meta.sender,
        timestamp=meta.sent_at,
        headers=headers,
        reply_to=reply_to,
        expiration=None if expiry is None else max(expiry, SHORTEST_EXPIRY_S),
        delivery_mode=_delivery_mode(message),
    )


def to_amqp_batch(
    deliveries: Sequence[Delivery[Any]], *, also_to: Sequence[str] = ()
) -> AmqpMessage:
    """Return messages of one topic and one sender as one message.

    The client library takes 90 us for a message however much is in it (facts/performance.md, 3), so
    what waits anyway travels together. Nobody but the two ends of the wire knows. With ``also_to``
    the broker routes it by these keys too, once to each queue, and takes them off (RabbitMQ's
    sender-selected distribution).
    """
    first = deliveries[0]
    expiry = first.message.expires_after_s
    items = [
        (
            orjson.Fragment(encode(d.message)),
            m.message_id,
            m.sent_at.isoformat(),
            m.correlation_id,
            m.causation_id,
            m.traceparent,
        )
        for d in deliveries
        for m in (d.meta,)
    ]
    return AmqpMessage(
        orjson.dumps(items),
        content_type=BATCH_CONTENT,
        type=first.message.topic,
        app_id=first.meta.sender,
        headers={"BCC": list(also_to)} if also_to else None,
        expiration=None if expiry is None else max(expiry, SHORTEST_EXPIRY_S),
        delivery_mode=_delivery_mode(first.message),
    )


def is_batch(incoming: AbstractIncomingMessage) -> bool:
    """Tell whether several of our messages travel in this one."""
    return incoming.content_type == BATCH_CONTENT


def from_amqp_batch(incoming: AbstractIncomingMessage) -> list[Delivery[Any]]:
    """Return what arrived together. Raises ``ProtocolViolation`` for what is not ours."""
    topic, sender = incoming.type or "", str(incoming.app_id)
    try:
        items = orjson.loads(incoming.body)
        return [_unpacked(topic, sender, *item) for item in items]
    except (TypeError, ValueError) as error:
        raise ProtocolViolation(f"{topic}: a batch is not ours: {error!r}") from error


def _unpacked(
    topic: str,
    sender: str,
    payload: Any,
    *meta: Any,
) -> Delivery[Any]:
    message_id, sent_at, correlation_id, causation_id, traceparent = meta
    return Delivery(
        decode(topic, orjson.dumps(payload)),
        Metadata(
            message_id=message_id,
            sender=sender,
            sent_at=datetime.fromisoformat(sent_at),
            correlation_id=correlation_id,
            causation_id=causation_id,
            traceparent=traceparent,
        ),
    )


def from_amqp(incoming: AbstractIncomingMessage) -> Delivery[Any]:
    """Return what arrived. Raises ``ProtocolViolation`` for what nobody here could have sent."""
    message = decode(incoming.type or "", incoming.body)
    headers = incoming.headers
    try:
        meta = Metadata(
            message_id=str(incoming.message_id),
            sender=str(incoming.app_id),
            sent_at=datetime.fromisoformat(str(headers["sent_at"])),
            correlation_id=str(incoming.correlation_id),
            causation_id=_text(headers.get("causation_id")),
            traceparent=_text(headers.get("traceparent")),
        )
    except (KeyError, ValueError) as error:
        raise ProtocolViolation(f"{incoming.type}: its metadata is not ours: {error!r}") from error
    if meta.sent_at.tzinfo is None:
        raise ProtocolViolation(f"{incoming.type}: it was sent at a time without a zone")
    return Delivery(message, meta)


def to_reply(incoming: AbstractIncomingMessage, outcome: Reply | Exception) -> AmqpMessage:
    """Return the answer to a request."""
    failed = isinstance(outcome, Exception)
    body = encode_error(outcome) if isinstance(outcome, Exception) else encode_reply(outcome)
    return AmqpMessage(
        body,
        content_type="application/json",
        type=ERROR_TYPE if failed else REPLY_TYPE,
        correlation_id=incoming.message_id,
    )


def encode_reply(reply: Reply) -> bytes:
    """Return a reply as JSON."""
    return reply.model_dump_json().encode()


def from_reply(incoming: AbstractIncomingMessage, reply: type[Reply]) -> Reply | ParkadeError:
    """Return the answer to a request of ours."""
    if incoming.type == ERROR_TYPE:
        return decode_error(incoming.body)
    try:
        return reply.model_validate_json(incoming.body)
    except ValueError:
        return ProtocolViolation(f"the answer is not a {reply.__name__}")


def to_dead_letter(
    incoming: AbstractMessage, *, routing_key: str, queue: str, reason: Exception, died_at: datetime
) -> AmqpMessage:
    """Return a message as it came, with why, where and when it died in its headers."""
    headers = dict(incoming.headers)
    headers["reason"] = f"{type(reason).__name__}: {reason}"
    headers["queue"] = queue
    headers["died_at"] = died_at.isoformat()
    headers["routing_key"] = routing_key
    return AmqpMessage(
        incoming.body,
        content_type=incoming.content_type,
        type=incoming.type,
        message_id=incoming.message_id,
        correlation_id=incoming.correlation_id,
        app_id=incoming.app_id,
        timestamp=incoming.timestamp,
        headers=headers,
        delivery_mode=DeliveryMode.PERSISTENT,
    )


def _delivery_mode(message: Message) -> DeliveryMode:
    is_durable = isinstance(message, Event) and message.durable
    return DeliveryMode.PERSISTENT if is_durable else DeliveryMode.NOT_PERSISTENT


def _text(value: object) -> str | None:
    return None if value is None else str(value)
