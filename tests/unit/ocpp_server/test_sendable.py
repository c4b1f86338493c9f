"""What of a granted limit is told to a box, and whether the box heeds it."""

import pytest

from ocpp_server.domain.meter_values import Reading
from ocpp_server.domain.model import Model, NumberPhases, RateUnit, WattsPhases
from ocpp_server.domain.profile_forms import Form
from ocpp_server.domain.profiles import Limit
from ocpp_server.domain.sendable import Box, Sendable, heeds, sendable, watts_phases
from shared.units import PhaseAmps
from tests.ocpp_core import evse

PLAIN = Model()
WATTS = Form(unit=RateUnit.WATTS)


def of(limit_a: float, model: Model = PLAIN, *, phases: int | None = None) -> Sendable:
    return sendable(
        Limit(limit_a=limit_a, phases=phases),
        evse=evse(min_a=8, switches_phases=True),
        box=Box(
            model=model,
            form=Form(),
            measured=None,
            can_switch_phases=model.can_switch_phases(None),
        ),
    )


def test_it_is_rounded_down() -> None:
    assert of(10.29) == Sendable(limit=Limit(limit_a=10.2))
    assert of(10.9, Model(whole_amps=True)) == Sendable(limit=Limit(limit_a=10.0))


def test_the_same_limit_is_another_one_for_another_model() -> None:
    assert of(10.9) == Sendable(limit=Limit(limit_a=10.9))
    assert of(10.9, Model(whole_amps=True)) == Sendable(limit=Limit(limit_a=10.0))
    assert of(0) == Sendable(limit=Limit(limit_a=0.0))
    assert of(0, Model(never_zero=True)).limit == Limit(limit_a=8.0)


def test_between_zero_and_six_is_zero() -> None:
    assert of(5.9) == Sendable(limit=Limit(limit_a=0.0))


def test_a_box_that_faults_at_zero_keeps_its_minimum_and_it_is_told() -> None:
    found = of(0, Model(never_zero=True))
    assert found.limit == Limit(limit_a=8.0)
    assert found.refusal is not None
    assert "8 A" in found.refusal
    assert of(10, Model(never_zero=True)) == Sendable(limit=Limit(limit_a=10.0))


def test_fewer_phases_are_refused_where_their_number_cannot_be_told() -> None:
    model = Model(number_phases=NumberPhases.NEVER)
    assert of(16, model, phases=1).limit is None
    assert of(16, model, phases=3).limit == Limit(limit_a=16.0), "it hears nothing of phases"
    assert of(16, phases=1).limit == Limit(limit_a=16.0, phases=1)
    assert of(16, phases=3).limit == Limit(limit_a=16.0, phases=3)


def test_an_evse_that_does_not_switch_hears_nothing_of_phases() -> None:
    box = Box(model=PLAIN, form=Form(), measured=None)
    for phases, limit in ((3, Limit(limit_a=16.0)), (1, None)):
        wanted = Limit(limit_a=16, phases=phases)
        assert sendable(wanted, evse=evse(), box=box).limit == limit
    single = sendable(Limit(limit_a=16, phases=1), evse=evse(phases=1), box=box)
    assert single == Sendable(limit=Limit(limit_a=16.0))


@pytest.mark.parametrize(
    ("phases", "measured", "counted", "because"),
    [
        (1, PhaseAmps(l1=10, l2=10, l3=10), 1, "one phase is ordered"),
        (1, None, 1, "one phase is ordered"),
        (3, None, 3, "three are ordered"),
        (3, PhaseAmps(l1=10, l2=0, l3=0), 1, "the car takes one"),
    ],
)
def test_watts_are_counted_for_no_more_phases_than_are_ordered(
    phases: int, measured: PhaseAmps | None, counted: int, because: str
) -> None:
    box = Box(model=PLAIN, form=WATTS, measured=measured)
    found = sendable(
        Limit(limit_a=16, phases=phases), evse=evse(switches_phases=True), box=box
    ).limit
    assert found == Limit(limit_a=16, phases=phases, watts_phases=counted), because


@pytest.mark.parametrize(
    ("measured", "model", "phases", "because"),
    [
        (None, PLAIN, 3, "as it is wired while nothing is known"),
        (None, Model(watts_phases=WattsPhases.ONE), 1, "or less, where the model needs it"),
        (PhaseAmps(l1=15, l2=0, l3=0), PLAIN, 1, "a car of one phase would draw three times"),
        (PhaseAmps(l1=15, l2=15, l3=0.2), PLAIN, 2, "two phases"),
        (PhaseAmps(l1=15, l2=15, l3=15), Model(watts_phases=WattsPhases.ONE), 3, "seen is known"),
        (PhaseAmps(l1=0, l2=0, l3=0), PLAIN, 3, "nothing flows, so nothing is known"),
    ],
)
def test_watts_are_counted_for_the_phases_in_use(
    measured: PhaseAmps | None, model: Model, phases: int, because: str
) -> None:
    assert watts_phases(model, measured, wired=3) == phases, because


def test_only_a_limit_in_watt_is_counted() -> None:
    seen = PhaseAmps(l1=15, l2=0, l3=0)
    for form, counted in ((WATTS, 1), (Form(), None), (None, None)):
        box = Box(model=PLAIN, form=form, measured=seen)
        found = sendable(Limit(limit_a=16), evse=evse(), box=box)
        assert found.limit == Limit(limit_a=16, watts_phases=counted)


@pytest.mark.parametrize(
    ("reading", "since_s", "is_heeded"),
    [
        (Reading(), 100, True),
        (Reading(offered_a=32), 100, False),
        (Reading(offered_a=32), 19, True),
        (Reading(offered_a=10.5), 100, True),
        (Reading(current_a=PhaseAmps(l1=16, l2=0, l3=0)), 100, False),
        (Reading(current_a=PhaseAmps(l1=10.9)), 100, True),
    ],
)
def test_a_box_heeds_unless_its_figures_say_otherwise(
    reading: Reading, since_s: float, is_heeded: bool
) -> None:
    assert heeds(reading, Limit(limit_a=10), since_s=since_s) is is_heeded


@pytest.mark.parametrize(
    ("current_a", "since_s", "is_heeded"),
    [
        (PhaseAmps(l1=8, l2=8, l3=8), 119, True),
        (PhaseAmps(l1=8, l2=8, l3=8), 120, False),
        (PhaseAmps(l1=8, l2=0.4, l3=0), 120, True),
    ],
)
def test_a_box_is_given_time_to_switch_its_phases(
    current_a: PhaseAmps, since_s: float, is_heeded: bool
) -> None:
    limit = Limit(limit_a=10, phases=1)
    assert heeds(Reading(current_a=current_a), limit, since_s=since_s) is is_heeded
    assert heeds(Reading(current_a=current_a), limit._replace(phases=3), since_s=since_s)
