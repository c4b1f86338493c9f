"""Meter values are answered to when they are safe, and travel together."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ocpp_server.ledger import Ledger
from ocpp_server.meter_recorder import MOST_ROWS, MeterRecorder
from ocpp_server.postman import Postman
from ocpp_server.service import MIGRATIONS
from shared.bus.memory import MemoryBus
from shared.bus.topology import METER_VALUES_TO_API
from shared.clock import FakeClock
from shared.contracts.session import MeterRow, MeterValuesRecorded
from shared.errors import StoreUnavailable
from shared.store import open_database
from tests.conditions import eventually

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(value_id: str) -> MeterRow:
    nothing = (None,) * 12
    return MeterRow(value_id, "CP1", 1, "bay", 7, None, NOON.timestamp(), *nothing)


class World:
    """A recorder, its bus, and what its consumer was handed."""

    def __init__(self, hub: MemoryBus, ledger: Ledger, clock: FakeClock) -> None:
        self.hub = hub
        self.ledger = ledger
        self.bus = hub.join("ocpp-server")
        self.postman = Postman(self.bus, ledger, clock=clock)
        self.recorder = MeterRecorder(self.postman, instance=self.bus.instance)
        self.batches: list[MeterValuesRecorded] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def consume(self, deliveries: Any) -> None:
        await self.gate.wait()
        self.batches.extend(delivery.message for delivery in deliveries)

    def record(self, *value_ids: str) -> list[bool]:
        kept: list[bool] = []
        self.recorder.record([row(value_id) for value_id in value_ids]).then(kept.append)
        return kept

    @property
    def stored(self) -> list[str]:
        return [one.value_id for batch in self.batches for one in batch.rows]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = FakeClock()
    hub = MemoryBus(clock, safe_within_s=0.2)
    url = f"sqlite+aiosqlite:///{tmp_path / 'ledger.sqlite3'}"
    database = await open_database(url, service="ocpp-server", migrations=MIGRATIONS)
    world = World(hub, Ledger(database), clock)
    api = hub.join("api")
    await api.consume(METER_VALUES_TO_API, world.consume)
    running = asyncio.create_task(world.recorder.run())
    yield world
    running.cancel()
    world.gate.set()
    await api.close()
    await world.bus.close()
    await database.close()


async def test_values_are_kept_when_the_consumer_has_committed_them(world: World) -> None:
    world.gate.clear()
    kept = world.record("a")
    await asyncio.sleep(0.05)
    assert kept == []
    world.gate.set()
    await eventually(lambda: kept == [True])
    assert world.stored == ["a"]


async def test_what_arrives_while_one_batch_is_under_way_travels_together(world: World) -> None:
    world.gate.clear()
    world.record("a")
    await asyncio.sleep(0.05)
    more = [world.record(f"b{number}") for number in range(20)]
    world.gate.set()
    await eventually(lambda: all(kept == [True] for kept in more))
    assert [len(batch.rows) for batch in world.batches] == [1, 20]


async def test_a_batch_has_a_bounded_size_and_nothing_is_lost(world: World) -> None:
    wanted = [f"v{number}" for number in range(2 * MOST_ROWS + 1)]
    kept = [world.record(value_id) for value_id in wanted]
    await eventually(lambda: all(one == [True] for one in kept))
    assert world.stored == wanted
    assert max(len(batch.rows) for batch in world.batches) == MOST_ROWS


async def test_values_that_the_bus_does_not_confirm_wait_in_the_ledger(world: World) -> None:
    world.gate.clear()
    kept = world.record("a")
    await eventually(lambda: kept == [True])
    (event,) = await world.ledger.kept_events(before=NOON.replace(year=2100))
    assert '"a"' in event.body


async def test_values_that_nobody_can_keep_are_not_acknowledged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(world.ledger, "keep_event", away)
    world.gate.clear()
    kept = world.record("a")
    await eventually(lambda: kept == [False])
