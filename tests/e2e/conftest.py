"""The product as it is deployed, in both ways that need no container engine."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.broker import Broker, need_server
from tests.e2e.deployment import Deployment, InOneProcess, OneProcessEach, running
from tests.postgres import Postgres, postgres

__all__ = ["postgres"]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A RabbitMQ that the test may kill."""
    server = Broker(need_server(), tmp_path / "broker")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(
    params=[
        pytest.param("one process", id="one_process"),
        pytest.param("each", id="rabbitmq", marks=[pytest.mark.rabbit, pytest.mark.postgres]),
    ]
)
async def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Deployment]:
    """A running Parkade: once as one process, once as five with RabbitMQ and PostgreSQL."""
    if request.param == "one process":
        async with running(InOneProcess(tmp_path)) as started:
            yield started
        return
    broker: Broker = request.getfixturevalue("broker")
    server: Postgres = request.getfixturevalue("postgres")
    url = await asyncio.to_thread(server.new_database)
    async with running(OneProcessEach(tmp_path, broker, url)) as started:
        yield started
