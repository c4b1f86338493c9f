"""A database of the api, once of each kind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.service import MIGRATIONS
from shared.store import Database, open_database
from tests.postgres import postgres  # noqa: F401 - a fixture


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty one, with its tables."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'api.sqlite3'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").new_database()
    opened = await open_database(url, service="api", migrations=MIGRATIONS)
    yield opened
    await opened.close()
