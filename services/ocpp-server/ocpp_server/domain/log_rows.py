"""Frames as they stand in the message log: no id tag, no byte of a signed value changed."""

import re
from collections.abc import Callable

from ocpp_server.domain.frames import Call, CallError, CallResult, Frame, Malformed

TEXT_LIMIT = 65_536
"""What is longer is cut in the log; billing keeps its own copy of signed values."""

_ID_TAG = re.compile(r'("(?:idTag|parentIdTag)"\s*:\s*)"((?:[^"\\]|\\.)*)"')
"""Only as a key of OCPP: inside a text (signed values) its quotes are escaped, and do not fit."""

_HELD_KEY = re.compile(r'\{[^{}]*"AuthorizationKey"[^{}]*\}', re.IGNORECASE)
_VALUE = re.compile(r'("value"\s*:\s*)"(?:[^"\\]|\\.)*"')


def logged_text(text: str, *, pseudonym: Callable[[str], str] | None) -> str:
    """Return a frame as it is logged; with ``pseudonym`` its id tags are replaced.

    The password of a station is never logged (OCPP 1.6 security, A01).
    """
    if "uthorization" in text:
        text = _HELD_KEY.sub(lambda found: _VALUE.sub(r'\1"***"', found.group(0)), text)
    if pseudonym is not None and "dTag" in text:
        text = _ID_TAG.sub(lambda found: f'{found.group(1)}"{pseudonym(found.group(2))}"', text)
    return text[:TEXT_LIMIT]


def described(frame: Frame) -> tuple[int, str, str, str]:
    """Return kind, message id, action and repairs of a frame of the station."""
    match frame:
        case Call():
            return 2, str(frame.message_id), frame.action, frame.repairs
        case CallResult():
            return 3, str(frame.message_id), "", ""
        case CallError():
            return 4, str(frame.message_id), "", ""
        case Malformed():
            return 0, str(frame.message_id or ""), "", frame.description
