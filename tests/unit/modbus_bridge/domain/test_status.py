from typing import Any

import pytest

from modbus_bridge.domain.decode import Value
from modbus_bridge.domain.status import Status, evaluate, holds
from modbus_bridge.domain.template import Condition, StatusRule
from modbus_bridge.templates import load_template
from shared.contracts.evse import EvseState


@pytest.mark.parametrize(
    ("op", "wanted", "value", "result"),
    [
        ("==", 2, 2, True),
        ("==", 2, 3, False),
        ("==", "C2", "C2", True),
        ("==", False, False, True),
        ("!=", 2, 3, True),
        ("<", 2, 1, True),
        ("<=", 2, 2, True),
        (">", 2, 2, False),
        (">=", 2, 2, True),
        ("in", (4, 5), 5, True),
        ("in", ("B1", "B2"), "C2", False),
        ("bit_set", 2, 4, True),
        ("bit_set", 0, 4, False),
        ("bit_clear", 0, 4, True),
        ("bit_set", 0, "text", False),
        ("==", 2, None, None),
        ("==", 2, (1.0, 2.0), None),
        ("<", 2, "C2", None),
        ("<", "a", 2, None),
    ],
)
def test_condition(op: Any, wanted: Any, value: Value, result: bool | None) -> None:
    assert holds(Condition(point="p", op=op, value=wanted), {"p": value}) is result


def rule(then: Any, *conditions: tuple[str, Any], text: str = "") -> StatusRule:
    when = tuple(Condition(point=point, value=value) for point, value in conditions)
    return StatusRule(when=when, then=then, text=text)


def test_first_rule_that_holds_decides() -> None:
    rules = [rule("A", ("cable", 0)), rule("C", ("cable", 1), ("relay", 1)), rule("B")]
    assert evaluate(rules, {"cable": 1, "relay": 1}).state is EvseState.C
    assert evaluate(rules, {"cable": 1, "relay": 0}).state is EvseState.B


def test_unread_register_makes_the_state_unknown_and_no_fault() -> None:
    rules = [rule("A", ("cable", 0)), rule("F")]
    assert evaluate(rules, {}) == Status(None)


def test_rule_is_passed_over_when_one_condition_is_false_whatever_the_others_are() -> None:
    rules = [rule("A", ("cable", 0), ("relay", 0)), rule("B")]
    assert evaluate(rules, {"cable": 1}).state is EvseState.B


def test_state_may_be_declared_unknown_or_left_undecided() -> None:
    assert evaluate([rule("unknown")], {}) == Status(None)
    assert evaluate([rule("A", ("cable", 0))], {"cable": 1}) == Status(None)


def test_fault_says_what_is_wrong_or_at_least_what_was_read() -> None:
    rules = [rule("F", ("pilot", 9), text="DC sensor error"), rule("F", ("pilot", 7)), rule("F")]
    assert evaluate(rules, {"pilot": 9.0}).fault == "DC sensor error"
    assert evaluate(rules, {"pilot": 7.0}).fault == "pilot = 7.0"
    assert evaluate(rules, {"pilot": 8.0}).fault == "the box reports a fault"


@pytest.mark.parametrize(
    ("pilot", "state"),
    [(0, "A"), (1, "B"), (2, "C"), (3, "D"), (4, "E"), (5, "F"), (6, "F"), (9, "F")],
)
def test_power_brain_states(pilot: int, state: str) -> None:
    status = evaluate(load_template("cfos_power_brain").status, {"pilot": float(pilot)})
    assert status.state == state
    assert (status.fault is None) == (state in "ABCD")
