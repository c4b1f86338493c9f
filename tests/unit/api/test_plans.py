"""Charging plans and overrides: what makes sense, and how long it holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import product

import pytest

from api.domain.plans import (
    FARTHEST,
    LIFTED_IS_TOLD,
    NOBODY_CAME,
    PlanRecord,
    Seen,
    joined,
    noted,
    override_problems,
    plan_problems,
    revised,
    vehicle_seen,
)
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.plan import ChargingPlan, Override, PlanChanged
from shared.contracts.site import Evse

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
EVSE = Evse(id="bay", station="Box", circuit="main", min_a=6, max_a=16)
TONIGHT = ChargingPlan(departs_at=NOON + 8 * HOUR, energy_wh=20_000)
NOT_NOW = Override(charge=False)


def record(**values: object) -> PlanRecord:
    return PlanRecord(**{"evse_id": "bay", "plan": TONIGHT, "changed_at": NOON} | values)  # type: ignore[arg-type]


def after(kept: PlanRecord, *seen: bool, now: datetime = NOON + SECOND) -> PlanRecord | None:
    return revised(kept, seen, now, is_configured=True)


def observed(state: EvseState | None, *, online: bool = True) -> EvseObserved:
    return EvseObserved(
        evse_id="bay",
        station_id="Box",
        connector=1,
        epoch=1,
        observed_at=NOON,
        online=online,
        state=state,
    )


def test_a_record_is_told_whole() -> None:
    kept = record(override=NOT_NOW, has_vehicle=True)
    assert kept.word() == PlanChanged(
        evse_id="bay", plan=TONIGHT, override=NOT_NOW, changed_at=NOON
    )


@pytest.mark.parametrize(
    ("plan", "override", "holds"),
    [(TONIGHT, None, True), (None, NOT_NOW, True), (None, None, False)],
)
def test_a_record_holds_with_either_part(
    plan: ChargingPlan | None, override: Override | None, holds: bool
) -> None:
    assert record(plan=plan, override=override).holds is holds


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        (EvseState.A, False),
        (EvseState.B, True),
        (EvseState.C, True),
        (EvseState.D, True),
        (EvseState.E, None),
        (EvseState.F, None),
        (None, None),
    ],
)
def test_only_clear_states_tell_of_a_vehicle(state: EvseState | None, seen: bool | None) -> None:
    assert vehicle_seen(observed(state)) is seen
    assert vehicle_seen(observed(state, online=False)) is None


def test_a_vehicle_that_was_there_takes_plan_and_override_along() -> None:
    kept = record(override=NOT_NOW, has_vehicle=True)
    assert after(kept, False) == PlanRecord(evse_id="bay", changed_at=NOON + SECOND)


def test_a_plan_without_a_vehicle_waits_for_the_next_one() -> None:
    kept = record()
    assert after(kept, False) == kept
    assert after(kept, True) == replace(kept, has_vehicle=True)
    assert after(kept, False, True) == replace(kept, has_vehicle=True)
    assert after(kept, True, False) == PlanRecord(evse_id="bay", changed_at=NOON + SECOND)


def test_who_comes_after_the_end_gets_nothing_of_it() -> None:
    left = after(record(has_vehicle=True), False, True)
    assert left == PlanRecord(evse_id="bay", has_vehicle=True, changed_at=NOON + SECOND)


def test_that_nothing_holds_is_not_told_anew_when_the_vehicle_leaves() -> None:
    lifted = record(plan=None, has_vehicle=True)
    assert after(lifted, False) == replace(lifted, has_vehicle=False)


def test_an_end_never_looks_older_than_what_it_ends() -> None:
    ahead = record(has_vehicle=True, changed_at=NOON + HOUR)
    ended = after(ahead, False)
    assert ended is not None
    assert (ended.holds, ended.changed_at) == (False, NOON + HOUR)


def test_that_nothing_holds_is_kept_for_ten_minutes() -> None:
    lifted = record(plan=None)
    assert after(lifted, now=NOON + LIFTED_IS_TOLD - SECOND) == lifted
    assert after(lifted, now=NOON + LIFTED_IS_TOLD) is None


def test_what_holds_outlasts_its_site_by_ten_minutes_only() -> None:
    kept = record()
    for later, left in ((LIFTED_IS_TOLD - SECOND, kept), (LIFTED_IS_TOLD, None)):
        assert revised(kept, (), NOON + later, is_configured=False) == left
        assert revised(kept, (), NOON + later, is_configured=True) == kept


@pytest.mark.parametrize(
    ("plan", "over_at"),
    [
        (ChargingPlan(ends_at=NOON + HOUR), NOON + HOUR),
        (ChargingPlan(departs_at=NOON + HOUR), NOON + HOUR),
        (ChargingPlan(ends_at=NOON + HOUR, departs_at=NOON + 99 * HOUR), NOON + HOUR),
        (ChargingPlan(ends_at=NOON + 2 * HOUR, departs_at=NOON + HOUR), NOON + 2 * HOUR),
    ],
)
def test_a_plan_that_nobody_came_for_is_forgotten_a_day_after_its_end(
    plan: ChargingPlan, over_at: datetime
) -> None:
    kept = record(plan=plan, override=NOT_NOW)
    last = over_at + NOBODY_CAME
    assert after(kept, now=last) == kept
    forgotten = replace(kept, plan=None, changed_at=last + SECOND)
    assert after(kept, now=last + SECOND) == forgotten
    assert after(kept, True, now=last + SECOND) == replace(kept, has_vehicle=True)


def test_without_an_end_a_plan_waits_as_long_as_it_takes() -> None:
    kept = record(plan=ChargingPlan(starts_at=NOON, energy_wh=1))
    assert after(kept, now=NOON + timedelta(days=300)) == kept


@pytest.mark.parametrize(
    ("seen", "has_vehicle", "then"),
    [
        ((), True, (True,)),
        ((), False, (False,)),
        ((True,), True, (True,)),
        ((True,), False, (True, False)),
        ((False,), True, (False, True)),
        ((False, True), False, (True, False)),
        ((True, False), True, (True, False)),
    ],
)
def test_what_was_seen_is_noted_in_short(seen: Seen, has_vehicle: bool, then: Seen) -> None:
    assert noted(seen, has_vehicle) == then


@pytest.mark.parametrize("has_vehicle", [True, False])
@pytest.mark.parametrize("everything", list(product([True, False], repeat=4)))
def test_the_short_note_ends_a_plan_as_every_observation_by_itself(
    everything: Seen, has_vehicle: bool
) -> None:
    kept = record(has_vehicle=has_vehicle)
    in_full, in_short = after(kept, *everything), after(kept, *joined((), everything))
    assert in_full is not None
    assert in_short is not None
    assert (in_full.holds, in_full.changed_at) == (in_short.holds, in_short.changed_at)
    assert not in_full.holds or in_full == in_short


def test_two_series_become_one() -> None:
    assert joined((True,), (False, True)) == (True, False)
    assert joined((), ()) == ()


@pytest.mark.parametrize(
    "plan",
    [
        TONIGHT,
        ChargingPlan(energy_wh=500_000),
        ChargingPlan(starts_at=NOON - HOUR),
        ChargingPlan(starts_at=NOON + HOUR, ends_at=NOON + 2 * HOUR),
        ChargingPlan(ends_at=NOON + SECOND),
        ChargingPlan(starts_at=NOON - HOUR, departs_at=NOON + FARTHEST),
        ChargingPlan(ends_at=NOON + 2 * HOUR, departs_at=NOON + HOUR),
    ],
)
def test_a_plan_that_makes_sense_is_taken(plan: ChargingPlan) -> None:
    assert plan_problems(plan, NOON) == []


CENTURY = NOON.replace(year=2126)
NEXT_DAY_IN_THE_EAST = datetime(1, 1, 1, tzinfo=timezone(12 * HOUR))
"""Has no equal in UTC."""


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        (ChargingPlan(), [("", "use DELETE")]),
        (ChargingPlan(energy_wh=0), [("energy_kwh", "more than 0 and at most 500")]),
        (ChargingPlan(energy_wh=500_001), [("energy_kwh", "more than 0 and at most 500")]),
        (ChargingPlan(ends_at=NOON), [("ends_at", "2026-03-01T12:00:00+00:00")]),
        (ChargingPlan(departs_at=NOON - HOUR), [("departs_at", "give a later one or none")]),
        (ChargingPlan(starts_at=CENTURY), [("starts_at", "look at the year")]),
        (ChargingPlan(departs_at=NEXT_DAY_IN_THE_EAST), [("departs_at", "look at the year")]),
        (
            ChargingPlan(
                starts_at=NOON + HOUR, ends_at=NOON + HOUR, departs_at=NOON + HOUR - SECOND
            ),
            [("ends_at", "after starts_at"), ("departs_at", "after starts_at")],
        ),
        (
            ChargingPlan(energy_wh=-1, ends_at=NOON - HOUR),
            [("energy_kwh", "more than 0"), ("ends_at", "over")],
        ),
    ],
)
def test_a_plan_that_makes_no_sense_is_told_what_to_do(
    plan: ChargingPlan, found: list[tuple[str, str]]
) -> None:
    problems = plan_problems(plan, NOON)
    assert [problem.path for problem in problems] == [path for path, _ in found]
    for problem, (_, words) in zip(problems, found, strict=True):
        assert words in problem.message


@pytest.mark.parametrize(
    "override",
    [
        Override(charge=True),
        Override(charge=False),
        Override(charge=True, limit_a=6),
        Override(charge=True, limit_a=16),
    ],
)
def test_an_override_within_bounds_is_taken(override: Override) -> None:
    assert override_problems(override, EVSE) == []


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (Override(charge=True, limit_a=5.9), "from min_a 6 to max_a 16 of EVSE 'bay'"),
        (Override(charge=True, limit_a=16.1), "from min_a 6 to max_a 16 of EVSE 'bay'"),
        (Override(charge=False, limit_a=10), "with charge false nothing flows"),
    ],
)
def test_an_override_out_of_bounds_is_told_the_bounds(override: Override, words: str) -> None:
    (problem,) = override_problems(override, EVSE)
    assert problem.path == "limit_a"
    assert words in problem.message
