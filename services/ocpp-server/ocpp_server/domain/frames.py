"""The RPC framing of OCPP-J: text to frame and back. Knows no action and no schema."""

import json
import re
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, TypeAlias

import orjson

from ocpp_server.domain.json_bounds import has_too_many_elements, is_too_deep

MessageId: TypeAlias = str | int | float
"""Text by the specification; some stations send numbers, which are echoed as numbers."""
Payload: TypeAlias = dict[str, Any]


class MessageType(IntEnum):
    """First element of a frame (OCPP-J 1.6, 4.1.3)."""

    CALL = 2
    CALLRESULT = 3
    CALLERROR = 4


class ErrorCode(StrEnum):
    """Error codes of OCPP-J 1.6, 4.2.3, in its own spelling."""

    NOT_IMPLEMENTED = "NotImplemented"
    NOT_SUPPORTED = "NotSupported"
    INTERNAL_ERROR = "InternalError"
    PROTOCOL_ERROR = "ProtocolError"
    SECURITY_ERROR = "SecurityError"
    FORMATION_VIOLATION = "FormationViolation"
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    OCCURENCE_CONSTRAINT_VIOLATION = "OccurenceConstraintViolation"
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"
    GENERIC_ERROR = "GenericError"


@dataclass(slots=True)
class Call:
    """A call of the station."""

    message_id: MessageId
    action: str
    payload: Payload
    text: str
    """The whole frame as it came."""
    repairs: str = ""
    """What was wrong with the payload and is mended, separated by blanks."""

    @property
    def payload_text(self) -> str:
        """The payload as the station wrote it, byte for byte."""
        return raw_element(self.text, 3)


@dataclass(frozen=True, slots=True)
class CallResult:
    """The station's answer to a call of ours."""

    message_id: MessageId
    payload: Payload
    text: str
    """The whole frame as it came."""

    @property
    def payload_text(self) -> str:
        """The payload as the station wrote it, byte for byte."""
        return payload_text_of(self.text)


@dataclass(frozen=True, slots=True)
class CallError:
    """The station's refusal of a call of ours."""

    message_id: MessageId
    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """Something without meaning. With an id it is still answered; without one it cannot be."""

    message_id: MessageId | None
    code: ErrorCode
    description: str


Frame: TypeAlias = Call | CallResult | CallError | Malformed

_CALL_ID = re.compile(r'\s*\[\s*"?2"?\s*,\s*("(?:[^"\\]|\\.){1,200}"|-?\d{1,18}(?=\s*,))')
_DECODER = json.JSONDecoder(strict=False)
_BLANK = re.compile(r"[ \t\r\n]*")
ID_LIMIT = 200
"""Characters of a message id; the specification has 36, and it is sent back as it came."""


def parse(text: str) -> Frame:
    """Return the frame that a text stands for. Never raises.

    Tolerated: a message type as text, a missing or null payload, superfluous elements, details of
    an error that are no object (field notes 5.2, 11 and 15). Refused before it costs anything: what
    no message of a station is like (see ``json_bounds``).
    """
    elements = _elements_of(text)
    if isinstance(elements, Malformed):
        return elements
    message_id = elements[1]
    if not isinstance(message_id, str | int | float) or isinstance(message_id, bool):
        return Malformed(None, ErrorCode.FORMATION_VIOLATION, "the frame has no message id")
    if isinstance(message_id, str) and len(message_id) > ID_LIMIT:
        return Malformed(None, ErrorCode.FORMATION_VIOLATION, "the message id is too long")
    match elements[0]:
        case MessageType.CALL | "2":
            return _call(message_id, elements, text)
        case MessageType.CALLRESULT | "3":
            return _call_result(message_id, elements, text)
        case MessageType.CALLERROR | "4":
            return _call_error(message_id, elements)
    return Malformed(None, ErrorCode.FORMATION_VIOLATION, "the message type is unknown")


def _elements_of(text: str) -> list[Any] | Malformed:
    if has_too_many_elements(text):
        return Malformed(_id_in(text), ErrorCode.FORMATION_VIOLATION, "the frame is too complex")
    try:
        elements = orjson.loads(text)
    except ValueError:
        return Malformed(_id_in(text), ErrorCode.FORMATION_VIOLATION, "the frame is no JSON")
    if is_too_deep(text, elements):
        return Malformed(_id_in(text), ErrorCode.FORMATION_VIOLATION, "the frame is too deep")
    if not isinstance(elements, list) or len(elements) < 2:
        return Malformed(None, ErrorCode.FORMATION_VIOLATION, "the frame is no OCPP message")
    return elements


def _call(message_id: MessageId, elements: list[Any], text: str) -> Frame:
    action = elements[2] if len(elements) > 2 else None
    if not isinstance(action, str):
        return Malformed(message_id, ErrorCode.FORMATION_VIOLATION, "the action is no text")
    payload = elements[3] if len(elements) > 3 else None
    if payload is None:
        payload = {}
    if not isinstance(payload, dict):
        return Malformed(message_id, ErrorCode.FORMATION_VIOLATION, "the payload is no object")
    return Call(message_id, action, payload, text)


def _call_result(message_id: MessageId, elements: list[Any], text: str) -> Frame:
    payload = elements[2] if len(elements) > 2 else None
    return CallResult(message_id, payload if isinstance(payload, dict) else {}, text)


def _call_error(message_id: MessageId, elements: list[Any]) -> CallError:
    code, description = (*elements[2:4], "", "")[:2]
    return CallError(message_id, str(code), str(description))


def _id_in(text: str) -> MessageId | None:
    """Return the id of a call whose frame cannot be parsed as a whole."""
    found = _CALL_ID.match(text)
    if found is None:
        return None
    try:
        message_id = orjson.loads(found.group(1))
    except ValueError:
        return None
    return message_id if isinstance(message_id, str | int) else None


def raw_element(text: str, index: int) -> str:
    """Return one element of a JSON list as it is written; ``{}`` when it is missing or null.

    The text is valid JSON. Scanned by the decoder of the standard library, which tells where a
    value ends; only frames that are passed on pay for it.
    """
    position = text.index("[") + 1
    for number in range(index + 1):
        start = _BLANK.match(text, position).end()  # type: ignore[union-attr]  # matches always
        if text[start] == "]":
            return "{}"
        _, end = _DECODER.raw_decode(text, start)
        if number == index:
            break
        position = _BLANK.match(text, end).end() + 1  # type: ignore[union-attr]
        if text[position - 1] == "]":
            return "{}"
    raw = text[start:end]
    return "{}" if raw == "null" else raw


def payload_text_of(answer: str) -> str:
    """Return the payload of an answer as the station wrote it; ``{}`` for what is no object."""
    raw = raw_element(answer, 2)
    return raw if raw.startswith("{") else "{}"


def encode_call(message_id: str, action: str, payload_text: str) -> str:
    """Return a call of ours; the payload goes out as it is written."""
    return f'[2,"{message_id}","{action}",{payload_text}]'


def encode_result(message_id: MessageId, payload: Payload | str) -> str:
    """Return an answer. A payload that is text already goes out byte for byte."""
    if isinstance(payload, str):
        return f"[3,{orjson.dumps(message_id).decode()},{payload}]"
    return orjson.dumps([3, message_id, payload]).decode()


def encode_error(message_id: MessageId, code: str, description: str) -> str:
    """Return a CALLERROR. The description is a fixed text: it carries no payload and no stack."""
    return orjson.dumps([4, message_id, code, description[:255], {}]).decode()
