"""``docs/conformance.md``: one row for each case, written from the results of a run."""

from collections.abc import Mapping
from pathlib import Path

from tests.conformance.cases import CASES, Area

FILE = Path(__file__).parents[2] / "docs" / "conformance.md"
PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"
RESULTS = frozenset({PASSED, FAILED, NOT_RUN})

_HEAD = """# Conformance

Written by `python -m tests.conformance`; do not edit.

The Open Charge Alliance lists 77 test cases for a central system of OCPP 1.6, by number and name.
Each has a test of ours in `tests/conformance/`: a strict charge point, over a real socket, checks
every frame both ways against the schemas, and the operator acts through REST. The tests are our own
reading of what the cases are about; they are no certification by the Open Charge Alliance.
"""
_TABLE = "| case | name | area | result | what was checked |\n| --- | --- | --- | --- | --- |"


def conformance_document(results: Mapping[str, str]) -> str:
    """Return the document. ``results``: number of a case -> result; a missing one did not run."""
    told = {case.number: results.get(case.number, NOT_RUN) for case in CASES}
    rows = [
        f"| {case.id} | {case.name} | {case.area} | {told[case.number]} | {case.checked} |"
        for case in CASES
    ]
    return "\n".join((_HEAD, *_summary(told), "", _TABLE, *rows, ""))


def results_in(document: str) -> dict[str, str]:
    """Return what a document says: number of a case -> result."""
    numbers = {case.id: case.number for case in CASES}
    found = {}
    for line in document.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0] in numbers:
            found[numbers[cells[0]]] = cells[3]
    return found


def _summary(told: Mapping[str, str]) -> list[str]:
    lines = ["| area | cases | passed |", "| --- | --- | --- |"]
    for area in Area:
        results = [told[case.number] for case in CASES if case.area is area]
        lines.append(f"| {area} | {len(results)} | {results.count(PASSED)} |")
    passed = list(told.values()).count(PASSED)
    return [*lines, f"| all | {len(told)} | {passed} |"]
