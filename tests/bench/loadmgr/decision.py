"""What a decision costs: time, memory and how both grow, beside what a solver needs."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.goal import Goal, lines
from tests.bench.loadmgr.program import told_by
from tests.bench.markdown import table

SIZES = (100, 1_000, 10_000)
SHARES = (0.45, 0.12)
GOALS_MS = {100: 1.5, 1_000: 5.0, 10_000: 50.0}
SOLVER_MS = {100: 3.0, 1_000: 8.4, 10_000: 76.0}
"""What one linear program of that size took HiGHS where the goals were measured (facts 2.4)."""
GOAL_MB = 60.0
LINEAR = 1.1
"""An exponent up to here counts as linear: doubling costs at most 2.15 times as much."""
WITHIN_S = 1_200.0
NOTE = """
A full decision is `loadmgr.domain.plan.decide`: from what is known to setpoints with their reasons.
A garage of main fuse > floors > strips of 10 is steady, 80 % of its EVSEs have a car, 30 % of the
cars use one phase, and the fuses carry the given share of what all want. Before each decision a
second of facts is heard: a tenth of the boxes, every meter, and the answers to setpoints. *Prepare*
is what the controller does after hearing them, before it is time to decide. *Tell* is
`OffersDecided`, made after the setpoints are on their way. Each garage has a process of its own.
"""


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """All garages, and the memory of the largest."""

    speeds: Sequence[dict[str, Any]]
    """What ``tests.bench.loadmgr.speed`` told of each."""
    imports_mb: float
    """Resident memory of a process that imports numpy and the contracts, and does nothing."""
    site_mb: float
    """The same when it has the site of the largest garage and its simulated boxes."""
    resident_mb: float
    """The same after some decisions."""
    peak_mb: float

    def exponent(self, share: float) -> float:
        """By what power of the size the time grows from 1,000 to 10,000 EVSEs."""
        by_size = {one["evses"]: one["median_ms"] for one in self.speeds if one["share"] == share}
        return math.log10(by_size[10_000] / by_size[1_000])


def measure() -> Decisions:
    """Measure every garage, one after another."""
    speeds = [
        json.loads(told_by("speed", str(evses), str(share), within_s=WITHIN_S)[-1])
        for share in SHARES
        for evses in SIZES
    ]
    imports = json.loads(told_by("footprint", "0", within_s=WITHIN_S)[-1])
    largest = told_by("footprint", str(max(SIZES)), within_s=WITHIN_S)
    before, after = (json.loads(line) for line in largest)
    return Decisions(
        speeds=speeds,
        imports_mb=imports["resident_mb"],
        site_mb=before["resident_mb"],
        resident_mb=after["resident_mb"],
        peak_mb=after["peak_mb"],
    )


def section(measured: Decisions) -> str:
    """Return the figures as Markdown."""
    goals = [_speed_goal(measured, evses) for evses in SIZES]
    goals += [_growth_goal(measured), _memory_goal(measured)]
    return "\n".join(
        [
            "## A decision\n",
            lines(goals),
            NOTE,
            _times(measured.speeds),
            "### Hearing facts\n",
            "Microseconds of `State.hear` for one fact of each kind.\n",
            _hearing(measured.speeds),
            "### Beside a solver\n",
            "The same fuses and cars, without reservation, minimum currents, turns or reasons: one "
            "linear program (HiGHS, most phase-amps), and 1 A after the other in plain Python. "
            "Given is the sum of ampere and phases; Parkade keeps what the last 30 s of the base "
            "load need.\n",
            _beside(measured.speeds),
            f"### Memory with {max(SIZES):,} EVSEs\n",
            _memory(measured),
        ]
    )


def _times(speeds: Sequence[dict[str, Any]]) -> str:
    head = ["EVSEs", "Fuses carry", "Median ms", "p95 ms", "Prepare ms", "Tell ms", "Compile ms"]
    head += ["Facts between", "Setpoints"]
    rows = [
        (
            f"{one['evses']:,}",
            f"{one['share']:.0%}",
            f"{one['median_ms']:.2f}",
            f"{one['p95_ms']:.2f}",
            f"{one['prepared_ms']:.2f}",
            f"{one['told_ms']:.2f}",
            f"{one['compile_ms']:.1f}",
            f"{one['facts']:,.0f}",
            f"{one['setpoints']:,.1f}",
        )
        for one in speeds
    ]
    return table(head, rows)


def _hearing(speeds: Sequence[dict[str, Any]]) -> str:
    kinds = sorted({kind for one in speeds for kind in one["heard_by_kind_us"]})
    rows = [
        (
            f"{one['evses']:,}",
            f"{one['share']:.0%}",
            f"{one['heard_us']:.0f}",
            *(f"{one['heard_by_kind_us'].get(kind, math.nan):.0f}" for kind in kinds),
            f"{one['heard_us'] * one['facts'] / 1000:.1f}",
        )
        for one in speeds
    ]
    return table(["EVSEs", "Fuses carry", "Mean", *kinds, "ms for a second of facts"], rows)


def _beside(speeds: Sequence[dict[str, Any]]) -> str:
    rows = [
        (
            f"{one['evses']:,}",
            f"{one['share']:.0%}",
            f"{one['median_ms']:.1f}",
            f"{one['linear_program']['median_ms']:.1f}",
            f"{one['round_robin']['median_ms']:.1f}",
            f"{one['phase_amps']:,.0f}",
            f"{one['linear_program']['phase_amps']:,.0f}",
            f"{one['round_robin']['phase_amps']:,.0f}",
        )
        for one in speeds
    ]
    head = ["EVSEs", "Fuses carry", "Parkade ms", "HiGHS ms", "1 A in turn ms"]
    return table([*head, "Parkade gives", "HiGHS gives", "1 A in turn gives"], rows)


def _memory(measured: Decisions) -> str:
    rows = [
        ("numpy and contracts imported", f"{measured.imports_mb:.1f}"),
        ("... with the site and the simulated boxes", f"{measured.site_mb:.1f}"),
        ("... with load management after some decisions", f"{measured.resident_mb:.1f}"),
        ("highest mark, while all boxes report at once", f"{measured.peak_mb:.1f}"),
    ]
    return table(["Resident memory of a process", "MB"], rows)


def _speed_goal(measured: Decisions, evses: int) -> Goal:
    ours = [one for one in measured.speeds if one["evses"] == evses]
    goal_ms = GOALS_MS[evses]
    told = [
        f"{one['median_ms']:.2f} ms (p95 {one['p95_ms']:.2f}) at {one['share']:.0%}" for one in ours
    ]
    solver_ms = ", ".join(f"{one['linear_program']['median_ms']:.1f}" for one in ours)
    beside = (
        f"one program of HiGHS {solver_ms} ms here, {SOLVER_MS[evses]:g} where the goal is from"
    )
    return Goal(
        wanted=f"a full decision for {evses:,} EVSEs in at most {goal_ms:g} ms (median)",
        measured=f"{', '.join(told)}; {beside}",
        is_met=bool(ours) and all(one["median_ms"] <= goal_ms for one in ours),
    )


def _growth_goal(measured: Decisions) -> Goal:
    exponents = {share: measured.exponent(share) for share in SHARES}
    told = [f"n^{exponent:.2f} at {share:.0%}" for share, exponent in exponents.items()]
    return Goal(
        wanted="the time of a decision grows linearly from 1,000 to 10,000 EVSEs",
        measured=", ".join(told),
        is_met=all(exponent <= LINEAR for exponent in exponents.values()),
    )


def _memory_goal(measured: Decisions) -> Goal:
    added_mb = measured.resident_mb - measured.imports_mb
    return Goal(
        wanted=f"a process with {max(SIZES):,} EVSEs below {GOAL_MB:.0f} MB",
        measured=f"{measured.resident_mb:.0f} MB resident, {measured.imports_mb:.0f} MB of them "
        f"imports alone; site, simulated boxes and load management add {added_mb:.0f} MB",
        is_met=measured.resident_mb < GOAL_MB,
    )
