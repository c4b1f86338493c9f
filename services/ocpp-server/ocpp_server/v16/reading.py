"""Checking a payload against its schema, and repairing what keeps its meaning."""

import logging
from collections.abc import Iterator

import jsonschema_rs

from ocpp_server.answers import Fault
from ocpp_server.domain.frames import Call, ErrorCode, Payload
from ocpp_server.domain.repair import Unrepairable, Violation, repair
from ocpp_server.metrics import REPAIRS
from ocpp_server.v16.schemas import request_validator

logger = logging.getLogger(__name__)

_ROUNDS = 3
"""A repaired value may reveal another violation below it, but not for ever."""
_LARGEST_CONNECTOR = 2**31 - 1
_HARMLESS_ROUND = frozenset({"too_long", "unknown_value", "extra_field", "empty_list", "missing"})

_TEXTS = {
    ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION: "a required field is missing",
    ErrorCode.TYPE_CONSTRAINT_VIOLATION: "a field has the wrong type",
    ErrorCode.FORMATION_VIOLATION: "the payload has not the form of its action",
}


def check(call: Call) -> Fault | None:
    """Check a call's payload and repair it in place; return a fault when no meaning is left."""
    validator = request_validator(call.action)
    if validator.is_valid(call.payload):
        return _check_range(call.payload)
    for _ in range(_ROUNDS):
        outcome = repair(call.payload, _violations(validator, call.payload))
        if isinstance(outcome, Unrepairable):
            logger.debug("%s refused: %s", call.action, outcome.code)
            return Fault(outcome.code, _TEXTS[outcome.code])
        for kind in outcome:
            REPAIRS.labels(call.action, kind).inc()
        call.repairs = " ".join(filter(None, (call.repairs, *outcome)))
        logger.debug("%s served in spite of %s", call.action, ", ".join(outcome))
        if _HARMLESS_ROUND.issuperset(outcome):
            return _check_range(call.payload)
    return Fault(ErrorCode.FORMATION_VIOLATION, _TEXTS[ErrorCode.FORMATION_VIOLATION])


def _check_range(payload: Payload) -> Fault | None:
    """A connector number that no integer column takes means nothing."""
    connector = payload.get("connectorId", 0)
    if not isinstance(connector, int) or not 0 <= connector <= _LARGEST_CONNECTOR:
        code = ErrorCode.PROPERTY_CONSTRAINT_VIOLATION
        return Fault(code, "the connector number is out of range")
    return None


def _violations(validator: jsonschema_rs.Draft4Validator, payload: Payload) -> Iterator[Violation]:
    for error in list(validator.iter_errors(payload)):
        kind = error.kind
        expected: tuple[str, ...] = ()
        if isinstance(kind, jsonschema_rs.ValidationErrorKind.Type):
            expected = tuple(kind.types)
        elif isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
            expected = (kind.property,)
        yield Violation(kind.name, tuple(error.instance_path), expected)
