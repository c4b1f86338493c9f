"""The safety simulation of the benchmark, small: its garage is fair, and its verdict holds."""

from functools import cache

import pytest

from loadmgr.dry_run.visits import check_visits
from tests.bench.closed_loop import CASES, MAIN_A, SEEDS, Case, Row, garage, measure, page_table

LAG, JUMPS = CASES[:2]
CLAMP, FAIR, OURS, GUARDED = (
    "clamp to (limit - measured)",
    "fair share, no reservation",
    "load management",
    "load management, guard 99.9 %",
)


@cache
def rows() -> dict[tuple[str, str], Row]:
    """Ten minutes with twelve EVSEs."""
    found = measure(seeds=(1,), hours=1 / 6, evses=12, cases=(LAG, JUMPS))
    return {(row.case, row.contestant): row for row in found}


def test_lag_alone_never_overloads_a_fuse() -> None:
    ours = rows()[LAG.name, OURS]
    assert (ours.overload_s, ours.worst_share, ours.overloads) == (0.0, 0.0, [])


@pytest.mark.parametrize(("case", "contestant"), [(LAG, CLAMP), (JUMPS, CLAMP), (JUMPS, FAIR)])
def test_who_reserves_nothing_overloads_it(case: Case, contestant: str) -> None:
    row = rows()[case.name, contestant]
    assert row.overload_s > 0
    assert row.overloads


def test_reservation_costs_little_energy() -> None:
    assert rows()[LAG.name, OURS].kwh > 0.93 * rows()[LAG.name, FAIR].kwh


def test_jumps_of_other_consumers_cost_less_overload_and_with_a_guard_less_than_half() -> None:
    fair = rows()[JUMPS.name, FAIR].overload_s
    assert rows()[JUMPS.name, OURS].overload_s < fair
    assert rows()[JUMPS.name, GUARDED].overload_s < fair / 2


def test_a_guard_buys_safety_with_energy() -> None:
    ours, guarded = rows()[JUMPS.name, OURS], rows()[JUMPS.name, GUARDED]
    assert guarded.guard_a > 0
    assert guarded.overload_s <= ours.overload_s
    assert guarded.kwh < ours.kwh


def test_a_guard_is_what_the_meter_rises_by_in_all_but_some_seconds() -> None:
    one = garage(JUMPS, 1, hours=1.0)
    wide, narrow = one.guard_a(0.999), one.guard_a(0.995)
    assert sum(rise_a > wide for rise_a in one.rises_a) <= 4
    assert 4 < sum(rise_a > narrow for rise_a in one.rises_a) <= 18
    assert one.guard_a(None) == garage(LAG, 1, hours=1.0).guard_a(0.999) == 0.0


def test_the_same_seed_gives_the_same_garage() -> None:
    assert garage(JUMPS, 3, hours=0.1) == garage(JUMPS, 3, hours=0.1)
    assert garage(JUMPS, 3, hours=0.1).visits != garage(JUMPS, 4, hours=0.1).visits


@pytest.mark.parametrize("seed", SEEDS)
def test_a_garage_is_as_the_facts_say(seed: int) -> None:
    one = garage(Case(name="all", jumps_per_h=60, deaf=0.03), seed, hours=1.0)
    check_visits(one.visits)
    manners = one.conditions.manners.values()
    slow = [manner.lag_s for manner in manners if manner.lag_s >= 8]
    assert 0.05 < len(slow) / len(manners) < 0.3
    assert max(slow) <= 25
    below = [v for v in one.visits if v.most_a not in {16.0, 32.0}]
    assert 0.2 < len(below) / len(one.visits) < 0.4
    steps = one.conditions.base_load.steps["main"]
    assert len(steps) == 61
    assert max(step.drawn_a[0] for step in steps) <= 0.15 * MAIN_A


def test_the_page_has_a_line_for_each_contestant_and_case() -> None:
    lines = page_table(list(rows().values())).splitlines()
    assert len(lines) == 2 + 3 + 5
