"""Rules of a template applied to readings: the vehicle state, and what a variant lacks."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modbus_bridge.domain.decode import Value
from modbus_bridge.domain.template import Condition, Scalar, StatusRule
from shared.contracts.evse import EvseState

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Status:
    """What the rules say."""

    state: EvseState | None
    fault: str | None = None


def holds(condition: Condition, values: Mapping[str, Value]) -> bool | None:
    """Return whether a condition is true; ``None`` when its point is unknown."""
    value = values.get(condition.point)
    if value is None or isinstance(value, tuple):
        return None
    if isinstance(condition.value, tuple):
        return value in condition.value
    if condition.op in {"bit_set", "bit_clear"}:
        return _bit(value, condition.value) == (condition.op == "bit_set")
    if isinstance(value, str) != isinstance(condition.value, str):
        return None
    return _COMPARISONS[condition.op](value, condition.value)


def all_hold(conditions: Sequence[Condition], values: Mapping[str, Value]) -> bool | None:
    """Return whether every condition is true; ``None`` when that cannot be known."""
    results = [holds(condition, values) for condition in conditions]
    if False in results:
        return False
    return None if None in results else True


def evaluate(rules: Sequence[StatusRule], values: Mapping[str, Value]) -> Status:
    """Return the state by the first rule that holds.

    A rule that cannot be decided ends the search: an unread register is unknown, not a fault.
    """
    for rule in rules:
        decided = all_hold(rule.when, values)
        if decided is None:
            return Status(None)
        if decided:
            return _outcome(rule, values)
    return Status(None)


def _outcome(rule: StatusRule, values: Mapping[str, Value]) -> Status:
    if rule.then == "unknown":
        return Status(None)
    if rule.then is not EvseState.F:
        return Status(rule.then, rule.text or None)
    seen = ", ".join(f"{c.point} = {values.get(c.point)}" for c in rule.when)
    return Status(EvseState.F, rule.text or seen or "the box reports a fault")


def _bit(value: Scalar, number: Scalar) -> bool:
    if isinstance(value, str) or isinstance(number, str):
        return False
    return bool(int(value) >> int(number) & 1)
