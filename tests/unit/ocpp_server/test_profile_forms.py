"""The ways to tell a limit: which, in what order, and what follows from a refusal."""

from typing import Any

import pytest

from ocpp_server.domain.model import Levels, Model, NumberPhases, Purpose, RateUnit, Schedule
from ocpp_server.domain.profile_forms import Cascade, Form, forms, level_pairs, rate_units

AMPS, WATTS = RateUnit.AMPS, RateUnit.WATTS


def ways(model: Model = Model(), **changes: Any) -> tuple[Form, ...]:  # noqa: B008 - frozen
    values: dict[str, Any] = {
        "max_level": 8,
        "units": (AMPS, WATTS),
        "has_one_connector": True,
    }
    return forms(model, **(values | changes))


@pytest.mark.parametrize(
    ("model", "max_level", "pairs"),
    [
        (Model(), None, ((0, 1), (None, 0))),
        (Model(), 0, ((None, 0),)),
        (Model(), 1, ((0, 1), (None, 0))),
        (Model(), 2, ((1, 2), (0, 1), (None, 0))),
        (Model(), 8, ((7, 8), (6, 7), (0, 1), (None, 0))),
        (Model(levels=Levels.LOWEST), 8, ((None, 0),)),
        (Model(levels=Levels.BELOW_HIGHEST), 8, ((6, 7), (5, 6), (0, 1), (None, 0))),
        (Model(levels=Levels.BELOW_HIGHEST), 1, ((None, 0),)),
        (Model(levels=Levels.BELOW_HIGHEST), None, ((0, 1), (None, 0))),
        (Model(lowest_level=1), None, ((1, 2), (None, 1))),
        (Model(lowest_level=1), 3, ((2, 3), (1, 2), (None, 1))),
        (Model(lowest_level=1), 1, ((None, 1),)),
    ],
)
def test_stack_levels(model: Model, max_level: int | None, pairs: tuple[Any, ...]) -> None:
    assert level_pairs(model, max_level) == pairs


@pytest.mark.parametrize(
    ("allowed", "units"),
    [
        (None, (AMPS, WATTS)),
        ("", (AMPS, WATTS)),
        ("Current", (AMPS,)),
        ("A", (AMPS,)),
        ("Current,Power", (AMPS, WATTS)),
        ("W,A", (AMPS, WATTS)),
        ("Power", (WATTS,)),
        ("W", (WATTS,)),
        ('"Power"', (WATTS,)),
        (" power ", (WATTS,)),
    ],
)
def test_units(allowed: str | None, units: tuple[RateUnit, ...]) -> None:
    assert rate_units(allowed) == units


def test_the_best_way_comes_first_and_none_twice() -> None:
    found = ways()
    assert found[0] == Form(purpose=Purpose.TX_DEFAULT, levels=(7, 8), unit=AMPS)
    assert len(set(found)) == len(found)


def test_every_way_out_that_is_documented_is_among_them() -> None:
    found = ways()
    assert {form.purpose for form in found} == set(Purpose)
    assert any(form.relative for form in found)
    assert any(form.unit is WATTS for form in found)
    assert any(form.number_phases is NumberPhases.ALWAYS for form in found)
    assert any(form.base_starts for form in found)
    assert any(form.ends_by_period for form in found)
    assert any(not form.has_base for form in found)


def test_levels_are_varied_before_anything_else() -> None:
    assert [form.levels for form in ways()[:4]] == [(7, 8), (6, 7), (0, 1), (None, 0)]
    assert all(form.purpose is Purpose.TX_DEFAULT and not form.relative for form in ways()[:4])


def test_a_maximum_of_the_station_is_for_those_with_one_connector() -> None:
    purposes = {form.purpose for form in ways(has_one_connector=False)}
    assert purposes == {Purpose.TX_DEFAULT, Purpose.TX}


def test_a_maximum_of_the_station_is_never_relative() -> None:
    found = ways(Model(schedule=Schedule.RELATIVE))
    assert not any(f.relative for f in found if f.purpose is Purpose.STATION_MAX)
    assert found[0].relative


def test_a_unit_that_is_not_taken_is_never_tried() -> None:
    assert {form.unit for form in ways(units=(WATTS,))} == {WATTS}


def test_a_model_that_heeds_no_number_of_phases_gets_none() -> None:
    found = ways(Model(number_phases=NumberPhases.NEVER))
    assert {form.number_phases for form in found} == {NumberPhases.NEVER}


def test_a_refusal_leads_to_the_next_way_and_never_back() -> None:
    cascade = Cascade(ways())
    tried = []
    while True:
        form = cascade.current(has_transaction=True)
        assert form is not None
        tried.append(form)
        if not cascade.refused(form, has_transaction=True):
            break
    assert tuple(tried) == ways()
    assert cascade.is_exhausted
    assert cascade.current(has_transaction=True) == ways()[0]
    assert not cascade.refused(ways()[0], has_transaction=True), "and no second round"


def test_what_worked_is_kept() -> None:
    cascade = Cascade(ways())
    cascade.refused(ways()[0], has_transaction=False)
    cascade.accepted(ways()[1])
    assert cascade.current(has_transaction=False) == ways()[1]


def test_what_worked_for_its_like_comes_first_and_the_others_after() -> None:
    proved = ways()[3]
    cascade = Cascade(ways(), proved=proved)
    assert cascade.current(has_transaction=False) == proved
    assert cascade.refused(proved, has_transaction=False)
    assert cascade.current(has_transaction=False) == ways()[0]


def test_a_proof_of_other_abilities_counts_for_nothing() -> None:
    cascade = Cascade(ways(units=(WATTS,)), proved=Form(levels=(7, 8), unit=AMPS))
    found = cascade.current(has_transaction=False)
    assert found is not None
    assert found.unit is WATTS


def test_after_every_refusal_the_last_that_worked_is_tried_and_no_other() -> None:
    cascade = Cascade(ways())
    cascade.refused(ways()[0], has_transaction=True)
    cascade.accepted(ways()[1])
    form = cascade.current(has_transaction=True)
    while form is not None and cascade.refused(form, has_transaction=True):
        form = cascade.current(has_transaction=True)
    assert cascade.current(has_transaction=True) == ways()[1]
    cascade.accepted(ways()[1])
    assert not cascade.refused(ways()[1], has_transaction=True)


class TestTransactions:
    """Ways that need a transaction."""

    def exhausted(self) -> Cascade:
        cascade = Cascade(ways())
        while True:
            form = cascade.current(has_transaction=False)
            assert form is not None
            assert form.purpose is not Purpose.TX
            if not cascade.refused(form, has_transaction=False):
                return cascade

    def test_they_are_tried_when_one_begins(self) -> None:
        cascade = self.exhausted()
        cascade.transaction_began()
        form = cascade.current(has_transaction=True)
        assert form is not None
        assert form.purpose is Purpose.TX

    def test_one_that_works_is_of_no_use_afterwards(self) -> None:
        cascade = self.exhausted()
        cascade.transaction_began()
        form = cascade.current(has_transaction=True)
        assert form is not None
        cascade.accepted(form)
        assert cascade.current(has_transaction=False) is None

    def test_a_beginning_changes_nothing_while_a_way_works(self) -> None:
        cascade = Cascade(ways())
        cascade.transaction_began()
        assert cascade.current(has_transaction=True) == ways()[0]

    def test_a_beginning_helps_nobody_who_has_no_such_way(self) -> None:
        model = Model(purposes=(Purpose.TX_DEFAULT,))
        cascade = Cascade(ways(model, max_level=0, units=(AMPS,)))
        while True:
            form = cascade.current(has_transaction=False)
            assert form is not None
            if not cascade.refused(form, has_transaction=False):
                break
        cascade.transaction_began()
        assert cascade.is_exhausted
