"""``tests.bench.closed_loop`` as a part of the page, beside published figures."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.closed_loop import BEGINS, CASES, EVSES, MAIN_A, SEEDS, Case, Row, page_table
from tests.bench.goal import Goal, lines

OURS = "load management"
"""How the contestants of ours begin."""
FAIR = "fair share"
"""How the one begins that shares like ours and reserves nothing."""
NOTE = f"""
A virtual garage of {EVSES} EVSEs below {MAIN_A:.0f} A, one hour from {BEGINS:%H:%M}, the mean of
{len(SEEDS)} seeds. Boxes lag, cars follow after seconds, and in the later cases other consumers
jump and boxes do not lower. A second counts once however many fuses carry too much in it. Published
is the result with reservation of facts/load-management.md, section 2.5, of a simulation of its own,
with other vehicles: so its energy counts as a share of what it has without reservation.
"""


@dataclass(frozen=True, kw_only=True)
class Published:
    """The result with reservation of one case (facts section 2.5)."""

    overload_s: float
    share: float
    """Energy, of what the same case has without reservation."""


STEPS = Published(overload_s=58.0, share=188 / 195)
DISOBEYING = Published(overload_s=61.0, share=186 / 195)


def section(rows: Sequence[Row]) -> str:
    """Return the figures as Markdown."""
    goals = [_goal(case, rows) for case in CASES]
    return "\n".join(["## The fuse\n", lines(goals), NOTE, page_table(rows)])


def _published(case: Case) -> Published | None:
    if not case.jumps_per_h:
        return None
    return DISOBEYING if case.ignores or case.deaf else STEPS


def _goal(case: Case, rows: Sequence[Row]) -> Goal:
    mine = [row for row in rows if row.case == case.name]
    ours = [row for row in mine if row.contestant.startswith(OURS)]
    published = _published(case)
    if published is None:
        return Goal(
            wanted=f"no overload: {case.name}",
            measured="; ".join(f"{row.overload_s:.1f} s/h ({row.contestant})" for row in ours),
            is_met=bool(ours) and all(row.overload_s == 0 for row in ours),
        )
    fair = next(row for row in mine if row.contestant.startswith(FAIR))
    most_s, least_kwh = published.overload_s / 2, published.share * fair.kwh
    told = (
        f"{row.overload_s:.1f} s/h and {row.kwh / fair.kwh:.1%} ({row.contestant})" for row in ours
    )
    return Goal(
        wanted=f"less than {most_s:g} s/h of overload, half of what is published, at no less "
        f"energy than its {published.share:.1%} of what flows without reservation: {case.name}",
        measured="; ".join(told),
        is_met=any(row.overload_s < most_s and row.kwh >= least_kwh for row in ours),
    )
