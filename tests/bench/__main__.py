"""Measures Parkade beside two libraries and writes ``docs/benchmarks.md``."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from tests.bench.contenders import ROOT, contenders
from tests.bench.ingress import measure
from tests.bench.machine import facts
from tests.bench.report import Report

STATIONS = (100, 1_000)
REACTION_STATIONS = (20, 100)
REACTION_WITHIN_S = 240


def main() -> int:
    """Measure, write the page, and return 1 when something could not be measured."""
    options = _options()
    report = Report(machine=facts(), contenders=contenders(), seconds=options.seconds)
    for contender in report.contenders:
        for stations in STATIONS:
            _say(f"{contender.name}, {stations} stations ...")
            try:
                connected, results = measure(contender, stations, seconds=options.seconds)
            except (RuntimeError, OSError) as error:
                report.failures.append(f"{contender.name}, {stations} stations: {error}")
                continue
            report.connections.append(connected)
            report.ingress += results
    for stations in REACTION_STATIONS:
        _say(f"reaction, {stations} stations ...")
        _react(report, stations)
    options.output.write_text(report.markdown())
    _say(f"written: {options.output}")
    for failure in report.failures:
        _say(f"NOT MEASURED: {failure}")
    return 1 if report.failures else 0


def _react(report: Report, stations: int) -> None:
    command = [sys.executable, "-m", "tests.bench.reaction", str(stations)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=REACTION_WITHIN_S
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["it said nothing"])[-1]
        report.failures.append(f"reaction, {stations} stations: {last}")
    except subprocess.TimeoutExpired:
        report.failures.append(f"reaction, {stations} stations: no end in {REACTION_WITHIN_S} s")
    else:
        report.reactions.append(json.loads(done.stdout.splitlines()[-1]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each run")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs" / "benchmarks.md", help="the page to write"
    )
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
