from typing import Any

import pytest
from pydantic import ValidationError

from modbus_bridge.domain.template import (
    Condition,
    Control,
    Derived,
    Keepalive,
    PhaseSwitch,
    Point,
)
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


def control(**phases: Any) -> dict[str, Any]:
    switch = {"write": "enable", "one": 1, "three": 0, **phases}
    return {"limit": "current_limit", "zero_pauses": True, "phases": switch}


@pytest.mark.parametrize(
    ("phases", "complaint"),
    [
        ({"write": "relay"}, "unknown points: relay"),
        ({"write": "pilot"}, "without write_fc.*pilot"),
        ({"state": "relay"}, "unknown points: relay"),
        ({"when": [{"point": "flags", "value": 1}]}, "unknown points: flags"),
        ({"one": 0}, "nothing would change"),
        ({"state_one": 1}, "belong to a state point"),
        ({"state": "pilot", "state_one": 2, "state_three": 2}, "nothing could be told"),
        ({"pause_after_s": -1}, "greater than or equal to 0"),
    ],
)
def test_a_phase_switch_that_cannot_work_is_refused(
    build: Build, phases: dict[str, Any], complaint: str
) -> None:
    assert build(control=control()).control is not None
    with pytest.raises(ValidationError, match=complaint):
        build(control=control(**phases))


@pytest.mark.parametrize(
    "changes", [{"fc": None, "write_fc": 6}, {"n": 3}, {"type": "str:2"}], ids=str
)
def test_phases_are_shown_by_a_number_that_can_be_read(
    build: Build, changes: dict[str, Any]
) -> None:
    points = build().model_dump(mode="json")["points"]
    points["state"] = {"addr": 40, **changes}
    with pytest.raises(ValidationError, match="shows no phases"):
        build(points=points, control=control(state="state"))


def test_phases_are_not_shown_by_what_is_computed(build: Build) -> None:
    derived = {"sum": {"op": "sum", "of": ["pilot"]}}
    with pytest.raises(ValidationError, match="shows no phases"):
        build(derived=derived, control=control(state="sum"))


def test_the_written_point_shows_the_phases_unless_another_one_does() -> None:
    plain = PhaseSwitch(write="select", one=1, three=2)
    assert (plain.shown_by, plain.shows_one, plain.shows_three) == ("select", 1, 2)
    assert (plain.value_for(1), plain.value_for(3)) == (1, 2)
    other = PhaseSwitch(write="select", one=1, three=2, state="s", state_one=0, state_three=3)
    assert (other.shown_by, other.shows_one, other.shows_three) == ("s", 0, 3)
