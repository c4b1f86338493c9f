"""The two worlds in which the bus has to keep the same promises."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, ChannelNotFoundEntity

from shared.bus.memory import MemoryBus
from shared.bus.port import Bus
from shared.bus.rabbit import RabbitBus
from shared.bus.topology import DEAD_QUEUE, DURABLE_QUEUES
from shared.clock import FakeClock
from tests.broker import Broker, need_server
from tests.conditions import eventually
from tests.contract_facts import SHARED_QUEUE, SMALL_QUEUE

SERVICES = frozenset({"ocpp-server", "gateway", "loadmgr", "modbus-bridge", "api"})


@dataclass(frozen=True)
class Letter:
    """A dead letter as both worlds show it."""

    topic: str
    queue: str
    reason: str


class World(Protocol):
    """A bus to join, and a look at its dead letters."""

    async def join(self, service: str) -> Bus: ...

    async def dead_letters(self) -> list[Letter]: ...

    async def close(self) -> None: ...


class MemoryWorld:
    """One process."""

    def __init__(self, clock: FakeClock, directory: Path) -> None:
        self.file = directory / "dead-letters.jsonl"
        self.hub = MemoryBus(clock, SERVICES, self.file)
        self.participants: list[Bus] = []

    async def join(self, service: str) -> Bus:
        self.participants.append(self.hub.join(service))
        return self.participants[-1]

    async def dead_letters(self) -> list[Letter]:
        return [
            Letter(letter.delivery.message.topic, letter.queue, letter.reason)
            for letter in self.hub.dead_letters.kept
        ]

    async def close(self) -> None:
        for bus in self.participants:
            await bus.close()


class RabbitWorld:
    """A real broker, emptied before each test."""

    def __init__(self, clock: FakeClock, broker: Broker) -> None:
        self.clock = clock
        self.broker = broker
        self.participants: list[Bus] = []
        self.letters: list[Letter] = []

    async def open(self) -> None:
        """Empty the queues. They are not deleted: RabbitMQ 3.10 does not always find a quorum queue
        again that was deleted, declared anew, and then lost its power."""
        for name in (DEAD_QUEUE, *(q.name for q in (*DURABLE_QUEUES, SMALL_QUEUE, SHARED_QUEUE))):
            await eventually(lambda name=name: self._is_empty_now(name), within_s=60)

    async def _is_empty_now(self, name: str) -> bool:
        """The same on a connection of its own: a broker that has just lost its power closes it with
        an internal error, or does not answer, until a quorum queue has found its leader again."""
        try:
            async with asyncio.timeout(5), await aio_pika.connect(self.broker.url) as connection:
                return await self._is_empty(connection, name)
        except (*CONNECTION_EXCEPTIONS, TimeoutError):
            return False

    async def _is_empty(self, connection: AbstractConnection, name: str) -> bool:
        """Purge once more; what closed participants held comes back a little later."""
        channel = await connection.channel()
        try:
            queue = await channel.declare_queue(name, passive=True)
            await queue.purge()
        except ChannelNotFoundEntity:
            return True
        result = queue.declaration_result
        await channel.close()
        return result.message_count == 0 and result.consumer_count == 0

    async def join(
        self, service: str, url: str | None = None, *, safe_within_s: float = 10.0
    ) -> RabbitBus:
        bus = await RabbitBus.connect(
            url or self.broker.url, service, self.clock, safe_within_s=safe_within_s
        )
        self.participants.append(bus)
        return bus

    async def dead_letters(self) -> list[Letter]:
        async with await aio_pika.connect(self.broker.url) as connection:
            queue = await (await connection.channel()).get_queue(DEAD_QUEUE)
            while (letter := await queue.get(no_ack=True, fail=False)) is not None:
                headers = {key: str(value) for key, value in letter.headers.items()}
                reason = headers.get("reason") or headers.get("x-first-death-reason", "")
                self.letters.append(Letter(str(letter.type), headers.get("queue", ""), reason))
        return self.letters

    async def close(self) -> None:
        for bus in self.participants:
            await bus.close()


@pytest.fixture
def clock() -> FakeClock:
    """Time that moves only when a test says so."""
    return FakeClock()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One RabbitMQ for the whole run."""
    node = Broker(need_server(), tmp_path_factory.mktemp("rabbit"))
    try:
        node.start()
        with ThreadPoolExecutor(1) as thread:  # this one may be running a loop already
            thread.submit(asyncio.run, _settle_in(node)).result()
        yield node
    finally:
        node.stop()


SETTLING_S = 3.0


async def _settle_in(broker: Broker) -> None:
    """Have the queues declared, and their names on disk.

    RabbitMQ 3.10 writes the names of quorum queues half a second after it has declared them; one
    that loses its power before never finds them again. That is no promise of ours to test.
    """
    bus = await RabbitBus.connect(broker.url, "api", FakeClock())
    await bus.close()
    await asyncio.sleep(SETTLING_S)


async def _nothing_left(before: set[asyncio.Task[object] | None]) -> None:
    before.add(asyncio.current_task())
    await eventually(
        lambda: not (asyncio.all_tasks() - before), within_s=2, claim="no task outlives the bus"
    )


@pytest.fixture
async def rabbit(broker: Broker, clock: FakeClock) -> AsyncIterator[RabbitWorld]:
    """An empty broker. No task may be left when its participants are closed."""
    if not broker.is_running:
        await asyncio.to_thread(broker.start)
    before = asyncio.all_tasks()
    world = RabbitWorld(clock, broker)
    await world.open()
    yield world
    await world.close()
    await _nothing_left(before)


@pytest.fixture(params=["memory", pytest.param("rabbit", marks=pytest.mark.rabbit)])
async def world(
    request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path
) -> AsyncIterator[World]:
    """Both worlds, one after the other."""
    before = asyncio.all_tasks()
    if request.param == "memory":
        memory = MemoryWorld(clock, tmp_path)
        yield memory
        await memory.close()
        await _nothing_left(before)
    else:
        broker: Broker = request.getfixturevalue("broker")
        rabbit = RabbitWorld(clock, broker)
        await rabbit.open()
        yield rabbit
        await rabbit.close()
        await _nothing_left(before)
