"""Messages to bytes and back. The payload is alone in the body; everything else is metadata."""

import importlib
import pkgutil
from datetime import datetime
from functools import cache
from itertools import count
from typing import Any

import orjson
from pydantic import ValidationError

import shared.contracts
from shared import errors
from shared.bus.port import Delivery, Metadata
from shared.clock import Clock
from shared.contracts.message import Command, Event, Message, Request
from shared.errors import HandlerFailed, ParkadeError, ProtocolViolation
from shared.ids import new_id

_MESSAGE_IDS = (f"{_process}-{number:x}" for _process in (new_id(),) for number in count())
"""Unique like random ones, at a tenth of the cost: many are made."""


@cache
def contracts_by_topic() -> dict[str, type[Message]]:
    """Return every contract of ``shared.contracts`` by its topic."""
    for module in pkgutil.iter_modules(shared.contracts.__path__):
        importlib.import_module(f"{shared.contracts.__name__}.{module.name}")
    found: dict[str, type[Message]] = {}
    pending: list[type[Message]] = [Event, Command, Request]
    while pending:
        for contract in pending.pop().__subclasses__():
            pending.append(contract)
            topic = contract.__dict__.get("topic")
            if topic is not None and found.setdefault(topic, contract) is not contract:
                raise TypeError(f"topic {topic} is used by two contracts")
    return found


def encode(message: Message) -> bytes:
    """Return the payload as JSON, every field included.

    ``None`` is written out: where the default is something else (an EVSE's rotation), leaving it
    out would turn "unknown" into a claim.
    """
    return message.model_dump_json().encode()


def decode(topic: str, body: bytes) -> Message:
    """Return the message of a topic. Raises ``ProtocolViolation`` for what has no contract."""
    contract = contracts_by_topic().get(topic)
    if contract is None:
        raise ProtocolViolation(
            f"no contract for topic {topic!r}; is a service newer than this one?"
        )
    try:
        return contract.model_validate_json(body)
    except ValidationError as error:
        raise ProtocolViolation(f"{topic}: {error.error_count()} fields do not fit") from error


def new_metadata(sender: str, clock: Clock, cause: Delivery[Any] | None) -> Metadata:
    """Return metadata for a new message, linked to the one it was sent because of."""
    message_id = next(_MESSAGE_IDS)
    return Metadata(
        message_id=message_id,
        sender=sender,
        sent_at=clock.now(),
        correlation_id=cause.meta.correlation_id if cause else message_id,
        causation_id=cause.meta.message_id if cause else None,
        traceparent=cause.meta.traceparent if cause else None,
    )


def has_expired(message: Message, meta: Metadata, now: datetime) -> bool:
    """Tell whether a message is too old to be acted on."""
    if message.expires_after_s is None:
        return False
    return (now - meta.sent_at).total_seconds() > message.expires_after_s


def encode_error(error: Exception) -> bytes:
    """Return the error answer to a request. Unexpected errors tell nothing of themselves."""
    if isinstance(error, ParkadeError):
        return orjson.dumps({"error": type(error).__name__, "text": str(error)})
    return orjson.dumps({"error": HandlerFailed.__name__, "text": "see the owner's log"})


def decode_error(body: bytes) -> ParkadeError:
    """Return the error that ``encode_error`` wrote."""
    told = orjson.loads(body)
    kind = getattr(errors, str(told.get("error")), HandlerFailed)
    if not (isinstance(kind, type) and issubclass(kind, ParkadeError)):
        kind = HandlerFailed
    return kind(str(told.get("text", "")))
