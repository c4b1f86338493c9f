"""Vehicles that come and go: the same for the same EVSE, one after the other."""

from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from loadmgr.dry_run.visits import Visit, check_visits, simulated_visits
from shared.contracts.site import Circuit, Evse, SiteConfig, Station
from shared.errors import ConfigError

MONDAY = datetime(2026, 3, 1, 23, tzinfo=UTC)
"""Midnight of 2 March in Berlin."""
DAY_S = 86_400.0


def site(*evses: str, max_a: float = 32.0) -> SiteConfig:
    return SiteConfig(
        circuits=(Circuit(id="main", limit_a=100),),
        stations=tuple(Station(id=f"s-{evse}", protocol="ocpp") for evse in evses),
        evses=tuple(
            Evse(id=evse, station=f"s-{evse}", circuit="main", max_a=max_a) for evse in evses
        ),
    )


MANY = [f"bay{number}" for number in range(40)]


def test_the_same_seed_gives_the_same_vehicles() -> None:
    first = simulated_visits(site(*MANY), begins=MONDAY, days=2, seed=7)
    again = simulated_visits(site(*MANY), begins=MONDAY, days=2, seed=7)
    assert first == again
    assert first != simulated_visits(site(*MANY), begins=MONDAY, days=2, seed=8)


def test_a_changed_site_keeps_the_vehicles_of_the_evses_it_still_has() -> None:
    before = simulated_visits(site(*MANY), begins=MONDAY, days=2)
    changed = simulated_visits(site(*MANY[5:], "new", max_a=16), begins=MONDAY, days=2)
    gone = set(MANY[:5])
    assert [v for v in changed if v.evse_id != "new"] == [
        v for v in before if v.evse_id not in gone
    ]


def test_a_longer_run_begins_with_the_same_vehicles() -> None:
    short = simulated_visits(site(*MANY), begins=MONDAY, days=1)
    longer = simulated_visits(site(*MANY), begins=MONDAY, days=3)
    assert [visit for visit in longer if visit.arrives_s < DAY_S] == list(short)


def test_two_vehicles_never_meet_at_an_evse() -> None:
    by_evse = defaultdict(list)
    for visit in simulated_visits(site(*MANY), begins=MONDAY, days=7):
        by_evse[visit.evse_id].append(visit)
    pairs = [pair for visits in by_evse.values() for pair in pairwise(visits)]
    assert len(pairs) > 100
    assert all(earlier.leaves_s < later.arrives_s for earlier, later in pairs)


def test_days_are_plausible() -> None:
    visits = simulated_visits(site(*MANY), begins=MONDAY, days=7)
    working = [visit for visit in visits if visit.arrives_s < 5 * DAY_S]
    assert len(working) / 5 > 1.2 * (len(visits) - len(working)) / 2
    mean_kwh = sum(visit.energy_wh for visit in visits) / len(visits) / 1_000
    assert 8 < mean_kwh < 20
    assert {visit.phases for visit in visits} == {1, 2, 3}
    assert any(visit.plan is None for visit in visits)


def test_a_vehicle_wants_no_more_than_it_can_take_in_its_stay() -> None:
    for visit in simulated_visits(site(*MANY), begins=MONDAY, days=7):
        most_wh = 230 * visit.phases * visit.most_a * (visit.leaves_s - visit.arrives_s) / 3_600
        assert 0 < visit.energy_wh <= most_wh


def test_a_plan_says_what_is_wanted_and_about_when_it_leaves() -> None:
    planned = [v for v in simulated_visits(site(*MANY), begins=MONDAY, days=7) if v.plan]
    assert planned
    for visit in planned:
        assert visit.plan is not None
        assert visit.plan.energy_wh == visit.energy_wh
        assert visit.plan.departs_at is not None
        told_s = (visit.plan.departs_at - MONDAY).total_seconds()
        assert abs(told_s - visit.leaves_s) < 2.5 * 3_600


def test_hours_are_those_of_the_site_in_summer_too() -> None:
    """The clocks go forward on 29 March: on Monday it is an hour earlier in UTC."""
    sunday = datetime(2026, 3, 28, 23, tzinfo=UTC)
    monday = datetime(2026, 3, 29, 22, tzinfo=UTC)
    one = site("bay1")
    from_sunday = [v.arrives_s for v in simulated_visits(one, begins=sunday, days=9)]
    from_monday = [v.arrives_s for v in simulated_visits(one, begins=monday, days=8)]
    assert from_sunday[-len(from_monday) :] == [at_s + 23 * 3_600 for at_s in from_monday]


def test_a_begin_without_a_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="time zone"):
        simulated_visits(site("bay1"), begins=datetime(2026, 3, 2), days=1)


def test_no_days_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        simulated_visits(site("bay1"), begins=MONDAY, days=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"leaves_s": 0.0}, "leave after"),
        ({"energy_wh": -1.0}, "energy_wh"),
        ({"most_a": 0.0}, "most_a"),
        ({"phases": 4}, "1, 2 or 3"),
    ],
)
def test_what_no_vehicle_can_do_is_refused(wrong: dict[str, float], message: str) -> None:
    visit = {"evse_id": "bay1", "arrives_s": 0.0, "leaves_s": 60.0, "energy_wh": 1_000.0}
    with pytest.raises(ConfigError, match=message):
        Visit(**(visit | wrong))  # type: ignore[arg-type]


def test_visits_that_overlap_are_refused_and_those_that_touch_are_not() -> None:
    first = Visit(evse_id="bay1", arrives_s=0, leaves_s=60, energy_wh=1_000)
    touches = Visit(evse_id="bay1", arrives_s=60, leaves_s=120, energy_wh=1_000)
    overlaps = Visit(evse_id="bay1", arrives_s=59, leaves_s=120, energy_wh=1_000)
    beside = Visit(evse_id="bay2", arrives_s=30, leaves_s=90, energy_wh=1_000)
    assert check_visits([touches, beside, first]) == (first, beside, touches)
    with pytest.raises(ConfigError, match="bay1"):
        check_visits([overlaps, first])
