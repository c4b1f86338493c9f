from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modbus_bridge.domain.setpoint import SetpointPlan, plan_limit, write_of
from modbus_bridge.domain.template import Control, Point, Step

PAUSED_BY_ENABLE = Control(
    limit="limit",
    pause=(Step(write="enable", value=0),),
    resume=(Step(write="enable", value=1),),
)
PAUSED_BY_ZERO = Control(limit="limit", zero_pauses=True)


def points(**limit: Any) -> dict[str, Point]:
    fields = {"addr": 10, "write_fc": 6, "scale": 0.1, "min": 6, "max": 32, **limit}
    return {
        "limit": Point(**fields),
        "enable": Point(addr=11, write_fc=6, type="bool"),
    }


def steps(plan: SetpointPlan) -> list[tuple[str, float]]:
    return [(write.point, write.value) for write in plan.writes]


@pytest.mark.parametrize(
    ("limit_a", "written", "effective_a"),
    [
        (16.0, [("limit", 16.0), ("enable", 1.0)], 16.0),
        (10.09, [("limit", 10.0), ("enable", 1.0)], 10.0),
        (40.0, [("limit", 32.0), ("enable", 1.0)], 32.0),
        (6.0, [("limit", 6.0), ("enable", 1.0)], 6.0),
        (5.99, [("enable", 0.0)], 0.0),
        (0.0, [("enable", 0.0)], 0.0),
    ],
)
def test_limit_is_written_before_charging_is_enabled(
    limit_a: float, written: list[tuple[str, float]], effective_a: float
) -> None:
    plan = plan_limit(PAUSED_BY_ENABLE, points(), limit_a, min_a=6)
    assert steps(plan) == written
    assert plan.limit_a == effective_a


def test_box_that_pauses_by_zero_gets_zero() -> None:
    plan = plan_limit(PAUSED_BY_ZERO, points(scale=1), 5.0, min_a=6)
    assert steps(plan) == [("limit", 0.0)]
    assert plan.limit_a == 0.0
    assert steps(plan_limit(PAUSED_BY_ZERO, points(scale=1), 9.9, min_a=6)) == [("limit", 9.0)]


def test_minimum_of_the_evse_counts_even_above_that_of_the_register() -> None:
    assert plan_limit(PAUSED_BY_ENABLE, points(), 7.5, min_a=8).limit_a == 0.0


def test_rounding_below_the_minimum_pauses() -> None:
    assert plan_limit(PAUSED_BY_ZERO, points(scale=1), 8.9, min_a=8.5).limit_a == 0.0


def test_register_without_a_minimum_takes_that_of_the_evse() -> None:
    assert plan_limit(PAUSED_BY_ZERO, points(min=None), 6.0, min_a=6).limit_a == 6.0


def test_value_is_kept_within_the_range_of_its_register() -> None:
    assert write_of("limit", points(), 99.0).value == 32.0
    assert write_of("limit", points(max=None), 99.0).value == 99.0


def test_value_in_the_register_needs_no_write() -> None:
    order = write_of("limit", points(), 10.0)
    assert order.is_in({"limit": 10.0})
    assert not order.is_in({"limit": 10.1})
    assert not order.is_in({"limit": None})
    assert not order.is_in({})


@given(
    limit_a=st.floats(0, 200, allow_nan=False),
    min_a=st.floats(6, 16),
    scale=st.sampled_from([1.0, 0.1, 0.01]),
)
def test_no_box_is_ever_told_more_than_granted_nor_less_than_its_minimum(
    limit_a: float, min_a: float, scale: float
) -> None:
    plan = plan_limit(PAUSED_BY_ENABLE, points(scale=scale), limit_a, min_a=min_a)
    assert plan.limit_a <= limit_a
    assert plan.limit_a == 0 or plan.limit_a >= min_a
