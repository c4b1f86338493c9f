"""``tests.bench.closed_loop`` as a part of the page, beside published figures."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.closed_loop import BEGINS, CASES, EVSES, MAIN_A, SEEDS, Case, Row, page_table
from tests.bench.goal import Goal, lines

OURS = "load management"
"""How the contestants of ours begin."""
NOTE = f"""
A virtual garage of {EVSES} EVSEs below {MAIN_A:.0f} A, one hour from {BEGINS:%H:%M}, the mean of
{len(SEEDS)} seeds. Boxes lag, cars follow after seconds, and in the later cases other consumers
jump and boxes do not lower. A second counts once however many fuses carry too much in it. Published
is the result with reservation of facts/load-management.md, section 2.5, of a simulation of its own.
"""


@dataclass(frozen=True, kw_only=True)
class Published:
    """The result with reservation of one case (facts section 2.5)."""

    overload_s: float
    kwh: float


STEPS = Published(overload_s=58.0, kwh=188.0)
DISOBEYING = Published(overload_s=61.0, kwh=186.0)


def section(rows: Sequence[Row]) -> str:
    """Return the figures as Markdown."""
    goals = [_goal(case, rows) for case in CASES]
    return "\n".join(["## The fuse\n", lines(goals), NOTE, page_table(rows)])


def _published(case: Case) -> Published | None:
    if not case.jumps_per_h:
        return None
    return DISOBEYING if case.ignores or case.deaf else STEPS


def _goal(case: Case, rows: Sequence[Row]) -> Goal:
    ours = [row for row in rows if row.case == case.name and row.contestant.startswith(OURS)]
    published = _published(case)
    told = "; ".join(
        f"{row.overload_s:.1f} s/h and {row.kwh:.0f} kWh/h ({row.contestant})" for row in ours
    )
    if published is None:
        return Goal(
            wanted=f"no overload: {case.name}",
            measured=told,
            is_met=bool(ours) and all(row.overload_s == 0 for row in ours),
        )
    most_s = published.overload_s / 2
    return Goal(
        wanted=f"less than {most_s:g} s/h of overload, half of what is published, at no less than "
        f"{published.kwh:.0f} kWh/h: {case.name}",
        measured=told,
        is_met=any(row.overload_s < most_s and row.kwh >= published.kwh for row in ours),
    )
