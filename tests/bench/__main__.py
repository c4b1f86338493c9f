"""Measures Parkade beside two libraries and writes ``docs/benchmarks.md``."""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench import durable, fan_out, memory, scale, soak
from tests.bench.contenders import ROOT, contenders
from tests.bench.descriptors import raise_file_limit
from tests.bench.ingress import measure as measure_ingress
from tests.bench.renewal import renew, say
from tests.bench.report import Ingress, reactions_section

STATIONS = (100, 1_000)
REACTION_STATIONS = (20, 100)
PROGRAM_WITHIN_S = 240
PICTURE = "benchmarks-scale.svg"

Part = Callable[[argparse.Namespace], str]
"""Measures, and returns its part of the page. Raises when it cannot."""


def main() -> int:
    """Measure, write the page, and return 1 when something could not be measured."""
    options = _options()
    refusal = raise_file_limit(soak.STATIONS)
    if refusal is not None:
        say(f"NOTE: {refusal}")
    parts = {name: partial(PARTS[name], options) for name in PARTS}
    failures = renew(options.output, parts, only=options.only)
    return 1 if failures else 0


def _ingress(options: argparse.Namespace) -> str:
    ingress = Ingress(contenders=contenders(), seconds=options.seconds)
    for contender in ingress.contenders:
        for stations in STATIONS:
            say(f"  {contender.name}, {stations} stations ...")
            try:
                connected, results = measure_ingress(contender, stations, seconds=options.seconds)
            except (RuntimeError, OSError) as error:
                ingress.failures.append(f"{contender.name}, {stations} stations: {error}")
                continue
            ingress.connections.append(connected)
            ingress.measured += results
    return ingress.section()


def _scale(options: argparse.Namespace) -> str:
    measured = scale.measure(options.seconds)
    scale.draw(measured, options.output.with_name(PICTURE))
    return scale.section(measured, PICTURE)


def _reaction(_options: argparse.Namespace) -> str:
    return reactions_section([_program("reaction", str(count)) for count in REACTION_STATIONS])


def _stores(_options: argparse.Namespace) -> str:
    from tests.bench.bulk import Stored, table_of

    rows = [Stored(**one) for one in _program("bulk", "--json")]
    return (
        "## Rows into the stores of api\n\n"
        "One process, batch by batch; PostgreSQL without fsync.\n\n" + table_of(rows)
    )


def _program(module: str, *arguments: str) -> Any:
    """Run another program of this package; return what its last line says."""
    command = [sys.executable, "-m", f"tests.bench.{module}", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PROGRAM_WITHIN_S
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RuntimeError(f"{module} {' '.join(arguments)}: {last}")
    return json.loads(done.stdout.splitlines()[-1])


PARTS: dict[str, Part] = {
    "ingress": _ingress,
    "durable": lambda options: durable.section(durable.measure(options.seconds)),
    "soak": lambda options: soak.section(soak.measure(options.soak_seconds)),
    "limits": lambda _options: fan_out.section(fan_out.measure()),
    "memory": lambda _options: memory.section(memory.measure()),
    "scale": _scale,
    "reaction": _reaction,
    "stores": _stores,
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each run")
    parser.add_argument(
        "--soak-seconds", type=float, default=60.0, help="length of the run with 5,000 stations"
    )
    parser.add_argument(
        "--only",
        type=_names,
        default=list(PARTS),
        metavar="PART,...",
        help=f"measure these alone and leave the rest of the page: {', '.join(PARTS)}",
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs" / "benchmarks.md", help="the page to write"
    )
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = sorted(set(names) - PARTS.keys())
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown) or text!r}")
    return [name for name in PARTS if name in names]


if __name__ == "__main__":
    sys.exit(main())
