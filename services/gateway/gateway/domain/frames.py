"""OCPP-J frames, cut into pieces without touching the payload's text. Knows no action."""

import json
from dataclasses import dataclass
from typing import Any

from shared.errors import ProtocolViolation

MessageId = str | int
_CALL, _RESULT, _ERROR = 2, 3, 4
_DECODER = json.JSONDecoder(strict=False)  # control characters in strings happen
_BLANKS = " \t\r\n"


@dataclass(frozen=True)
class Call:
    """A request: ``[2, id, action, payload]``."""

    message_id: MessageId
    action: str
    payload_text: str


@dataclass(frozen=True)
class CallResult:
    """A positive answer: ``[3, id, payload]``."""

    message_id: MessageId
    payload_text: str


@dataclass(frozen=True)
class CallError:
    """A negative answer: ``[4, id, code, description, details]``."""

    message_id: MessageId
    code: str
    description: str


Frame = Call | CallResult | CallError


def parse_frame(text: str) -> Frame:
    """Return the frame in a text; payloads keep every byte they came with.

    Raises ``ProtocolViolation`` when no frame can be recognised.
    """
    pieces = _pieces(text)
    values = [value for value, _ in pieces]
    match values:
        case [2, str() | int() as message_id, str() as action, dict()]:
            return Call(message_id, action, pieces[3][1])
        case [3, str() | int() as message_id, dict()]:
            return CallResult(message_id, pieces[2][1])
        case [4, str() | int() as message_id, *rest]:
            return CallError(message_id, _word(rest, 0) or "GenericError", _word(rest, 1))
    raise ProtocolViolation("no OCPP-J frame")


def call_text(call: Call) -> str:
    """Return the text of a request."""
    name = f"{json.dumps(call.message_id)},{json.dumps(call.action)}"
    return f"[{_CALL},{name},{call.payload_text}]"


def answer_text(answer: CallResult | CallError) -> str:
    """Return the text of an answer."""
    if isinstance(answer, CallResult):
        return f"[{_RESULT},{json.dumps(answer.message_id)},{answer.payload_text}]"
    return json.dumps([_ERROR, answer.message_id, answer.code, answer.description[:255], {}])


def _word(values: list[Any], index: int) -> str:
    return values[index] if len(values) > index and isinstance(values[index], str) else ""


def _pieces(text: str) -> list[tuple[Any, str]]:
    """Return the elements of a JSON array, each with its own text."""
    try:
        return _cut(text)
    except (ValueError, IndexError, RecursionError) as error:
        raise ProtocolViolation("the frame is no JSON array") from error


def _cut(text: str) -> list[tuple[Any, str]]:
    at = _skip(text, 0)
    if text[at] != "[":
        raise ValueError("no array")
    pieces: list[tuple[Any, str]] = []
    at = _skip(text, at + 1)
    while text[at] != "]":
        value, end = _DECODER.raw_decode(text, at)
        pieces.append((value, text[at:end]))
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
        elif text[at] != "]":
            raise ValueError("no comma")
    return pieces


def _skip(text: str, at: int) -> int:
    while text[at] in _BLANKS:
        at += 1
    return at
