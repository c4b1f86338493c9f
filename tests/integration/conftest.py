"""A database of the api and a bus for load management, once of each kind."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.service import MIGRATIONS
from shared.bus.memory import MemoryBus
from shared.clock import SYSTEM_CLOCK
from shared.store import Database, open_database
from tests.broker import Broker, need_server
from tests.integration.loadmgr_world import Join, over_rabbit
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


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One RabbitMQ for all of them."""
    node = Broker(need_server(), tmp_path_factory.mktemp("rabbit"))
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture
def memory() -> Join:
    """A way to join a bus of this process."""
    hub = MemoryBus(SYSTEM_CLOCK, frozenset({"loadmgr"}))

    async def join(service: str) -> Any:
        return hub.join(service)

    return join


@pytest.fixture(params=["memory", pytest.param("rabbit", marks=pytest.mark.rabbit)])
def join(request: pytest.FixtureRequest) -> Join:
    """Each bus, one after the other."""
    if request.param == "memory":
        return request.getfixturevalue("memory")  # type: ignore[no-any-return]
    return over_rabbit(request.getfixturevalue("broker").url)
