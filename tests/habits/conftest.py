"""A running core for the habits of one site; the site is given by ``pytest.mark.parametrize``."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.contracts.site import SiteConfig
from tests.ocpp_core import Core, running_core, site_of


@pytest.fixture
def site() -> SiteConfig:
    """One station with one EVSE."""
    return site_of()


@pytest.fixture
async def core(site: SiteConfig, tmp_path: Path) -> AsyncIterator[Core]:
    """The core, running."""
    async with running_core(site, tmp_path) as found:
        yield found
