"""Events: durable ones are safe when ``publish`` returns, transient ones never block."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.bus.port import Delivery
from shared.bus.topology import FACTS_TO_LOADMGR, SESSIONS_TO_API
from shared.clock import FakeClock
from shared.contracts.meter import MeterSampled
from shared.contracts.session import SessionEnded, SessionStarted
from shared.errors import Refused, StoreUnavailable
from tests.conditions import eventually
from tests.contract.conftest import World
from tests.contract_facts import SHARED_QUEUE, SMALL_QUEUE, Recorder, ended, sample, started


async def test_durable_fact_reaches_its_consumer_in_order(world: World) -> None:
    station, api = await world.join("ocpp-server"), await world.join("api")
    seen = Recorder()
    await api.consume(SESSIONS_TO_API, seen.batch, max_batch=10)
    facts = [started("1"), ended("1"), started("2")]
    for fact in facts:
        await station.publish(fact)
    await eventually(lambda: len(seen.messages) == 3)
    assert seen.messages == facts


async def test_facts_published_side_by_side_all_arrive(world: World) -> None:
    station, api = await world.join("ocpp-server"), await world.join("api")
    seen = Recorder()
    await api.consume(SESSIONS_TO_API, seen.batch, max_batch=50)
    await asyncio.gather(*(station.publish(started(str(n))) for n in range(300)))
    await eventually(lambda: len(seen.messages) == 300)
    assert {fact.session_id for fact in seen.messages} == {str(n) for n in range(300)}


async def test_listener_hears_durable_and_transient_events_of_every_address(world: World) -> None:
    bridge, api = await world.join("modbus-bridge"), await world.join("api")
    seen, committed = Recorder(), Recorder()
    await api.consume(SESSIONS_TO_API, committed.batch)
    await api.listen([MeterSampled, SessionStarted], seen.event)
    await bridge.publish(sample(1, "main"))
    await bridge.publish(sample(2, "a.b *#"))
    await bridge.publish(started("1"))
    await bridge.publish(ended("1"))
    await eventually(lambda: len(seen.messages) == 3 and len(committed.messages) == 2)
    assert {type(message) for message in seen.messages} == {MeterSampled, SessionStarted}


async def test_message_arrives_equal_to_what_was_sent(world: World) -> None:
    bridge, api = await world.join("modbus-bridge"), await world.join("api")
    seen = Recorder()
    await api.listen([MeterSampled], seen.event)
    await bridge.publish(sample(11_000.5))
    await eventually(lambda: seen.messages)
    assert seen.messages == [sample(11_000.5)]
    assert seen.messages[0].current_a.l2 is None


async def test_metadata_links_a_message_to_its_cause(world: World) -> None:
    station, api = await world.join("ocpp-server"), await world.join("api")
    seen = Recorder()

    async def answer_start_with_end(delivery: Delivery[SessionStarted]) -> None:
        await api.publish(ended(delivery.message.session_id), cause=delivery)

    await api.listen([SessionStarted], answer_start_with_end)
    await api.listen([SessionStarted, SessionEnded], seen.event)
    await api.consume(SESSIONS_TO_API, Recorder().batch)
    await station.publish(started("1"))
    await eventually(lambda: len(seen.deliveries) == 2)
    first, second = (delivery.meta for delivery in seen.deliveries)
    assert first.sender == station.instance
    assert first.causation_id is None
    assert first.correlation_id == first.message_id
    assert second.sender == api.instance
    assert second.causation_id == first.message_id
    assert second.correlation_id == first.correlation_id


async def test_listener_that_cannot_keep_up_loses_the_oldest(world: World) -> None:
    bridge, api = await world.join("modbus-bridge"), await world.join("api")
    slow, last = Recorder(), Recorder()
    slow.may_go_on.clear()
    await api.listen([MeterSampled], slow.event, limit=5)
    await api.listen([MeterSampled], last.event)
    await bridge.publish(sample(0))
    await eventually(lambda: slow.waits)
    for n in range(1, 101):
        await bridge.publish(sample(n))
    await eventually(lambda: len(last.messages) == 101)
    slow.may_go_on.set()
    await eventually(lambda: len(slow.messages) == 6)
    assert [message.power_w for message in slow.messages] == [0, 96, 97, 98, 99, 100]


async def test_listener_that_fails_hears_the_next_event(world: World) -> None:
    bridge, api = await world.join("modbus-bridge"), await world.join("api")
    seen = Recorder()
    seen.fail = lambda message: RuntimeError("first") if message.power_w == 1 else None
    await api.listen([MeterSampled], seen.event)
    await bridge.publish(sample(1))
    await bridge.publish(sample(2))
    await eventually(lambda: seen.messages)
    assert seen.messages == [sample(2)]


async def test_closed_listener_hears_nothing_more(world: World) -> None:
    bridge, api = await world.join("modbus-bridge"), await world.join("api")
    closed, other = Recorder(), Recorder()
    subscription = await api.listen([MeterSampled], closed.event)
    await api.listen([MeterSampled], other.event)
    await subscription.close()
    await bridge.publish(sample(1))
    await eventually(lambda: other.messages)
    assert not closed.messages


async def test_work_queue_keeps_events_until_somebody_consumes(world: World) -> None:
    bridge, loadmgr = await world.join("modbus-bridge"), await world.join("loadmgr")
    seen, heard = Recorder(), Recorder()
    await loadmgr.listen([MeterSampled], heard.event)
    await bridge.publish(sample(1))
    await eventually(lambda: heard.messages)
    await loadmgr.consume(FACTS_TO_LOADMGR, seen.batch)
    await eventually(lambda: seen.messages)
    assert seen.messages == [sample(1)]


async def test_full_work_queue_loses_the_oldest(world: World) -> None:
    bridge, loadmgr = await world.join("modbus-bridge"), await world.join("loadmgr")
    heard, first, second = Recorder(), Recorder(), Recorder()
    await loadmgr.listen([MeterSampled], heard.event)
    await (await loadmgr.consume(SMALL_QUEUE, first.batch)).close()
    for n in range(10):
        await bridge.publish(sample(n))
        # One by one: what is published at once may travel and count as one message.
        await eventually(lambda: len(heard.messages) == n + 1)  # noqa: B023 - awaited in the loop
    await loadmgr.consume(SMALL_QUEUE, second.batch)
    await eventually(lambda: len(second.messages) == 3)
    assert [message.power_w for message in second.messages] == [7, 8, 9]
    assert not first.messages


async def test_expired_event_is_not_delivered(world: World, clock: FakeClock) -> None:
    bridge, loadmgr = await world.join("modbus-bridge"), await world.join("loadmgr")
    seen, heard = Recorder(), Recorder()
    await loadmgr.listen([MeterSampled], heard.event)
    await bridge.publish(sample(1))
    await eventually(lambda: heard.messages)
    clock.advance(MeterSampled.expires_after_s + 1)
    await bridge.publish(sample(2))
    await loadmgr.consume(FACTS_TO_LOADMGR, seen.batch)
    await eventually(lambda: seen.messages)
    assert seen.messages == [sample(2)]


async def test_billing_fact_never_expires(world: World, clock: FakeClock) -> None:
    station, api = await world.join("ocpp-server"), await world.join("api")
    seen = Recorder()
    publishing = asyncio.create_task(station.publish(started("1")))
    await asyncio.sleep(0)
    clock.advance(30 * 86_400)
    await api.consume(SESSIONS_TO_API, seen.batch)
    await publishing
    await eventually(lambda: seen.messages)


async def test_failing_fact_goes_to_the_dead_letters_and_the_rest_is_committed(
    world: World,
) -> None:
    station, api = await world.join("ocpp-server"), await world.join("api")
    seen = Recorder()
    seen.fail = lambda fact: Refused("no such evse") if fact.session_id == "bad" else None
    seen.may_go_on.clear()
    await api.consume(SESSIONS_TO_API, seen.batch, max_batch=10)
    names = ["1", "2", "bad", "3"]
    publishing = asyncio.gather(*(station.publish(started(name)) for name in names))
    await eventually(lambda: seen.waits)
    seen.may_go_on.set()
    await publishing
    await eventually(lambda: len(seen.messages) == 3)
    assert [fact.session_id for fact in seen.messages] == ["1", "2", "3"]
    letters = await eventually(world.dead_letters)
    assert [letter.topic for letter in letters] == ["session.started.v1"]
    assert letters[0].queue == "api.sessions"
    assert letters[0].reason == "Refused: no such evse"


async def test_unexpected_failure_of_a_handler_is_a_dead_letter_too(world: World) -> None:
    station, api = await world.join("ocpp-server"), await world.join("api")
    broken = Recorder()
    broken.fail = lambda _: KeyError("evse")
    await api.consume(SESSIONS_TO_API, broken.batch)
    await station.publish(started("1"))
    letters = await eventually(world.dead_letters)
    assert letters[0].reason == "KeyError: 'evse'"


async def test_retryable_failure_keeps_batch_and_order(world: World) -> None:
    station, api = await world.join("ocpp-server"), await world.join("api")
    seen = Recorder()
    attempts: list[str] = []

    def database_is_back_at_the_fourth_attempt(fact: SessionStarted) -> Exception | None:
        attempts.append(fact.session_id)
        return StoreUnavailable("starting up") if len(attempts) < 4 else None

    seen.fail = database_is_back_at_the_fourth_attempt
    await api.consume(SESSIONS_TO_API, seen.batch, max_batch=1)
    await asyncio.gather(*(station.publish(started(name)) for name in "abc"))
    await eventually(lambda: len(seen.messages) == 3)
    assert attempts == ["a", "a", "a", "a", "b", "c"]
    assert [fact.session_id for fact in seen.messages] == ["a", "b", "c"]
    assert not await world.dead_letters()


async def test_batches_are_no_larger_than_asked_for(world: World) -> None:
    station, api = await world.join("ocpp-server"), await world.join("api")
    seen = Recorder()
    await api.consume(SESSIONS_TO_API, seen.batch, max_batch=4)
    await asyncio.gather(*(station.publish(started(str(n))) for n in range(40)))
    await eventually(lambda: len(seen.messages) == 40)
    assert max(seen.batches) <= 4
    assert [fact.session_id for fact in seen.messages] == [str(n) for n in range(40)]


async def test_standby_takes_over_when_the_active_consumer_leaves(world: World) -> None:
    station = await world.join("ocpp-server")
    first, second = await world.join("api"), await world.join("api")
    active, standby = Recorder(), Recorder()
    await first.consume(SESSIONS_TO_API, active.batch)
    await second.consume(SESSIONS_TO_API, standby.batch)
    await station.publish(started("1"))
    await station.publish(started("2"))
    await eventually(lambda: len(active.messages) == 2)
    assert not standby.messages
    await first.close()
    await station.publish(started("3"))
    await eventually(lambda: standby.messages)
    assert standby.messages == [started("3")]


async def test_fact_that_a_leaving_consumer_could_not_commit_goes_to_the_next(
    world: World,
) -> None:
    station = await world.join("ocpp-server")
    first, second = await world.join("api"), await world.join("api")
    without_database, healthy = Recorder(), Recorder()
    without_database.fail = lambda _: StoreUnavailable("away")
    await first.consume(SESSIONS_TO_API, without_database.batch)
    publishing = asyncio.create_task(station.publish(started("1")))
    await eventually(lambda: without_database.batches)
    await second.consume(SESSIONS_TO_API, healthy.batch)
    await first.close()
    await publishing
    await eventually(lambda: healthy.messages)
    assert healthy.messages == [started("1")]


async def test_queue_without_single_active_is_shared_by_its_consumers(world: World) -> None:
    bridge = await world.join("modbus-bridge")
    first, second = await world.join("loadmgr"), await world.join("loadmgr")
    one, two = Recorder(), Recorder()
    one.may_go_on.clear()
    two.may_go_on.clear()
    await first.consume(SHARED_QUEUE, one.batch)
    await second.consume(SHARED_QUEUE, two.batch)
    for n in range(10):
        await bridge.publish(sample(n))
        await asyncio.sleep(0.01)  # what is published at once may travel to one of them together
    await eventually(lambda: one.waits and two.waits)
    one.may_go_on.set()
    two.may_go_on.set()
    await eventually(lambda: len(one.messages) + len(two.messages) == 10)


async def test_cancelled_wait_inside_a_handler_is_a_failure_and_not_the_end(world: World) -> None:
    bridge, api = await world.join("modbus-bridge"), await world.join("api")
    seen = Recorder()

    async def waits_for_something_cancelled(delivery: Delivery[MeterSampled]) -> None:
        if delivery.message.power_w == 1:
            cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            cancelled.cancel()
            await cancelled
        await seen.event(delivery)

    await api.listen([MeterSampled], waits_for_something_cancelled)
    await bridge.publish(sample(1))
    await bridge.publish(sample(2))
    await eventually(lambda: seen.messages)
    assert seen.messages == [sample(2)]


@pytest.mark.parametrize("count", [2])
async def test_participants_of_one_service_have_names_of_their_own(
    world: World, count: int
) -> None:
    names = {(await world.join("api")).instance for _ in range(count)}
    assert len(names) == count
    assert all(name.startswith("api/") for name in names)


async def test_a_flood_of_samples_arrives_whole_and_in_order(world: World) -> None:
    bridge, loadmgr, api = (
        await world.join("modbus-bridge"),
        await world.join("loadmgr"),
        await world.join("api"),
    )
    worked, heard = Recorder(), Recorder()
    await loadmgr.consume(FACTS_TO_LOADMGR, worked.batch, max_batch=7)
    await api.listen([MeterSampled], heard.event)
    wanted = [sample(number, f"meter {number % 3}") for number in range(1_000)]
    for event in wanted:
        await bridge.publish(event)
    await eventually(lambda: len(worked.messages) == len(heard.messages) == 1_000)
    assert worked.messages == wanted
    assert heard.messages == wanted


async def test_one_bad_sample_of_a_flood_is_a_dead_letter_alone(world: World) -> None:
    bridge, loadmgr = await world.join("modbus-bridge"), await world.join("loadmgr")
    worked: list[float | None] = []

    async def take(deliveries: Sequence[Delivery[MeterSampled]]) -> None:
        if any(delivery.message.power_w == 50 for delivery in deliveries):
            raise ValueError("cannot take 50")
        worked.extend(delivery.message.power_w for delivery in deliveries)

    await loadmgr.consume(FACTS_TO_LOADMGR, take, max_batch=20)
    for number in range(100):
        await bridge.publish(sample(number))
    await eventually(lambda: len(worked) == 99)
    (letter,) = await world.dead_letters()
    assert (letter.topic, letter.queue) == ("meter.sampled.v1", "loadmgr.facts")
    assert worked == [number for number in range(100) if number != 50]
