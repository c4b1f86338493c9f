"""What RabbitMQ must add: facts outlive the broker's death, and everything is bound again."""

import asyncio
import time
from collections.abc import AsyncIterator

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from shared.bus.connect import connect
from shared.bus.port import Bus
from shared.bus.topology import (
    EVENTS_EXCHANGE,
    FACTS_TO_LOADMGR,
    OBSERVATIONS_TO_GATEWAY,
    ORDERS_EXCHANGE,
    SESSIONS_TO_API,
    ownership_key,
)
from shared.clock import FakeClock
from shared.contracts.charging import ApplySetpoint
from shared.contracts.message import station_address
from shared.contracts.meter import MeterSampled
from shared.contracts.ocpp import CallStation
from shared.errors import ConfigError, NotSafe, ParkadeError, ReplyTimeout, Unroutable
from tests.broker import Broker, free_port
from tests.conditions import eventually
from tests.contract.conftest import RabbitWorld
from tests.contract_facts import (
    ANSWERED,
    SMALL_QUEUE,
    Evictions,
    Recorder,
    call,
    sample,
    setpoint,
    started,
)
from tests.wire import Wire

pytestmark = pytest.mark.rabbit

STATION = station_address("CP#1")


@pytest.fixture
async def wire(broker: Broker) -> AsyncIterator[Wire]:
    """A wire to the broker that can be cut."""
    async with Wire("127.0.0.1", broker.port) as opened:
        yield opened


def url_over(wire: Wire) -> str:
    """Return the broker's URL through a wire."""
    return f"amqp://guest:guest@127.0.0.1:{wire.port}/"


class Garage:
    """One participant of every kind, each with everything that lives on a connection."""

    def __init__(self) -> None:
        self.facts, self.work, self.heard = Recorder(), Recorder(), Recorder()
        self.commands, self.requests = Recorder(), Recorder(ANSWERED)
        self.evicted = Evictions()
        self._count = 1_000

    async def open(self, server: Bus, api: Bus) -> None:
        self.server, self.api = server, api
        await api.consume(SESSIONS_TO_API, self.facts.batch, max_batch=10)
        await api.consume(FACTS_TO_LOADMGR, self.work.batch, max_batch=10)
        await api.listen([MeterSampled], self.heard.event)
        inbox = await server.inbox(self.evicted)
        inbox.on(ApplySetpoint, self.commands.one)
        inbox.on(CallStation, self.requests.one)
        await inbox.own(STATION, 7)
        await self.works()

    async def works(self) -> None:
        """Prove that every path carries a message that was sent just now."""
        self._count += 1
        number = self._count
        await eventually(
            lambda: self.server.is_connected and self.api.is_connected,
            within_s=40,
            claim="both participants are connected again",
        )
        await self._sent(number)
        await self.server.publish(started(str(number)))
        await self.server.publish(sample(number))
        await eventually(lambda: started(str(number)) in self.facts.messages)
        await eventually(lambda: sample(number) in self.work.messages)
        await eventually(lambda: sample(number) in self.heard.messages)
        await eventually(lambda: setpoint(number) in self.commands.messages)
        assert await self.api.ask(call(), timeout_s=5) == ANSWERED
        assert not self.evicted.heard

    async def _sent(self, number: int) -> None:
        async def is_sent() -> bool:
            try:
                await self.api.send(setpoint(number))
            except (NotSafe, Unroutable):
                return False
            return True

        await eventually(is_sent, within_s=20, claim="the command finds its owner again")


async def test_fact_outlives_the_death_of_the_broker(rabbit: RabbitWorld, broker: Broker) -> None:
    station = await rabbit.join("ocpp-server")
    await asyncio.gather(*(station.publish(started(str(n))) for n in range(50)))
    broker.kill()
    await asyncio.to_thread(broker.start)
    api, seen = await rabbit.join("api"), Recorder()
    await api.consume(SESSIONS_TO_API, seen.batch, max_batch=10)
    await eventually(lambda: len(seen.messages) >= 50, within_s=20)
    assert {fact.session_id for fact in seen.messages} == {str(n) for n in range(50)}


async def test_everything_is_bound_again_after_the_broker_was_killed(
    rabbit: RabbitWorld, broker: Broker
) -> None:
    garage = Garage()
    await garage.open(await rabbit.join("ocpp-server"), await rabbit.join("api"))
    broker.kill()
    await eventually(lambda: not garage.server.is_connected)
    await asyncio.to_thread(broker.start)
    await garage.works()


async def test_everything_is_bound_again_after_the_wire_was_cut(
    rabbit: RabbitWorld, wire: Wire
) -> None:
    garage = Garage()
    url = url_over(wire)
    await garage.open(await rabbit.join("ocpp-server", url), await rabbit.join("api", url))
    for _ in range(3):
        wire.cut()
        await eventually(lambda: not garage.server.is_connected)
        await garage.works()


@pytest.mark.parametrize("after_bytes", [1, 40, 333])
async def test_fact_survives_a_wire_that_is_cut_within_its_message(
    rabbit: RabbitWorld, wire: Wire, after_bytes: int
) -> None:
    station, api = await rabbit.join("ocpp-server", url_over(wire)), await rabbit.join("api")
    seen = Recorder()
    await api.consume(SESSIONS_TO_API, seen.batch)
    wire.cut(after_bytes=after_bytes)
    await station.publish(started("1"))
    await eventually(lambda: started("1") in seen.messages)
    assert wire.connections == 2


async def test_facts_in_flight_when_the_wire_is_cut_all_arrive(
    rabbit: RabbitWorld, wire: Wire
) -> None:
    station, api = await rabbit.join("ocpp-server", url_over(wire)), await rabbit.join("api")
    seen = Recorder()
    await api.consume(SESSIONS_TO_API, seen.batch, max_batch=20)
    wire.cut(after_bytes=20_000)
    await asyncio.gather(*(station.publish(started(str(n))) for n in range(200)))
    assert wire.connections == 2
    names = {str(n) for n in range(200)}
    await eventually(lambda: {fact.session_id for fact in seen.messages} == names)


async def test_consumer_whose_wire_is_cut_gets_the_uncommitted_batch_again(
    rabbit: RabbitWorld, wire: Wire
) -> None:
    station, api = await rabbit.join("ocpp-server"), await rabbit.join("api", url_over(wire))
    seen = Recorder()
    seen.may_go_on.clear()
    await api.consume(SESSIONS_TO_API, seen.batch, max_batch=5)
    for n in range(5):
        await station.publish(started(str(n)))
    await eventually(lambda: seen.waits)
    wire.cut()
    await eventually(lambda: wire.connections == 2 and api.is_connected)
    seen.may_go_on.set()
    await eventually(lambda: {f.session_id for f in seen.messages} == set("01234"))
    assert not await rabbit.dead_letters()


async def test_while_the_broker_is_away_samples_are_dropped_and_nothing_else_is_promised(
    rabbit: RabbitWorld, wire: Wire
) -> None:
    bus = await rabbit.join("ocpp-server", url_over(wire), safe_within_s=0.5)
    wire.unplug()
    await eventually(lambda: not bus.is_connected)
    begun = time.monotonic()
    for n in range(100):
        await bus.publish(sample(n))
    with pytest.raises(NotSafe):
        await bus.send(setpoint(1))
    with pytest.raises((NotSafe, ReplyTimeout)):
        await bus.ask(call(), timeout_s=0.5)
    assert time.monotonic() - begun < 1.0
    with pytest.raises(NotSafe):
        await bus.publish(started("1"))
    assert time.monotonic() - begun > 0.5
    assert bus.dropped == 100
    wire.plug()
    await eventually(lambda: bus.is_connected, within_s=20)
    await bus.publish(started("1"))


async def test_fact_waits_for_a_broker_that_comes_back_in_time(
    rabbit: RabbitWorld, wire: Wire
) -> None:
    bus = await rabbit.join("ocpp-server", url_over(wire))
    wire.unplug()
    await eventually(lambda: not bus.is_connected)
    publishing = asyncio.create_task(bus.publish(started("1")))
    await asyncio.sleep(0)
    wire.plug()
    await publishing


async def test_address_taken_while_the_broker_is_away_is_owned_when_it_is_back(
    rabbit: RabbitWorld, wire: Wire
) -> None:
    loadmgr, server = await rabbit.join("loadmgr"), await rabbit.join("ocpp-server", url_over(wire))
    seen = Recorder()
    inbox = await server.inbox(Evictions())
    inbox.on(ApplySetpoint, seen.one)
    await inbox.own(station_address("left meanwhile"), 1)
    wire.unplug()
    await eventually(lambda: not server.is_connected)
    await inbox.own(STATION, 1)
    await inbox.release(station_address("left meanwhile"), 1)
    wire.plug()
    await eventually(lambda: server.is_connected, within_s=20)
    await loadmgr.send(setpoint(1))
    await eventually(lambda: seen.messages)
    with pytest.raises(Unroutable):
        await loadmgr.send(setpoint(1, "left meanwhile"))


async def test_owner_that_was_away_while_a_newer_one_took_over_is_evicted_on_return(
    rabbit: RabbitWorld, wire: Wire
) -> None:
    loadmgr = await rabbit.join("loadmgr")
    away, newer = await rabbit.join("ocpp-server", url_over(wire)), await rabbit.join("ocpp-server")
    evicted, seen = Evictions(), Recorder()
    old = await away.inbox(evicted)
    await old.own(STATION, 1)
    wire.unplug()
    await eventually(lambda: not away.is_connected)
    new = await newer.inbox(Evictions())
    new.on(ApplySetpoint, seen.one)
    await new.own(STATION, 2)
    wire.plug()
    await eventually(lambda: evicted.heard, within_s=20)
    assert evicted.heard == [("CP#1", 2)]
    await loadmgr.send(setpoint(1))
    await eventually(lambda: seen.messages)


@pytest.mark.parametrize(
    ("topic", "body"),
    [("meter.sampled.v9", b"{}"), ("session.started.v1", b"{}"), ("session.started.v1", b"\xff")],
)
async def test_event_that_has_no_meaning_here_is_a_dead_letter(
    rabbit: RabbitWorld, topic: str, body: bytes
) -> None:
    api, seen = await rabbit.join("api"), Recorder()
    await api.consume(SESSIONS_TO_API, seen.batch)
    await inject(rabbit, EVENTS_EXCHANGE, "session.started.v1.evse:1", body, kind=topic)
    await api.publish(started("1"))
    await eventually(lambda: seen.messages)
    letters = await eventually(rabbit.dead_letters)
    assert letters[0].topic == topic
    assert letters[0].reason.startswith("ProtocolViolation: ")


async def test_order_that_has_no_meaning_here_is_a_dead_letter(rabbit: RabbitWorld) -> None:
    server, seen = await rabbit.join("ocpp-server"), Recorder()
    inbox = await server.inbox(Evictions())
    inbox.on(ApplySetpoint, seen.one)
    await inbox.own(STATION, 1)
    key = ownership_key(STATION)
    await inject(rabbit, ORDERS_EXCHANGE, key, b"{}", kind="charging.apply_setpoint.v9")
    await (await rabbit.join("loadmgr")).send(setpoint(1))
    await eventually(lambda: seen.messages)
    assert (await eventually(rabbit.dead_letters))[0].topic == "charging.apply_setpoint.v9"


async def test_fact_that_kills_its_consumers_ends_among_the_dead_letters(
    rabbit: RabbitWorld,
) -> None:
    station = await rabbit.join("ocpp-server")
    await station.publish(started("poison"))
    async with await aio_pika.connect(rabbit.broker.url) as connection:
        queue = await (await connection.channel()).get_queue(SESSIONS_TO_API.name)

        async def give_back(message: AbstractIncomingMessage) -> None:
            await message.nack(requeue=True)  # counts like dying with the message in one's hands

        await queue.consume(give_back)
        await eventually(rabbit.dead_letters, within_s=30, claim="the delivery limit ends it")
    assert (await rabbit.dead_letters())[0].reason == "delivery_limit"


async def test_connecting_waits_for_the_broker_to_appear(
    rabbit: RabbitWorld, wire: Wire, clock: FakeClock
) -> None:
    wire.unplug()
    connecting = asyncio.create_task(connect(url_over(wire), "api", clock=clock))
    await asyncio.sleep(0.3)
    assert not connecting.done()
    wire.plug()
    bus = await connecting
    assert bus.is_connected
    await bus.close()


async def test_connecting_can_be_given_up(clock: FakeClock) -> None:
    url = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await connect(url, "api", clock=clock)
    await eventually(lambda: asyncio.all_tasks() == before)


@pytest.mark.parametrize("url", ["redis://host/", "localhost:5672", "memory://", ""])
async def test_url_of_no_known_bus_says_what_is_expected(url: str) -> None:
    with pytest.raises(ConfigError, match="amqp://"):
        await connect(url, "api")


async def test_queue_that_exists_with_other_arguments_is_a_clear_error(
    rabbit: RabbitWorld,
) -> None:
    async with await aio_pika.connect(rabbit.broker.url) as connection:
        channel = await connection.channel()
        await channel.queue_delete(OBSERVATIONS_TO_GATEWAY.name)
        await channel.declare_queue(OBSERVATIONS_TO_GATEWAY.name, durable=True)
        with pytest.raises(ConfigError, match=r"gateway\.observations"):
            await rabbit.join("gateway")
        await channel.queue_delete(OBSERVATIONS_TO_GATEWAY.name)
    bus = await rabbit.join("gateway")
    async with await aio_pika.connect(rabbit.broker.url) as connection:
        channel = await connection.channel()
        await channel.queue_delete(SMALL_QUEUE.name)
        await channel.declare_queue(SMALL_QUEUE.name, durable=True)
        with pytest.raises(ConfigError, match=r"test\.small"):
            await bus.consume(SMALL_QUEUE, Recorder().batch)
        await channel.queue_delete(SMALL_QUEUE.name)
    await eventually(lambda: bus.is_connected)


async def test_consumer_whose_queue_is_deleted_declares_it_again(rabbit: RabbitWorld) -> None:
    bridge, loadmgr, seen = await rabbit.join("a"), await rabbit.join("b"), Recorder()
    await loadmgr.consume(SMALL_QUEUE, seen.batch)
    async with await aio_pika.connect(rabbit.broker.url) as connection:
        await (await connection.channel()).queue_delete(SMALL_QUEUE.name)
    await eventually(lambda: not loadmgr.is_connected, every_s=0.001)
    await eventually(lambda: loadmgr.is_connected)
    await bridge.publish(sample(1))
    await eventually(lambda: seen.messages)


async def test_leaving_while_connecting_again_ends_at_once(rabbit: RabbitWorld, wire: Wire) -> None:
    for pause_s in (0.0, 0.01, 0.02, 0.04, 0.06):
        bus = await rabbit.join("api", url_over(wire))
        wire.unplug()
        await eventually(lambda bus=bus: not bus.is_connected)
        wire.plug()
        await eventually(lambda: wire.connections % 2 == 0, every_s=0.001)
        await asyncio.sleep(pause_s)  # somewhere within the handshake and the declarations
        async with asyncio.timeout(5):
            await bus.close()
        wire.connections = 0


async def test_questions_open_when_the_wire_is_cut_end_as_retryable(
    rabbit: RabbitWorld, wire: Wire
) -> None:
    api, server = await rabbit.join("api", url_over(wire)), await rabbit.join("ocpp-server")
    silent = Recorder(ANSWERED)
    silent.may_go_on.clear()
    inbox = await server.inbox(Evictions())
    inbox.on(CallStation, silent.one)
    await inbox.own(STATION, 1)
    asking = asyncio.create_task(api.ask(call(), timeout_s=30))
    await eventually(lambda: silent.waits)
    wire.cut()
    with pytest.raises(ParkadeError) as caught:
        await asking
    assert caught.value.retryable
    silent.may_go_on.set()


async def inject(
    rabbit: RabbitWorld, exchange: str, routing_key: str, body: bytes, *, kind: str
) -> None:
    """Publish what no participant would."""
    async with await aio_pika.connect(rabbit.broker.url) as connection:
        channel = await connection.channel()
        target = await channel.get_exchange(exchange)
        await target.publish(aio_pika.Message(body, type=kind), routing_key)
