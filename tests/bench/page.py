"""A page of figures: one part for each thing measured, of which some can be renewed. Pure."""

import re
from collections.abc import Mapping, Sequence

from tests.bench.goal import PREFIX

INTRODUCTION = """# Benchmarks

Written by `make bench` (`python -m tests.bench`); do not edit. With `--only durable` one part is
measured anew, and the others stay as they are. Each figure is one run unless it says otherwise.
*Others* says how many cores other processes of the machine used meanwhile. Where it is not near 0,
answers per second and latencies are worse than they would be on an idle machine, and not comparable
between rows that had different neighbours. Machines differ, too: compare what one run measured of
several servers, not figures of different machines.

## Goals

"""
_PART = re.compile(r"<!-- part: ([a-z-]+) -->\n(.*?)\n<!-- end -->", re.DOTALL)


def read(page: str) -> dict[str, str]:
    """Return the parts of an earlier page; none of a page of another kind."""
    return dict(_PART.findall(page))


def written(
    parts: Mapping[str, str], order: Sequence[str], *, introduction: str = INTRODUCTION
) -> str:
    """Return the whole page: what was aimed at, then the parts in this order."""
    known = [(name, parts[name].strip()) for name in order if name in parts]
    goals = [line for _, part in known for line in part.split("\n") if line.startswith(PREFIX)]
    bodies = [f"<!-- part: {name} -->\n{part}\n<!-- end -->" for name, part in known]
    return (
        introduction + "\n\n".join(["\n".join(goals) or "None was measured yet.", *bodies]) + "\n"
    )
