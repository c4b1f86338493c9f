"""Serving stations that break the schema and keep the meaning (field notes 5.2, 12).

Knows no schema library: it is told what is violated where, and repairs or gives up.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from ocpp_server.domain.frames import ErrorCode, Payload


class Repair(StrEnum):
    """What was wrong with a payload that was served all the same."""

    TEXT_FOR_NUMBER = "text_for_number"
    NUMBER_FOR_TEXT = "number_for_text"
    FRACTION_FOR_INTEGER = "fraction_for_integer"
    STRUCTURE_FOR_TEXT = "structure_for_text"
    OBJECT_FOR_LIST = "object_for_list"
    NULL = "null"
    MISSING = "missing"
    TOO_LONG = "too_long"
    UNKNOWN_VALUE = "unknown_value"
    EXTRA_FIELD = "extra_field"
    EMPTY_LIST = "empty_list"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule of a schema."""

    keyword: str
    path: tuple[str | int, ...]
    expected: tuple[str, ...] = ()
    """Types, for ``type``; the name of the property, for ``required``."""


@dataclass(frozen=True, slots=True)
class Unrepairable:
    """No meaning is left."""

    code: ErrorCode


_HARMLESS = {
    "maxLength": Repair.TOO_LONG,
    "enum": Repair.UNKNOWN_VALUE,
    "additionalProperties": Repair.EXTRA_FIELD,
    "minItems": Repair.EMPTY_LIST,
    "multipleOf": Repair.UNKNOWN_VALUE,
}
"""Rules whose violation takes no meaning away: the value stays as it is."""

_MAY_BE_MISSING = frozenset(
    {
        "timestamp",
        "chargePointVendor",
        "chargePointModel",
        "meterStart",
        "meterStop",
        "transactionId",
        "errorCode",
        "sampledValue",
        "value",
        "type",
    }
)
"""Required by the schema, and not needed to understand the message."""

_INTEGER = re.compile(r"\s*([+-]?\d{1,15})(?:[.,]\d*)?\s*")
_LARGEST = 2**53


def repair(payload: Payload, violations: Iterable[Violation]) -> list[Repair] | Unrepairable:
    """Repair a payload in place and tell what was done, or tell the error code to refuse it with.

    In place because the payload was parsed for this one reader, and a station that breaks the
    schema breaks it in every message. Validate again after it: a repaired value may reveal more.
    """
    done: list[Repair] = []
    for violation in violations:
        outcome = _repair_one(payload, violation)
        if isinstance(outcome, Unrepairable):
            return outcome
        done.append(outcome)
    return done


def _repair_one(payload: Payload, violation: Violation) -> Repair | Unrepairable:
    harmless = _HARMLESS.get(violation.keyword)
    if harmless is not None:
        return harmless
    if violation.keyword == "required":
        if set(violation.expected) <= _MAY_BE_MISSING:
            return Repair.MISSING
        return Unrepairable(ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION)
    if violation.keyword == "type" and violation.path:
        return _repair_type(payload, violation)
    return Unrepairable(ErrorCode.FORMATION_VIOLATION)


def _repair_type(payload: Payload, violation: Violation) -> Repair | Unrepairable:
    *above, last = violation.path
    holder: Any = payload
    for step in above:
        holder = holder[step]
    value = holder[last]
    if value is None and isinstance(holder, dict):
        del holder[last]
        return Repair.NULL
    replaced = _replacement(value, violation.expected)
    if replaced is None:
        return Unrepairable(ErrorCode.TYPE_CONSTRAINT_VIOLATION)
    holder[last], kind = replaced
    return kind


def _replacement(value: Any, expected: tuple[str, ...]) -> tuple[Any, Repair] | None:
    if "integer" in expected or "number" in expected:
        return _as_integer(value)
    if "string" in expected:
        return _as_text(value)
    if "array" in expected and isinstance(value, dict):
        return [value], Repair.OBJECT_FOR_LIST
    return None


def _as_integer(value: Any) -> tuple[int, Repair] | None:
    if isinstance(value, float) and math.isfinite(value) and abs(value) < _LARGEST:
        return round(value), Repair.FRACTION_FOR_INTEGER
    found = _INTEGER.fullmatch(value) if isinstance(value, str) else None
    return (int(found.group(1)), Repair.TEXT_FOR_NUMBER) if found else None


def _as_text(value: Any) -> tuple[str, Repair] | None:
    if isinstance(value, bool):
        return ("true" if value else "false"), Repair.NUMBER_FOR_TEXT
    if isinstance(value, int | float):
        return repr(value), Repair.NUMBER_FOR_TEXT
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode(), Repair.STRUCTURE_FOR_TEXT
    return None
