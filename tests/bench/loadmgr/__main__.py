"""Measures load management and writes ``docs/benchmarks-loadmgr.md``."""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from tests.bench import closed_loop
from tests.bench.contenders import ROOT
from tests.bench.loadmgr import acn, decision, fuse, latency
from tests.bench.renewal import Part, renew

INTRODUCTION = """# Benchmarks of load management

Written by `make bench-loadmgr` (`python -m tests.bench.loadmgr`); do not edit. With
`ARGS="--only decision"` one part is measured anew, and the others stay as they are. Machines
differ: compare what one run measured, not figures of different machines.

## Goals

"""


def main() -> int:
    """Measure, write the page, and return 1 when something could not be measured."""
    options = _options()
    parts = _parts(options)
    return 1 if renew(options.output, parts, only=options.only, introduction=INTRODUCTION) else 0


def _parts(options: argparse.Namespace) -> dict[str, Part]:
    return {
        "decision": lambda: decision.section(decision.measure()),
        "latency": lambda: latency.section(latency.measure()),
        "fuse": lambda: fuse.section(closed_loop.measure()),
        "acn": partial(
            acn.part,
            options.acn_harness,
            plugin=options.acn_plugin,
            tables=options.acn_tables,
            python=options.acn_python,
        ),
    }


PARTS = ("decision", "latency", "fuse", "acn")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.loadmgr", description=__doc__)
    parser.add_argument(
        "--only",
        type=partial(_names, known=PARTS),
        default=list(PARTS),
        metavar="PART,...",
        help=f"measure these alone and leave the rest of the page: {', '.join(PARTS)}",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "docs" / "benchmarks-loadmgr.md",
        help="the page to write",
    )
    parser.add_argument(
        "--acn-harness",
        type=Path,
        default=Path(os.environ.get("PARKADE_ACN_HARNESS", ROOT / ".." / "shared" / "bench")),
        help="folder with acnsim_bench.py and its sessions (default: PARKADE_ACN_HARNESS, else "
        "../shared/bench); without it the part is skipped",
    )
    parser.add_argument(
        "--acn-python",
        type=Path,
        help="a Python that has acnportal (default: one is made in build/acn)",
    )
    parser.add_argument(
        "--acn-plugin",
        default=acn.OWN_PLUGIN,
        metavar="FILE.py:FACTORY",
        help="the allocators to measure (default: Parkade's own)",
    )
    parser.add_argument(
        "--acn-tables",
        type=partial(_names, known=tuple(acn.TABLES)),
        default=list(acn.TABLES),
        metavar="TABLE,...",
        help=f"of the part acn only these: {', '.join(acn.TABLES)}",
    )
    return parser.parse_args()


def _names(text: str, *, known: tuple[str, ...]) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = sorted(set(names) - set(known))
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"no such part: {', '.join(unknown) or text!r}; there are {', '.join(known)}"
        )
    return [name for name in known if name in names]


if __name__ == "__main__":
    sys.exit(main())
