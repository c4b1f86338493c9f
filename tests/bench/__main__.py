"""Measures Parkade beside two libraries and writes ``docs/benchmarks.md``."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench import durable, fan_out, memory, scale, soak
from tests.bench.contenders import ROOT, contenders
from tests.bench.descriptors import raise_file_limit
from tests.bench.ingress import measure as measure_ingress
from tests.bench.machine import facts
from tests.bench.markdown import table
from tests.bench.page import read, written
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
        _say(f"NOTE: {refusal}")
    before = options.output.read_text() if options.output.exists() else ""
    parts = read(before)
    machine = facts()
    parts["machine"] = "## Machine\n\n" + table(["Last measured on", ""], machine.items())
    failures = []
    for name in options.only:
        _say(f"{name} ...")
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        try:
            part = PARTS[name](options)
        except Exception as error:  # noqa: BLE001 - the other parts are worth having
            failures.append(f"{name}: {type(error).__name__}: {error}")
            part = f"## Not measured: {name}\n\n{type(error).__name__}: {error}\n"
        when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        where = machine["CPU"]
        parts[name] = f"{part.strip()}\n\nMeasured {when} on {where}; load average before: {load}."
        options.output.write_text(written(parts, ["machine", *PARTS]))
    _say(f"written: {options.output}")
    for failure in failures:
        _say(f"NOT MEASURED: {failure}")
    return 1 if failures else 0


def _ingress(options: argparse.Namespace) -> str:
    ingress = Ingress(contenders=contenders(), seconds=options.seconds)
    for contender in ingress.contenders:
        for stations in STATIONS:
            _say(f"  {contender.name}, {stations} stations ...")
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


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
