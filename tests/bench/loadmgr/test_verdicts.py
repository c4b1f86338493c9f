"""What the page of load management says of figures, good and bad."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bench.closed_loop import CASES
from tests.bench.closed_loop import Row as Driven
from tests.bench.loadmgr import acn, decision, fuse, latency
from tests.bench.loadmgr.__main__ import _names
from tests.bench.loadmgr.acn_runs import Row
from tests.bench.loadmgr.acn_tables import OURS, RIVALS, TABLES, Best
from tests.bench.loadmgr.garage import BASE_A, SteadyGarage
from tests.bench.loadmgr.rivals import Problem, linear_program, problem_of, round_robin

TABLE_D = TABLES["D"]


def row(algorithm: str, capacity: int, *, delivered: float, jain: float, **more: Any) -> Row:
    return {
        "scenario": TABLE_D.scenario,
        "cap": float(capacity),
        "alg": algorithm,
        "dep_noise_h": 0.0,
        "delivered_pct": delivered,
        "jain_fraction": jain,
        "min_fraction": 0.2,
        "max_overload_pct": 0.0,
        "starts_per_session": 1.0,
        "solve_ms_mean": 1.0,
        "solve_ms_p99": 2.0,
    } | more


class FixedRuns:
    """A harness whose results are known."""

    def __init__(self, ours: list[Row], rivals: list[Row]) -> None:
        self._ours, self._rivals = ours, rivals

    def ours(self, *_: object) -> list[Row]:
        return self._ours

    def rivals(self, _: object) -> list[Row]:
        return self._rivals


def page_of(*, ours: tuple[float, float], rivals: tuple[float, float]) -> str:
    """The part for table D, where all capacities gave the same."""
    own = [row(OURS, cap, delivered=ours[0], jain=ours[1]) for cap in TABLE_D.best]
    others = [
        row(name, cap, delivered=rivals[0], jain=rivals[1])
        for cap in TABLE_D.best
        for name in RIVALS
    ]
    runs: Any = FixedRuns(own, others)
    return acn.section(acn.measure(runs, "any.py:any", ["D"]))


def test_figures_that_nobody_beats_meet_every_goal() -> None:
    assert "**Not met**" not in page_of(ours=(99.9, 1.0), rivals=(70.0, 0.9))


def test_being_level_with_the_best_rival_is_not_below() -> None:
    assert "**Not met**" not in page_of(ours=(99.9, 1.0), rivals=(99.9, 1.0))


@pytest.mark.parametrize("rivals", [(99.95, 0.9), (70.0, 1.0)], ids=["share", "Jain"])
def test_one_rival_that_is_better_is_told(rivals: tuple[float, float]) -> None:
    page = page_of(ours=(99.9, 0.9999), rivals=rivals)
    assert page.count("**Not met**") == 1


def test_figures_below_the_published_ones_are_told_with_their_capacities() -> None:
    page = page_of(ours=(89.1, 0.97), rivals=(60.0, 0.5))
    assert "2 of 4 capacities, not at 40 kW, 50 kW. **Not met**" in page


@pytest.mark.parametrize(
    ("delivered", "jain", "is_reached"),
    [(76.825, 0.8695, True), (76.824, 0.9, False), (80.0, 0.8694, False)],
)
def test_published_figures_are_rounded(delivered: float, jain: float, *, is_reached: bool) -> None:
    assert TABLES["A"].best[20].is_reached(delivered, jain) is is_reached


def test_a_best_column_without_jain_asks_for_the_share_alone() -> None:
    assert Best(column="x", delivered=50.5).is_reached(50.5, 0.1)


def test_a_session_that_gets_nothing_is_told() -> None:
    table = TABLES["F"]
    ours = [
        row(OURS, cap, delivered=99.0, jain=0.9, min_fraction=0.0, dep_noise_h=2.0)
        for cap in table.best
    ]
    rivals = [
        row(name, cap, delivered=1.0, jain=0.1, dep_noise_h=2.0)
        for cap in table.best
        for name in RIVALS
    ]
    runs: Any = FixedRuns(ours, rivals)
    assert "the worst session gets 0.0%. **Not met**" in acn.section(
        acn.measure(runs, "any.py:any", ["F"])
    )


def test_without_the_harness_the_part_says_so(tmp_path: Path) -> None:
    assert "Skipped" in acn.part(tmp_path)


def test_an_unknown_part_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="there are decision, acn"):
        _names("speed", known=("decision", "acn"))


def speed(evses: int, share: float, median_ms: float) -> dict[str, Any]:
    rival = {"median_ms": 1.0, "phase_amps": 1.0}
    return {
        "evses": evses,
        "share": share,
        "median_ms": median_ms,
        "p95_ms": median_ms,
        "prepared_ms": 1.0,
        "told_ms": 1.0,
        "compile_ms": 1.0,
        "setpoints": 1.0,
        "facts": 10.0,
        "heard_us": 10.0,
        "heard_by_kind_us": {"EvseObserved": 10.0},
        "phase_amps": 1.0,
        "linear_program": rival,
        "round_robin": rival,
    }


def decisions(times_ms: tuple[float, float, float], *, resident_mb: float) -> decision.Decisions:
    return decision.Decisions(
        speeds=[
            speed(evses, share, ms)
            for share in decision.SHARES
            for evses, ms in zip(decision.SIZES, times_ms, strict=True)
        ],
        imports_mb=40.0,
        site_mb=45.0,
        resident_mb=resident_mb,
        peak_mb=resident_mb,
    )


def test_fast_and_small_decisions_meet_their_goals() -> None:
    page = decision.section(decisions((1.0, 4.0, 40.0), resident_mb=55))
    assert page.count("**Met**") == 5
    assert "n^1.00" in page


def test_slow_growing_and_large_decisions_do_not() -> None:
    page = decision.section(decisions((1.6, 6.0, 90.0), resident_mb=61))
    assert page.count("**Not met**") == 5


def test_one_late_setpoint_in_fifty_misses_the_goal_of_latency() -> None:
    each = [10.0] * 98 + [60.0] * 2
    reaction = latency.Reaction(bus="b", evses=1_000, each_ms=each, first_ms=[10], last_ms=[60])
    assert "**Not met**" in latency.section([reaction])
    on_time = latency.Reaction(bus="b", evses=1_000, each_ms=[10.0], first_ms=[10], last_ms=[10])
    assert "**Met**" in latency.section([on_time])


def driven(*, calm_s: float, overload_s: float, kwh: float) -> list[Driven]:
    """What both did in each case; the first one is the calm one. Without reservation: 195 kWh."""
    fair = [
        Driven(case=case.name, contestant="fair share, no reservation", overload_s=99.0, kwh=195.0)
        for case in CASES
    ]
    return fair + [
        Driven(
            case=case.name,
            contestant="load management",
            overload_s=overload_s if case.jumps_per_h else calm_s,
            kwh=kwh,
        )
        for case in CASES
    ]


def test_a_fuse_that_is_spared_meets_every_goal() -> None:
    page = fuse.section(driven(calm_s=0.0, overload_s=20.0, kwh=190.0))
    assert page.count("**Met**") == len(CASES)


@pytest.mark.parametrize(
    ("rows", "missed"),
    [
        pytest.param(driven(calm_s=0.1, overload_s=20.0, kwh=190.0), 1, id="calm"),
        pytest.param(driven(calm_s=0.0, overload_s=31.0, kwh=190.0), len(CASES) - 1, id="steps"),
        pytest.param(driven(calm_s=0.0, overload_s=20.0, kwh=100.0), len(CASES) - 1, id="energy"),
    ],
)
def test_a_fuse_that_suffers_or_starves_is_told(rows: list[Driven], missed: int) -> None:
    assert fuse.section(rows).count("**Not met**") == missed


def test_nothing_that_shares_current_gives_more_than_the_linear_program() -> None:
    problem = problem_of(SteadyGarage(100, share=0.45))
    best, turns = linear_program(problem), round_robin(problem)
    assert 0.9 * best.phase_amps < turns.phase_amps <= best.phase_amps + 1e-6


def test_turns_of_one_ampere_fill_the_fuse_evenly() -> None:
    problem = Problem(
        room_a=[21.0], wants_a=[16.0, 16.0, 4.0], rows_of=[[0], [0], [0]], phases=[1, 1, 1]
    )
    assert round_robin(problem).phase_amps == 20.0 + 1.0


def test_a_garage_carries_the_share_that_it_was_built_for() -> None:
    garage = SteadyGarage(1_000, share=0.12)
    wanted = np.zeros(3)
    for box in garage.boxes:
        for phase in box.rotation[: box.car.phases]:
            wanted[int(phase[1]) - 1] += box.car.wants_a
    main = next(c for c in garage.site.circuits if c.parent is None)
    assert pytest.approx(0.12 * wanted.max() + BASE_A) == main.limit_a.L1
