"""What of a granted limit is told to a box, and whether the box heeds it."""

import pytest

from ocpp_server.domain.meter_values import Reading
from ocpp_server.domain.model import Model, NumberPhases, RateUnit, WattsPhases
from ocpp_server.domain.profile_forms import Form
from ocpp_server.domain.profiles import Limit
from ocpp_server.domain.sendable import Sendable, heeds, sendable, watts_phases
from shared.units import PhaseAmps
from tests.ocpp_core import evse

PLAIN = Model()
WATTS = Form(unit=RateUnit.WATTS)


def of(limit_a: float, model: Model = PLAIN, *, phases: int | None = None) -> Sendable:
    return sendable(
        Limit(limit_a=limit_a, phases=phases),
        evse=evse(min_a=8),
        model=model,
        form=Form(),
        measured=None,
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
    assert of(16, model, phases=3).limit == Limit(limit_a=16.0, phases=3)
    assert of(16, phases=1).limit == Limit(limit_a=16.0, phases=1)


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
        found = sendable(Limit(limit_a=16), evse=evse(), model=PLAIN, form=form, measured=seen)
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
