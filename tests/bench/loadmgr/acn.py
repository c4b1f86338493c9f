"""Parkade's sharing in ACN-Sim, beside the algorithms that acnportal brings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contenders import ROOT
from tests.bench.goal import Goal, lines
from tests.bench.loadmgr.acn_runs import HARNESS, REQUIREMENTS, Row, Runs, installed
from tests.bench.loadmgr.acn_tables import OURS, RIVALS, SOURCE, TABLES, Table
from tests.bench.markdown import table as markdown
from tests.bench.renewal import say

OWN_PLUGIN = f"{ROOT / 'tests' / 'bench' / 'loadmgr' / 'acn_adapter.py'}:allocators"
SAME_PERCENT = 0.0005
"""The harness rounds to three digits. Who is level at the ceiling is not below."""
SAME_JAIN = 0.00005
NOTE = f"""
ACN-Sim ({REQUIREMENTS[0]}) simulates every session in steps of five minutes, and asks the allocator
at each. Cells are *energy delivered, in per cent of what was asked for / Jain's index of the
sessions' delivered fractions*. Published is the best column of {SOURCE}.
Parkade shares by deadline with `plans_ahead: true`, which is off by default (ADR 14); without a
plan it stands below. EDF, LLF, FCFS and RR1A (round robin by 1 A) are those of acnportal, run here
with the same harness.
Where nobody can deliver more, being level counts as met.
"""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One capacity: our run, those of the rivals, and the best that was published."""

    table: Table
    capacity: int
    ours: Row
    rivals: Sequence[Row]

    @property
    def reaches_published(self) -> bool:
        """Share and Jain are not below the best column."""
        best = self.table.best[self.capacity]
        return best.is_reached(self.ours["delivered_pct"], self.ours["jain_fraction"])

    @property
    def delivers_most(self) -> bool:
        """No rival delivers more."""
        most = max(row["delivered_pct"] for row in self.rivals)
        return bool(self.ours["delivered_pct"] >= most - SAME_PERCENT)

    @property
    def is_fairest(self) -> bool:
        """No rival has a higher index of Jain."""
        most = max(row["jain_fraction"] for row in self.rivals)
        return bool(self.ours["jain_fraction"] >= most - SAME_JAIN)

    @property
    def leaves_nobody(self) -> bool:
        """Every session got something."""
        return bool(self.ours["min_fraction"] > 0)


@dataclass(frozen=True, kw_only=True)
class Result:
    """A table, measured."""

    name: str
    table: Table
    lines: Sequence[Line]
    others: Sequence[Row]
    """Further allocators of the plug-in."""


def part(
    harness_folder: Path,
    *,
    plugin: str = OWN_PLUGIN,
    tables: Sequence[str] = tuple(TABLES),
    python: Path | None = None,
) -> str:
    """Return this part of the page; without the harness it says so and measures nothing."""
    harness = harness_folder / HARNESS
    if not harness.is_file():
        say(f"  skipped: {harness} is not there (PARKADE_ACN_HARNESS or --acn-harness names it)")
        return skipped()
    return section(measure(Runs(harness, installed(python)), plugin, tables))


def skipped() -> str:
    """Return the part of a machine that has no harness."""
    return (
        f"## ACN-Sim\n\nSkipped: the harness `{HARNESS}` was not there. "
        "`PARKADE_ACN_HARNESS` or `--acn-harness` names its folder.\n"
    )


def measure(runs: Runs, plugin: str, tables: Sequence[str] = tuple(TABLES)) -> list[Result]:
    """Run ours, then the rivals."""
    ours = {}
    for name in tables:
        say(f"  table {name} ...")
        ours[name] = runs.ours(TABLES[name], plugin, OURS)
    rivals = runs.rivals([TABLES[name] for name in tables])
    return [_result(name, ours[name], rivals) for name in tables]


def _result(name: str, ours: list[Row], rivals: list[Row]) -> Result:
    table = TABLES[name]
    at = {row["cap"]: row for row in ours if row["alg"] == OURS}
    return Result(
        name=name,
        table=table,
        lines=[
            Line(
                table=table,
                capacity=capacity,
                ours=at[capacity],
                rivals=[row for row in rivals if _is_of(row, table, capacity)],
            )
            for capacity in table.best
        ],
        others=[row for row in ours if row["alg"] != OURS],
    )


def _is_of(row: Row, table: Table, capacity: int) -> bool:
    wanted = (table.scenario, capacity, table.departure_error_h)
    return (row["scenario"], row["cap"], row["dep_noise_h"]) == wanted


def section(results: Sequence[Result]) -> str:
    """Return the figures as Markdown."""
    goals = [goal for result in results for goal in _goals(result)]
    return "\n".join(["## ACN-Sim\n", lines(goals), NOTE, *(_table(one) for one in results)])


def _goals(result: Result) -> list[Goal]:
    if result.table.asks_nobody_at_zero:
        worst = min(line.ours["min_fraction"] for line in result.lines)
        return [
            Goal(
                wanted="ACN-Sim F: with departures wrong by two hours, no session gets nothing",
                measured=f"the worst session gets {worst:.1%}",
                is_met=all(line.leaves_nobody for line in result.lines),
            )
        ]
    claims = {
        "not below the best published column, share and Jain": "reaches_published",
        "no less energy delivered than EDF, LLF, FCFS and RR1A": "delivers_most",
        "Jain not below that of EDF, LLF, FCFS and RR1A": "is_fairest",
    }
    return [_goal(result, claim, holds) for claim, holds in claims.items()]


def _goal(result: Result, claim: str, holds: str) -> Goal:
    missed = [line.capacity for line in result.lines if not getattr(line, holds)]
    unit = result.table.unit
    told = f"{len(result.lines) - len(missed)} of {len(result.lines)} capacities"
    if missed:
        told += f", not at {', '.join(f'{capacity} {unit}' for capacity in missed)}"
    return Goal(wanted=f"ACN-Sim {result.name}: {claim}", measured=told, is_met=not missed)


def _table(result: Result) -> str:
    head = [result.table.unit, OURS, *RIVALS, "Published best", "Published", "Rivals' share"]
    head += ["Rivals' Jain", "Worst session", "Overload %", "Starts", "ms mean", "ms p99"]
    rows = [_row(line) for line in result.lines]
    parts = [f"### {result.name}. {result.table.title}\n", markdown(head, rows)]
    if result.others:
        own = [(f"{row['cap']:g}", row["alg"], *_figures(row)) for row in result.others]
        head = [result.table.unit, "Other allocator", "Share / Jain", *head[-5:]]
        parts += ["Other settings of the same allocator:\n", markdown(head, own)]
    return "\n".join(parts)


def _row(line: Line) -> list[str]:
    by_name = {row["alg"]: row for row in line.rivals}
    share, *rest = _figures(line.ours)
    return [
        str(line.capacity),
        f"**{share}**",
        *(_reached(by_name[name]) for name in RIVALS),
        str(line.table.best[line.capacity]),
        _mark(line.reaches_published),
        _mark(line.delivers_most),
        _mark(line.is_fairest),
        *rest,
    ]


def _figures(row: Row) -> list[str]:
    return [
        _reached(row),
        f"{row['min_fraction']:.2f}",
        f"{row['max_overload_pct']:.2f}",
        f"{row['starts_per_session']:.1f}",
        f"{row['solve_ms_mean']:.2f}",
        f"{row['solve_ms_p99']:.2f}",
    ]


def _reached(row: Row) -> str:
    return f"{row['delivered_pct']:.2f} / {row['jain_fraction']:.4f}"


def _mark(is_met: bool) -> str:
    return "met" if is_met else "**not met**"
