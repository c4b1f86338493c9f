"""Runs the ACN-Sim harness in an environment of its own, and keeps what the rivals reached.

acnportal and what it needs are no dependency of Parkade: they live in ``build/acn`` alone.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench.contenders import ROOT
from tests.bench.loadmgr.acn_tables import RIVALS, Table
from tests.bench.loadmgr.program import output_of
from tests.bench.renewal import say

HARNESS = "acnsim_bench.py"
BUILD = ROOT / "build" / "acn"
REQUIREMENTS = ("acnportal==0.3.3", "setuptools<81")  # its base.py imports pkg_resources
SHARED = ("numpy", "pydantic")
"""What Parkade's rules need, in Parkade's versions."""
OUR_CODE = os.pathsep.join(str(part) for part in (ROOT, ROOT / "services" / "loadmgr"))
INSTALL_WITHIN_S = 900.0
RUN_WITHIN_S = 5_400.0

Row = dict[str, Any]
"""One line of the harness: a scenario, a capacity, an algorithm, and what it reached."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of one rival."""

    scenario: str
    capacity: int
    algorithm: str
    departure_error_h: float


def installed(python: Path | None = None) -> Path:
    """Return a Python that has acnportal; without a given one, that of ``build/acn``."""
    if python is not None:
        return python
    own, stamp = BUILD / "venv" / "bin" / "python", BUILD / "installed"
    wanted = "\n".join((*REQUIREMENTS, *(f"{name}=={version(name)}" for name in SHARED)))
    if not stamp.exists() or stamp.read_text() != wanted:
        say("  installing acnportal into build/acn ...")
        BUILD.mkdir(parents=True, exist_ok=True)
        make = [sys.executable, "-m", "venv", "--clear", str(BUILD / "venv")]
        output_of(make, within_s=INSTALL_WITHIN_S)
        install = [str(own), "-m", "pip", "install", "--quiet", *wanted.split("\n")]
        output_of(install, within_s=INSTALL_WITHIN_S)
        stamp.write_text(wanted)
    return own


class Runs:
    """A harness, and a Python to run it with."""

    def __init__(self, harness: Path, python: Path) -> None:
        self._harness = harness
        self._python = python
        self._kept = BUILD / f"rivals-{_digest(harness)}.jsonl"

    def ours(self, table: Table, plugin: str, name: str) -> list[Row]:
        """Run our allocators, one after another, so that nothing disturbs their times."""
        rows: list[Row] = []
        for capacity in table.best:
            command = [*self._command(table.scenario, capacity, table.departure_error_h)]
            rows += self._told([*command, "--algs", name, "--plugin", plugin])
        return rows

    def rivals(self, tables: list[Table]) -> list[Row]:
        """Return what the algorithms of acnportal reach; what ran once is not run again."""
        known = {_cell_of(row): row for row in self._read()}
        wanted = {
            Cell(
                scenario=table.scenario,
                capacity=capacity,
                algorithm=algorithm,
                departure_error_h=table.departure_error_h,
            ): None
            for table in tables
            for capacity in table.best
            for algorithm in RIVALS
        }
        missing = [cell for cell in wanted if cell not in known]
        if missing:
            say(f"  {len(missing)} runs of rivals, minutes each; they are kept in build/acn ...")
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for row in pool.map(self._rival, missing):
                known[_cell_of(row)] = row
        return [known[cell] for cell in wanted]

    def _rival(self, cell: Cell) -> Row:
        command = self._command(cell.scenario, cell.capacity, cell.departure_error_h)
        (row,) = self._told([*command, "--algs", cell.algorithm])
        with self._kept.open("a") as kept:
            kept.write(json.dumps(row) + "\n")
        return row

    def _read(self) -> Iterator[Row]:
        BUILD.mkdir(parents=True, exist_ok=True)
        if self._kept.exists():
            yield from map(json.loads, self._kept.read_text().splitlines())

    def _command(self, scenario: str, capacity: int, departure_error_h: float) -> list[str]:
        return [
            *(str(self._python), str(self._harness)),
            *("--scenario", scenario),
            *("--caps", str(capacity)),
            *("--dep-noise", str(departure_error_h)),
        ]

    def _told(self, command: list[str]) -> list[Row]:
        told = output_of(command, within_s=RUN_WITHIN_S, environment={"PYTHONPATH": OUR_CODE})
        rows = [json.loads(line) for line in told.splitlines()]
        for row in rows:
            if "error" in row:
                raise RuntimeError(f"{row['alg']} at {row['cap']:g}: {row['error']}")
        return rows


def _cell_of(row: Row) -> Cell:
    return Cell(
        scenario=row["scenario"],
        capacity=int(row["cap"]),
        algorithm=row["alg"],
        departure_error_h=row["dep_noise_h"],
    )


def _digest(harness: Path) -> str:
    """A name for everything that a rival's result depends on."""
    digest = hashlib.sha256(repr(REQUIREMENTS).encode())
    for part in sorted(harness.parent.glob("*")):
        if part.is_file():
            digest.update(part.read_bytes())
    return digest.hexdigest()[:12]
