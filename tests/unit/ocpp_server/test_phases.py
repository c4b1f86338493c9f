"""Phases that a connector was told to use, and what may flow until it does."""

import pytest

from ocpp_server.domain.model import Model, NumberPhases
from ocpp_server.domain.phases import (
    SWITCHES_WITHIN_S,
    Told,
    failure,
    in_use,
    is_measure_valid,
    kept,
    told_after,
    until_switched,
)
from ocpp_server.domain.profiles import Limit
from shared.units import PhaseAmps

ONE, THREE = Limit(limit_a=20, phases=1), Limit(limit_a=10, phases=3)
LEAVE = Limit(limit_a=16)
FULL = PhaseAmps(l1=10, l2=10, l3=10)
SINGLE = PhaseAmps(l1=10, l2=0.3, l3=0)


def test_a_change_remembers_when_it_was_told_and_what_was_before() -> None:
    first = told_after(THREE, None, before=None, now=5)
    assert first == Told(3, 5)
    assert told_after(THREE, first, before=THREE, now=9) == first
    assert told_after(ONE, first, before=THREE, now=9) == Told(1, 9, 10)
    assert told_after(LEAVE, first, before=THREE, now=9) is None


def test_a_limit_without_phases_leaves_them_as_they_are() -> None:
    assert kept(LEAVE, Told(1, 0)) == Limit(limit_a=16, phases=1)
    assert kept(LEAVE, None) == LEAVE
    assert kept(THREE, Told(1, 0)) == THREE


@pytest.mark.parametrize(
    ("wanted", "told", "measured", "limit_a", "because"),
    [
        (ONE, Told(3, 0), FULL, 10, "it is being told, and three phases carry current"),
        (ONE, None, FULL, 10, "nobody has told it anything about phases yet"),
        (ONE, Told(1, 99, 10), FULL, 10, "it was told, and has not done it"),
        (ONE, Told(1, 99, 10), None, 10, "nobody knows whether it has done it"),
        (ONE, Told(1, 99, 10), PhaseAmps(), 10, "nor here"),
        (ONE, Told(1, 99, 10), SINGLE, 20, "it has done it"),
        (ONE, Told(3, 0), SINGLE, 20, "the car takes one phase anyway"),
        (ONE, Told(1, 100 - SWITCHES_WITHIN_S, 10), None, 20, "it had all the time there is"),
        (ONE, Told(1, 100 - SWITCHES_WITHIN_S, 10), FULL, 10, "it had, and did not do it"),
        (ONE, Told(1, 99), FULL, 20, "it was told from the start"),
        (ONE._replace(limit_a=6), Told(1, 99, 10), FULL, 6, "less is always safe"),
        (THREE, Told(1, 99, 20), SINGLE, 10, "more phases are not in force before they are"),
    ],
)
def test_until_a_box_has_left_its_phases_it_gets_no_more_than_before(
    wanted: Limit, told: Told | None, measured: PhaseAmps | None, limit_a: float, because: str
) -> None:
    found = until_switched(wanted, told, before=THREE, measured=measured, now=100)
    assert found == wanted._replace(limit_a=limit_a), because


@pytest.mark.parametrize(
    ("wanted", "told", "measured", "has_failed"),
    [
        (ONE, Told(1, 100 - SWITCHES_WITHIN_S, 10), FULL, True),
        (ONE, Told(1, 101 - SWITCHES_WITHIN_S, 10), FULL, False),
        (ONE, Told(1, 0, 10), SINGLE, False),
        (ONE, Told(1, 0, 10), None, False),
        (ONE, Told(3, 0), FULL, False),
        (ONE, None, FULL, False),
        (THREE, Told(1, 0, 10), FULL, False),
    ],
)
def test_who_goes_on_with_three_phases_for_long_has_failed(
    wanted: Limit, told: Told | None, measured: PhaseAmps | None, has_failed: bool
) -> None:
    found = failure(wanted, told, measured=measured, now=130 if told == Told(1, 0, 10) else 100)
    assert (found is not None) is has_failed
    assert found is None or "current flows on 3 phases 120 s after" in found


def test_where_nothing_is_known_of_before_the_order_counts() -> None:
    assert until_switched(ONE, None, before=None, measured=FULL, now=100) == ONE


@pytest.mark.parametrize(
    ("told", "wanted", "is_valid", "because"),
    [
        (None, THREE, True, "there was no change"),
        (Told(3, 99), THREE, True, "nor here"),
        (Told(1, 0), LEAVE, True, "and none is ordered"),
        (Told(1, 0), THREE, False, "one phase flows because the box was told so"),
        (Told(3, 99, 20), THREE, False, "and it needs time to change"),
        (Told(3, 100 - SWITCHES_WITHIN_S, 20), THREE, True, "which is over"),
    ],
)
def test_what_flows_tells_what_the_car_takes_unless_the_box_is_changing(
    told: Told | None, wanted: Limit, is_valid: bool, because: str
) -> None:
    assert is_measure_valid(wanted, told, 100) is is_valid, because


def test_a_phase_is_in_use_from_1_a() -> None:
    assert [in_use(None), in_use(SINGLE), in_use(FULL), in_use(PhaseAmps(l1=1))] == [0, 1, 3, 1]


@pytest.mark.parametrize(
    ("model", "told", "can", "because"),
    [
        (Model(), "true", True, "it says so"),
        (Model(), "True ", True, "in its own way"),
        (Model(), None, True, "it has no such key, so the site is believed"),
        (Model(), "'False'", False, "it denies it"),
        (Model(switches_phases=True), "false", True, "its file knows better"),
        (Model(switches_phases=False), "true", False, "its file knows better"),
        (Model(number_phases=NumberPhases.NEVER), "true", False, "go-e, #154"),
    ],
)
def test_who_can_be_ordered_to_switch(
    model: Model, told: str | None, can: bool, because: str
) -> None:
    assert model.can_switch_phases(told) is can, because
