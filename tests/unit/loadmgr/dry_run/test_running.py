"""The front door of dry runs, and the figures of its report."""

from datetime import UTC, datetime

import pytest

from loadmgr.dry_run.base_load import BaseLoad, LoadStep
from loadmgr.dry_run.report import jain
from loadmgr.dry_run.running import run
from loadmgr.dry_run.visits import Visit, simulated_visits
from shared.contracts.charging import LimitChanged, LimitScope
from shared.contracts.dry_run import DryRunReport
from shared.contracts.site import Circuit, Evse, Mode, SiteConfig, Station
from shared.errors import ConfigError
from shared.units import PhaseAmps

BEGINS = datetime(2026, 3, 1, 23, tzinfo=UTC)
HOUR = 1 / 24


def site(*evses: str, limit_a: float = 16.0, **more: object) -> SiteConfig:
    return SiteConfig(
        circuits=(Circuit(id="main", limit_a=limit_a),),
        stations=tuple(Station(id=f"s-{evse}", protocol="ocpp") for evse in evses),
        evses=tuple(
            Evse.model_validate(
                {"id": evse, "station": f"s-{evse}", "circuit": "main", "max_a": 16.0} | more
            )
            for evse in evses
        ),
    )


def visit(evse_id: str, **kind: float) -> Visit:
    facts = {"arrives_s": 60.0, "leaves_s": 3_000.0, "energy_wh": 1_000.0} | kind
    return Visit(evse_id=evse_id, **facts)  # type: ignore[arg-type]


def hour(config: SiteConfig, *visits: Visit, **more: object) -> DryRunReport:
    return run(config, visits, begins=BEGINS, days=HOUR, **more)  # type: ignore[arg-type]


def test_with_enough_for_all_everybody_gets_all() -> None:
    report = hour(site("a", "b", limit_a=32.0), visit("a"), visit("b", energy_wh=3_000.0))
    assert (report.visits, report.requested_wh) == (2, 4_000.0)
    assert report.delivered_wh == pytest.approx(4_000.0)
    shares = (report.delivered_share, report.jain, report.worst_share)
    assert shares == pytest.approx((1.0, 1.0, 1.0))
    assert report.starts_per_visit == 1.0
    (peak,) = report.circuits
    assert (peak.circuit_id, peak.overload_s) == ("main", 0.0)
    assert peak.peak_a.l1 == pytest.approx(32.0)


def test_with_too_little_the_share_says_how_little() -> None:
    """Two want all of 16 A for 49 minutes: they get half each."""
    wants = [visit(name, energy_wh=20_000.0) for name in "ab"]
    report = hour(site("a", "b"), *wants, step_s=1.0)
    most_wh = 690 * 16 * (3_000 - 60) / 3_600
    assert 0.95 * most_wh < report.delivered_wh < most_wh
    assert report.delivered_share == pytest.approx(report.delivered_wh / 40_000)
    assert report.jain > 0.999
    assert report.worst_share == pytest.approx(report.delivered_share, rel=0.02)


def test_a_vehicle_without_an_evse_got_nothing() -> None:
    report = hour(site("a"), visit("a"), visit("gone"))
    assert (report.visits, report.delivered_share, report.worst_share) == (2, 0.5, 0.0)
    assert report.jain == pytest.approx(0.5)
    assert report.starts_per_visit == 0.5


def test_jains_index_by_hand() -> None:
    assert jain([1.0, 0.5]) == pytest.approx(1.5**2 / (2 * 1.25))
    assert jain([0.3, 0.3, 0.3]) == pytest.approx(1.0)
    assert jain([1.0, 0.0, 0.0, 0.0]) == pytest.approx(0.25)
    assert jain([]) == jain([0.0, 0.0]) == 1.0


def test_nothing_asked_is_nothing_missed() -> None:
    report = hour(site("a"))
    assert (report.visits, report.delivered_share, report.worst_share) == (0, 1.0, 1.0)
    report = hour(site("a"), visit("a", energy_wh=0.0))
    assert (report.delivered_share, report.worst_share, report.starts_per_visit) == (1.0, 1.0, 0.0)


def test_without_load_management_the_fuse_is_overloaded_and_the_report_says_so() -> None:
    wants = [visit(name, energy_wh=20_000.0) for name in "ab"]
    report = hour(site("a", "b").model_copy(update={"mode": Mode.OFF}), *wants)
    (peak,) = report.circuits
    assert peak.peak_a.l2 == pytest.approx(32.0)
    assert peak.overload_s == report.overload_s == pytest.approx(3_000 - 60)
    assert report.setpoints == 0


def test_other_consumers_count_at_the_fuse() -> None:
    load = BaseLoad(steps={"main": (LoadStep(100.0, (20.0, 1.0, 0.0)), LoadStep(160.0, (0, 0, 0)))})
    (peak,) = hour(site("a"), base_load=load).circuits
    assert (peak.peak_a.l1, peak.peak_a.l2, peak.peak_a.l3) == (20.0, 1.0, 0.0)
    assert peak.overload_s == 60.0


def test_limits_from_outside_hold_from_their_second_on() -> None:
    wants = visit("a", energy_wh=20_000.0)
    limit = LimitChanged(
        scope=LimitScope.CIRCUIT,
        target="main",
        source="rest",
        limit_a=PhaseAmps(l1=8.0, l2=8.0, l3=8.0),
        changed_at=BEGINS,
    )
    free, limited = hour(site("a"), wants), hour(site("a"), wants, limits=[(1_500.0, limit)])
    lost_wh = free.delivered_wh - limited.delivered_wh
    assert lost_wh == pytest.approx(690 * 8 * 1_500 / 3_600, rel=0.05)


def test_it_goes_on_until_the_last_vehicle_has_left() -> None:
    stays_on = visit("a", leaves_s=9_000.0, energy_wh=20_000.0)
    comes_late = visit("a", arrives_s=9_100.0, leaves_s=9_900.0)
    report = hour(site("a"), stays_on, comes_late)
    assert report.visits == 1
    assert report.delivered_share == pytest.approx(1.0)


def test_a_larger_fuse_delivers_more_and_the_same_run_twice_the_same() -> None:
    names = [f"e{number}" for number in range(6)]
    visits = [visit(name, energy_wh=9_000.0) for name in names]
    small = hour(site(*names, limit_a=20.0), *visits)
    large = hour(site(*names, limit_a=50.0), *visits)
    assert large.delivered_wh > 1.5 * small.delivered_wh
    assert small == hour(site(*names, limit_a=20.0), *visits)
    assert small.overload_s == large.overload_s == 0.0


def test_simulated_days_run_as_they_are() -> None:
    config = site("a", "b", "c", limit_a=25.0)
    visits = simulated_visits(config, begins=BEGINS, days=1)
    report = run(config, visits, begins=BEGINS, days=1, step_s=60.0)
    assert report.visits == len(visits) > 0
    assert 0.5 < report.delivered_share <= 1.0
    assert report.overload_s == 0.0


@pytest.mark.parametrize("step_s", [0.0, 0.5, 61.0, float("nan")])
def test_steps_that_prove_nothing_are_refused(step_s: float) -> None:
    with pytest.raises(ConfigError, match="1 to 60"):
        hour(site("a"), step_s=step_s)


def test_a_run_of_no_time_is_refused() -> None:
    with pytest.raises(ConfigError, match="some time"):
        run(site("a"), (), begins=BEGINS, days=0)


def test_a_begin_without_a_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="time zone"):
        run(site("a"), (), begins=datetime(2026, 3, 2))


def test_visits_that_overlap_are_refused() -> None:
    with pytest.raises(ConfigError, match="overlap"):
        hour(site("a"), visit("a"), visit("a", arrives_s=100.0))
