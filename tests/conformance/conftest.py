"""One running Parkade for all cases, and for each case a station and an operator of its own."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.conformance.bench import Bench
from tests.conformance.cases import CASES, Case
from tests.conformance.naming import TEST_OF_CASE
from tests.conformance.rest import Operator
from tests.conformance.running import ADMIN_TOKEN, Parkade, running_parkade
from tests.conformance.site import conformance_site, station_of

BY_NUMBER = {case.number: case for case in CASES}


@pytest.fixture(scope="package")
def parkade(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parkade]:
    """A running Parkade with the site of the conformance tests."""
    with running_parkade(tmp_path_factory.mktemp("parkade"), conformance_site()) as running:
        yield running


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """The case that the test is about, by its name."""
    found = TEST_OF_CASE.match(request.node.name)
    assert found is not None, f"{request.node.name} names no case"
    return BY_NUMBER[found[1].upper()]


@pytest.fixture
async def bench(parkade: Parkade, case: Case) -> AsyncIterator[Bench]:
    """The test bench of a case."""
    async with httpx.AsyncClient(
        base_url=parkade.rest_url,
        headers={"Authorization": f"Bearer {ADMIN_TOKEN}"},
        timeout=30,
        trust_env=False,
    ) as http:
        yield Bench(parkade, case, Operator(http, station_of(case)))
