"""What must be true of every answer, whatever was sent: told without the server's code.

Only the JSON parser is the same, because two parsers differ in what they take for a number.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson

from ocpp_server.v16.schemas import actions, response_validator
from tests.fuzz.seeds import CANARY

CODES = frozenset(
    {
        "NotImplemented",
        "NotSupported",
        "InternalError",
        "ProtocolError",
        "SecurityError",
        "FormationViolation",
        "PropertyConstraintViolation",
        "OccurenceConstraintViolation",
        "TypeConstraintViolation",
        "GenericError",
    }
)
"""OCPP-J 1.6, 4.2.3."""
MOST_TEXTS = 20
"""So many different texts may CALLERRORs have: more would mean that they are made of payload."""
_DEEPEST = 64
_INTACT = re.compile(rb'\[2, ?("[a-z0-9-]{1,36}"), ')


def readable_call(frame: bytes) -> tuple[bytes, str | None] | None:
    """Return the id and the action of a call that must be answered; None where nothing must be."""
    try:
        frame.decode()
    except UnicodeDecodeError:
        return None  # the connection is closed for that
    try:
        parsed: Any = orjson.loads(frame)
    except ValueError:
        found = _INTACT.match(frame)
        return None if found is None else (found.group(1), None)
    if not isinstance(parsed, list) or len(parsed) < 2 or parsed[0] not in (2, "2"):
        return None
    message_id = parsed[1]
    if isinstance(parsed[0], bool | float) or isinstance(message_id, bool):
        return None
    if not isinstance(message_id, str | int | float):
        return None
    if isinstance(message_id, str) and len(message_id) > 200:
        return None
    if is_deep(parsed):  # refused; its id is found when it is written plainly
        found = _INTACT.match(frame)
        return None if found is None else (found.group(1), None)
    action = parsed[2] if len(parsed) > 2 and isinstance(parsed[2], str) else None
    return orjson.dumps(message_id), action


def is_deep(value: Any) -> bool:
    """Tell whether lists and objects are nested more than 64 levels."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


@dataclass
class Referee:
    """Judges the answers to what one connection sent, and counts.

    What breaks a rule is kept, because an exception would end in the server that is judged.
    """

    sent: int = 0
    owed: dict[bytes, list[str | None]] = field(default_factory=dict)
    """Id -> actions of the calls with it that must be answered."""
    results: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    texts: set[str] = field(default_factory=set)
    violations: list[object] = field(default_factory=list)

    def sends(self, frame: bytes) -> None:
        """Take note of a frame before it is sent."""
        self.sent += 1
        call = readable_call(frame)
        if call is not None:
            self.owed.setdefault(call[0], []).append(call[1])

    def answered(self, frame: list[Any]) -> None:
        """Judge a CALLRESULT or a CALLERROR of the server."""
        message_id = orjson.dumps(frame[1])
        asked = self.owed.get(message_id, [])
        if frame[0] == 3:
            self.results += 1
            fitting = [action for action in asked if _is_result_of(frame[2], action)]
            if asked and not fitting:
                self.violations.append((asked, frame))
            asked[:] = _without_first(asked, fitting)
        else:
            self._judge_error(frame)
            asked[:] = asked[1:]
        if not asked:
            self.owed.pop(message_id, None)

    def _judge_error(self, frame: list[Any]) -> None:
        if len(frame) != 5 or frame[0] != 4 or frame[2] not in CODES or frame[4] != {}:
            self.violations.append(frame)
            return
        self.errors[frame[2]] += 1
        self.texts.add(frame[3])
        if CANARY.lower() in frame[3].lower() or len(self.texts) > MOST_TEXTS:
            self.violations.append(frame)

    def forgives(self) -> None:
        """The connection was closed: nothing more can be answered."""
        self.owed.clear()


def _is_result_of(payload: Any, action: str | None) -> bool:
    if action is None or not isinstance(payload, dict):
        return isinstance(payload, dict)
    return action in actions() and response_validator(action).is_valid(payload)


def _without_first(asked: list[str | None], fitting: list[str | None]) -> list[str | None]:
    """Return what is owed still; answers come in the order of the calls."""
    left = list(asked)
    if fitting:
        left.remove(fitting[0])
    return left
