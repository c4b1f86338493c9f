"""Thousands of stations come at once after a restart: bound together, and none is missed."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

import pytest

from shared.bus.port import Bus, Inbox
from shared.bus.rabbit_bindings import MOST_IN_A_ROUND
from shared.contracts.charging import ApplySetpoint
from shared.contracts.message import station_address
from shared.errors import Unroutable
from tests.broker import Broker
from tests.conditions import eventually
from tests.contract.conftest import RabbitWorld
from tests.contract.test_rabbit_recovery import url_over
from tests.contract_facts import Evictions, Recorder, setpoint
from tests.wire import Wire

pytestmark = pytest.mark.rabbit

MANY = 2 * MOST_IN_A_ROUND + 50
"""More than two rounds."""
NAMES = [f"CP#{number}" for number in range(MANY)]


@pytest.fixture
async def wire(broker: Broker) -> AsyncIterator[Wire]:
    """A wire to the broker that can be cut."""
    async with Wire("127.0.0.1", broker.port) as opened:
        yield opened


async def own_all(inbox: Inbox, epoch: int, names: Iterable[str] = NAMES) -> None:
    """Take all at once, as stations come after a restart."""
    await asyncio.gather(*(inbox.own(station_address(name), epoch) for name in names))


async def release_all(inbox: Inbox, epoch: int, names: Iterable[str] = NAMES) -> None:
    """Give all up at once, as a server that stops does."""
    await asyncio.gather(*(inbox.release(station_address(name), epoch) for name in names))


async def unroutable(bus: Bus, names: Sequence[str] = NAMES) -> list[str]:
    """Send a command to each; return the names of those that nobody owns."""
    commands = (bus.send(setpoint(1, name)) for name in names)
    outcomes = await asyncio.gather(*commands, return_exceptions=True)
    failures = [o for o in outcomes if o is not None and not isinstance(o, Unroutable)]
    assert not failures
    return [name for name, o in zip(names, outcomes, strict=True) if isinstance(o, Unroutable)]


async def test_address_is_reachable_as_soon_as_taking_it_returns(rabbit: RabbitWorld) -> None:
    loadmgr, server = await rabbit.join("loadmgr"), await rabbit.join("ocpp-server")
    seen = Recorder()
    inbox = await server.inbox(Evictions())
    inbox.on(ApplySetpoint, seen.one)

    async def take_and_command(name: str) -> None:
        await inbox.own(station_address(name), 1)
        await loadmgr.send(setpoint(1, name))

    await asyncio.gather(*map(take_and_command, NAMES))
    reached = await eventually(lambda: len(seen.messages) == MANY and seen.messages)
    assert {command.station_id for command in reached} == set(NAMES)


async def test_address_is_unroutable_as_soon_as_releasing_it_returns(rabbit: RabbitWorld) -> None:
    loadmgr, server = await rabbit.join("loadmgr"), await rabbit.join("ocpp-server")
    inbox = await server.inbox(Evictions())
    await own_all(inbox, 1)
    await release_all(inbox, 1, NAMES[::2])
    assert await unroutable(loadmgr) == NAMES[::2]


async def test_last_word_counts_when_addresses_come_and_go_in_quick_succession(
    rabbit: RabbitWorld,
) -> None:
    loadmgr, server = await rabbit.join("loadmgr"), await rabbit.join("ocpp-server")
    inbox = await server.inbox(Evictions())
    names = NAMES[:60]
    hasty = []
    for epoch in range(1, 8):
        for number, name in enumerate(names):
            address = station_address(name)
            hasty.append(asyncio.ensure_future(inbox.own(address, epoch)))
            if epoch < 7 or number % 3 == 0:
                hasty.append(asyncio.ensure_future(inbox.release(address, epoch)))
        for _ in range(epoch):  # each time at another stage of the round under way
            await asyncio.sleep(0)
    await asyncio.gather(*hasty)
    assert await unroutable(loadmgr, names) == names[::3]


@pytest.mark.parametrize("after_bytes", [1, 3_000, 30_000])
async def test_addresses_whose_round_is_cut_are_all_bound_on_the_next_connection(
    rabbit: RabbitWorld, wire: Wire, after_bytes: int
) -> None:
    loadmgr, server = await rabbit.join("loadmgr"), await rabbit.join("ocpp-server", url_over(wire))
    evicted = Evictions()
    inbox = await server.inbox(evicted)
    wire.cut(after_bytes=after_bytes)
    await own_all(inbox, 1)
    await eventually(lambda: wire.connections == 2 and server.is_connected, within_s=20)
    assert await unroutable(loadmgr) == []
    assert not evicted.heard


async def test_releases_whose_round_is_cut_hold_on_the_next_connection(
    rabbit: RabbitWorld, wire: Wire
) -> None:
    loadmgr, server = await rabbit.join("loadmgr"), await rabbit.join("ocpp-server", url_over(wire))
    inbox = await server.inbox(Evictions())
    await own_all(inbox, 1)
    wire.cut(after_bytes=5_000)
    await release_all(inbox, 1, NAMES[:-3])
    await eventually(lambda: wire.connections == 2 and server.is_connected, within_s=20)
    assert await unroutable(loadmgr) == NAMES[:-3]


async def test_lost_connection_binds_more_than_a_round_again(
    rabbit: RabbitWorld, wire: Wire
) -> None:
    loadmgr, server = await rabbit.join("loadmgr"), await rabbit.join("ocpp-server", url_over(wire))
    inbox = await server.inbox(Evictions())
    await own_all(inbox, 1)
    wire.cut()
    await eventually(lambda: not server.is_connected)
    await eventually(lambda: server.is_connected, within_s=20)
    assert await unroutable(loadmgr) == []


async def test_owner_of_many_is_evicted_from_each_that_another_takes(rabbit: RabbitWorld) -> None:
    first, second = await rabbit.join("ocpp-server"), await rabbit.join("ocpp-server")
    loadmgr = await rabbit.join("loadmgr")
    evicted, old, new = Evictions(), Recorder(), Recorder()
    old_inbox = await first.inbox(evicted)
    old_inbox.on(ApplySetpoint, old.one)
    await own_all(old_inbox, 1)
    new_inbox = await second.inbox(Evictions())
    new_inbox.on(ApplySetpoint, new.one)
    await own_all(new_inbox, 2, NAMES[:-2])
    await eventually(lambda: len(evicted.heard) == MANY - 2)
    assert set(evicted.heard) == {(name, 2) for name in NAMES[:-2]}
    assert await unroutable(loadmgr) == []
    await eventually(lambda: (len(new.messages), len(old.messages)) == (MANY - 2, 2))


async def test_owner_of_many_objects_to_each_taking_that_is_not_newer(rabbit: RabbitWorld) -> None:
    holder, taker = await rabbit.join("ocpp-server"), await rabbit.join("ocpp-server")
    holder_evicted, taker_evicted = Evictions(), Evictions()
    holding = await holder.inbox(holder_evicted)
    await own_all(holding, 5)
    taking = await taker.inbox(taker_evicted)
    await own_all(taking, 4)
    await eventually(lambda: len(taker_evicted.heard) == MANY)
    assert set(taker_evicted.heard) == {(name, 5) for name in NAMES}
    assert not holder_evicted.heard
