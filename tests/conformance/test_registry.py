"""Every case of the list has one test of its name in its area, and a row in the document."""

import ast
from pathlib import Path

import pytest

from tests.conformance.cases import CASES, MODULES, Area, Case
from tests.conformance.document import (
    FAILED,
    FILE,
    NOT_RUN,
    PASSED,
    RESULTS,
    conformance_document,
    results_in,
)
from tests.conformance.naming import TEST_OF_CASE

HERE = Path(__file__).parent
CASES_OF_AREA = {
    Area.CORE: 33,
    Area.LOCAL_LIST: 6,
    Area.FIRMWARE: 3,
    Area.DIAGNOSTICS: 2,
    Area.RESERVATION: 10,
    Area.REMOTE_TRIGGER: 2,
    Area.SMART_CHARGING: 5,
    Area.DATA_TRANSFER: 1,
    Area.SECURITY: 15,
}


def found_tests() -> list[tuple[str, str, str]]:
    """Return (module, number of the case, docstring) of every test of a case."""
    found = []
    for file in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(file.read_text("utf-8")).body:
            match = TEST_OF_CASE.match(getattr(node, "name", ""))
            if match and isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                found.append((file.stem, match[1].upper(), ast.get_docstring(node) or ""))
    return found


TESTS = found_tests()


def test_the_list_has_77_cases() -> None:
    assert len({case.number for case in CASES}) == len(CASES) == 77
    assert {area: sum(c.area is area for c in CASES) for area in Area} == CASES_OF_AREA


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number.lower())
def test_the_case_has_one_test_of_its_name_in_its_area(case: Case) -> None:
    mine = [(module, name) for module, number, name in TESTS if number == case.number]
    assert [name for _, name in mine] == [case.name]
    assert mine[0][0] in MODULES[case.area]


def test_no_test_is_about_a_case_that_the_list_does_not_have() -> None:
    assert {number for _, number, _ in TESTS} == {case.number for case in CASES}


def test_the_document_lists_every_case_with_the_result_of_the_last_run() -> None:
    document = FILE.read_text("utf-8")
    results = results_in(document)
    assert set(results) == {case.number for case in CASES}
    assert set(results.values()) <= RESULTS
    assert document == conformance_document(results), "run: python -m tests.conformance"


def test_the_document_says_what_the_run_said() -> None:
    told = {"TC_001": PASSED, "TC_003": FAILED}
    results = results_in(conformance_document(told))
    assert (results["TC_001"], results["TC_003"]) == (PASSED, FAILED)
    assert results["TC_088"] == NOT_RUN
    assert len(results) == 77
