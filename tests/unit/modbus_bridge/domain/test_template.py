from typing import Any

import pytest
from pydantic import ValidationError

from modbus_bridge.domain.template import Condition, Control, Derived, Keepalive, Point
from tests.unit.modbus_bridge.conftest import Build


def test_unknown_key_is_refused(build: Build) -> None:
    with pytest.raises(ValidationError, match="colour"):
        build(colour="red")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"status": [{"when": [{"point": "cp", "value": 1}], "then": "A"}]}, "unknown points: cp"),
        ({"control": {"limit": "amps", "zero_pauses": True}}, "unknown points: amps"),
        ({"control": {"limit": "pilot", "zero_pauses": True}}, "without write_fc.*pilot"),
        ({"failsafe": {"timeout": "watchdog"}}, "unknown points: watchdog"),
        ({"derived": {"power_total": {"op": "sum", "of": ["watts"]}}}, "unknown points: watts"),
        (
            {"keepalive": {"kind": "write_register", "write": "x", "value": 1, "interval_s": 5}},
            "unknown points: x",
        ),
        ({"failsafe": {"current": "enable"}}, "need max: enable"),
        ({"control": None}, "status rules and a control section"),
        ({"status": []}, "status rules and a control section"),
        ({"kind": "meter"}, "neither status rules nor"),
        ({"kind": "meter", "status": [], "control": None}, "a point named current"),
    ],
)
def test_what_cannot_work_is_refused(build: Build, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        build(**changes)


def test_case_and_sign_must_name_points(build: Build) -> None:
    points = {
        "pilot": {"addr": 0, "sign_from": "watts"},
        "current_limit": {"addr": 1, "write_fc": 6},
        "enable": {
            "addr": 2,
            "write_fc": 6,
            "cases": [{"when": [{"point": "flags", "value": 1}], "absent": True}],
        },
    }
    with pytest.raises(ValidationError, match="unknown points: flags, watts"):
        build(points=points)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"addr": 65535, "type": "u32"}, "run past 65535"),
        ({"addr": 1, "type": "u32", "write_fc": 6}, "function 6 writes one register"),
        ({"addr": 1, "type": "str:4", "write_fc": 16}, "single numbers"),
        ({"addr": 1, "n": 3, "write_fc": 16}, "single numbers"),
        ({"addr": 1, "fc": None}, "read, written or both"),
        ({"addr": 1, "type": "u24"}, "pattern"),
        ({"addr": 1, "fc": 1}, "3 or 4"),
    ],
)
def test_impossible_points_are_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Point.model_validate(fields)


def test_point_that_is_only_written_is_fine() -> None:
    assert Point(addr=5004, fc=None, write_fc=6).count == 1


def test_width_follows_type_and_number() -> None:
    assert Point(addr=0, type="str:15").count == 15
    assert Point(addr=0, type="f32", n=3).count == 6


@pytest.mark.parametrize(("op", "value"), [("in", 1), ("==", (1, 2))])
def test_only_in_takes_a_list(op: Any, value: Any) -> None:
    with pytest.raises(ValidationError, match="'in' takes a list"):
        Condition(point="a", op=op, value=value)


def test_every_box_must_be_pausable_in_exactly_one_way() -> None:
    with pytest.raises(ValidationError, match="pausable"):
        Control(limit="a")
    with pytest.raises(ValidationError, match="pausable"):
        Control.model_validate(
            {"limit": "a", "zero_pauses": True, "pause": [{"write": "b", "value": 0}]}
        )


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "any_traffic", "interval_s": 5},
        {"kind": "rewrite_limit"},
        {"kind": "rewrite_limit", "interval_s": 5, "write": "a", "value": 1},
        {"kind": "write_register", "interval_s": 5},
    ],
)
def test_keepalive_has_exactly_what_its_kind_needs(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="belong"):
        Keepalive.model_validate(fields)


def test_product_needs_two_operands() -> None:
    with pytest.raises(ValidationError, match="two points"):
        Derived(op="product_sum", of=("current",))
