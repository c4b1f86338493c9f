"""``python -m tests.conformance``: run every case and write ``docs/conformance.md``.

Ends with 0 when all cases passed. More arguments go to pytest.
"""

import sys
from pathlib import Path

import pytest

from tests.conformance.cases import CASES
from tests.conformance.document import FAILED, FILE, NOT_RUN, PASSED, conformance_document
from tests.conformance.naming import TEST_OF_CASE

HERE = Path(__file__).parent


class Results:
    """A pytest plugin that remembers how each case went; the worst of its tests counts."""

    def __init__(self) -> None:
        self.by_case: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the result of one phase of one test."""
        found = TEST_OF_CASE.match(report.nodeid.rpartition("::")[2])
        if found is None:
            return
        number = found[1].upper()
        result = {"passed": PASSED, "failed": FAILED, "skipped": NOT_RUN}[report.outcome]
        self.by_case[number] = max(self.by_case.get(number, PASSED), result, key=_badness)


def _badness(result: str) -> int:
    return (PASSED, NOT_RUN, FAILED).index(result)


def main() -> int:
    """Run and write; a run that did not come to every case writes nothing."""
    results = Results()
    code = pytest.main([str(HERE), "-k", "test_tc_", "-q", *sys.argv[1:]], plugins=[results])
    missing = [case.number for case in CASES if case.number not in results.by_case]
    if missing:
        print(f"{FILE} not written: {len(missing)} cases were not run, e.g. {missing[0]}")
        return int(code) or 1
    FILE.write_text(conformance_document(results.by_case), encoding="utf-8")
    passed = list(results.by_case.values()).count(PASSED)
    print(f"{FILE} written: {passed} of {len(CASES)} cases passed")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
