"""Commands and requests: they reach the one owner of an address, or come back at once."""

import asyncio
import time
from dataclasses import dataclass

import pytest

from shared.bus.orders import OPEN_REQUESTS, WAITING_LIMIT
from shared.bus.port import MOST_TOGETHER, Delivery, Inbox
from shared.clock import FakeClock
from shared.contracts.charging import ApplySetpoint
from shared.contracts.message import Reply, service_address, station_address
from shared.contracts.ocpp import CallOutcome, CallResult, CallStation
from shared.contracts.site import GetSite, SiteAnswer, SiteConfig
from shared.errors import (
    DeviceUnreachable,
    HandlerFailed,
    ParkadeError,
    Refused,
    ReplyTimeout,
    Unroutable,
)
from tests.conditions import eventually
from tests.contract.conftest import World
from tests.contract_facts import ANSWERED, Evictions, Recorder, call, setpoint

STATION = station_address("CP#1")


async def obeying(world: World, *names: str) -> Recorder:
    """Return what a new participant records of the setpoints for the stations that it owns."""
    seen, inbox = Recorder(), await (await world.join("ocpp-server")).inbox(Evictions())
    inbox.on(ApplySetpoint, seen.one)
    for name in names:
        await inbox.own(station_address(name), 1)
    return seen


async def test_command_reaches_the_owner_of_its_address_only(world: World) -> None:
    loadmgr = await world.join("loadmgr")
    mine, other = await obeying(world, "CP#1"), await obeying(world, "CP#2")
    await loadmgr.send(setpoint(1))
    await loadmgr.send(setpoint(2, "CP#2"))
    await eventually(lambda: mine.messages and other.messages)
    assert mine.messages == [setpoint(1)]
    assert other.messages == [setpoint(2, "CP#2")]


async def test_commands_to_one_address_are_obeyed_in_order_one_by_one(world: World) -> None:
    loadmgr, seen = await world.join("loadmgr"), await obeying(world, "CP#1")
    seen.may_go_on.clear()
    for revision in range(20):
        await loadmgr.send(setpoint(revision))
    await eventually(lambda: seen.waits)
    assert seen.waits == 1
    seen.may_go_on.set()
    await eventually(lambda: len(seen.messages) == 20)
    assert [command.revision for command in seen.messages] == list(range(20))


@pytest.mark.parametrize("kind", ["command", "request"])
async def test_order_to_nobody_comes_back_at_once(world: World, kind: str) -> None:
    loadmgr, timeout_s = await world.join("loadmgr"), 30.0
    begun = time.monotonic()
    order = (
        loadmgr.send(setpoint(1)) if kind == "command" else loadmgr.ask(call(), timeout_s=timeout_s)
    )
    with pytest.raises(Unroutable):
        await order
    assert time.monotonic() - begun < timeout_s / 15


async def test_commands_sent_together_reach_each_its_own_owner_in_order(world: World) -> None:
    loadmgr = await world.join("loadmgr")
    mine, other = await obeying(world, "CP#1", "CP#3"), await obeying(world, "CP#2")
    sent = [setpoint(1), setpoint(2, "CP#2"), setpoint(3), setpoint(4, "CP#3"), setpoint(5)]
    await loadmgr.send_together(sent)
    await eventually(lambda: len(mine.messages) == 4 and other.messages)
    assert [m for m in mine.messages if m.station_id == "CP#1"] == [sent[0], sent[2], sent[4]]
    assert sent[3] in mine.messages
    assert other.messages == [sent[1]]
    assert len({delivery.meta.message_id for delivery in mine.deliveries}) == 4


async def test_as_many_as_may_go_together_arrive(world: World) -> None:
    names = [f"{number:03d} {'ö' * 40}" for number in range(MOST_TOGETHER)]  # long on the wire
    loadmgr, seen = await world.join("loadmgr"), await obeying(world, *names)
    await loadmgr.send_together([setpoint(1, name) for name in names])
    await eventually(lambda: len(seen.messages) == MOST_TOGETHER)
    assert sorted(command.station_id for command in seen.messages) == names


async def test_one_of_many_that_nobody_owns_is_lost_unseen(world: World) -> None:
    loadmgr, seen = await world.join("loadmgr"), await obeying(world, "CP#1")
    await loadmgr.send_together([setpoint(1, "nobody's"), setpoint(2)])
    await eventually(lambda: seen.messages)
    assert seen.messages == [setpoint(2)]
    assert await world.dead_letters() == []


async def test_commands_of_which_nobody_owns_any_come_back_at_once(world: World) -> None:
    loadmgr = await world.join("loadmgr")
    with pytest.raises(Unroutable):
        await loadmgr.send_together([setpoint(1), setpoint(2, "CP#2")])


async def test_failing_one_of_many_is_a_dead_letter_and_the_others_are_obeyed(
    world: World,
) -> None:
    loadmgr, seen = await world.join("loadmgr"), await obeying(world, "CP#1")
    seen.fail = lambda command: Refused("no such connector") if command.revision == 1 else None
    await loadmgr.send_together([setpoint(1), setpoint(2)])
    await eventually(lambda: seen.messages)
    assert seen.messages == [setpoint(2)]
    letters = await eventually(world.dead_letters)
    assert [(one.topic, one.reason) for one in letters] == [
        (ApplySetpoint.topic, "Refused: no such connector")
    ]


async def test_request_is_answered(world: World) -> None:
    api, server = await world.join("api"), await world.join("ocpp-server")
    inbox = await server.inbox(Evictions())
    inbox.on(CallStation, Recorder(ANSWERED).one)
    await inbox.own(STATION, 1)
    assert await api.ask(call(), timeout_s=5) == ANSWERED


async def test_many_requests_get_each_its_own_answer(world: World) -> None:
    api, server = await world.join("api"), await world.join("ocpp-server")

    async def echo(delivery: Delivery[CallStation]) -> Reply:
        return CallOutcome(outcome=CallResult.ANSWERED, payload_text=delivery.message.action)

    inbox = await server.inbox(Evictions())
    inbox.on(CallStation, echo)
    await inbox.own(STATION, 1)
    answers = await asyncio.gather(*(api.ask(call(f"Action{n}"), timeout_s=10) for n in range(100)))
    assert [answer.payload_text for answer in answers] == [f"Action{n}" for n in range(100)]


async def test_slow_request_delays_no_command_to_the_same_station(world: World) -> None:
    api, server = await world.join("api"), await world.join("ocpp-server")
    slow, quick = Recorder(ANSWERED), Recorder()
    slow.may_go_on.clear()
    inbox = await server.inbox(Evictions())
    inbox.on(CallStation, slow.one)
    inbox.on(ApplySetpoint, quick.one)
    await inbox.own(STATION, 1)
    asking = asyncio.create_task(api.ask(call(), timeout_s=10))
    await eventually(lambda: slow.waits)
    await api.send(setpoint(1))
    await eventually(lambda: quick.messages)
    slow.may_go_on.set()
    assert await asking == ANSWERED


async def test_request_without_answer_ends_at_its_time_limit(world: World) -> None:
    api, server = await world.join("api"), await world.join("ocpp-server")
    silent = Recorder(ANSWERED)
    silent.may_go_on.clear()
    inbox = await server.inbox(Evictions())
    inbox.on(CallStation, silent.one)
    await inbox.own(STATION, 1)
    begun = time.monotonic()
    with pytest.raises(ReplyTimeout):
        await api.ask(call(), timeout_s=0.3)
    assert 0.25 < time.monotonic() - begun < 3
    silent.may_go_on.set()


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (Refused("the cable is locked"), Refused),
        (DeviceUnreachable("no answer in 30 s"), DeviceUnreachable),
        (Unroutable("gone this moment"), Unroutable),
    ],
)
async def test_expected_error_reaches_the_asker_with_class_and_text(
    world: World, raised: ParkadeError, expected: type[ParkadeError]
) -> None:
    api, server = await world.join("api"), await world.join("ocpp-server")
    failing = Recorder()
    failing.fail = lambda _: raised
    inbox = await server.inbox(Evictions())
    inbox.on(CallStation, failing.one)
    await inbox.own(STATION, 1)
    with pytest.raises(expected, match=str(raised)):
        await api.ask(call(), timeout_s=5)


async def test_unexpected_error_tells_the_asker_nothing_of_itself(world: World) -> None:
    api, server = await world.join("api"), await world.join("ocpp-server")
    failing = Recorder()
    failing.fail = lambda _: RuntimeError("password=hunter2")
    inbox = await server.inbox(Evictions())
    inbox.on(CallStation, failing.one)
    await inbox.own(STATION, 1)
    with pytest.raises(HandlerFailed) as caught:
        await api.ask(call(), timeout_s=5)
    assert "hunter2" not in str(caught.value)


async def test_request_that_no_handler_understands_is_refused(world: World) -> None:
    api, server = await world.join("api"), await world.join("ocpp-server")
    inbox = await server.inbox(Evictions())
    await inbox.own(STATION, 1)
    with pytest.raises(Refused):
        await api.ask(call(), timeout_s=5)


async def test_handler_that_returns_nothing_to_a_request_has_failed(world: World) -> None:
    api, server = await world.join("api"), await world.join("ocpp-server")
    inbox = await server.inbox(Evictions())
    inbox.on(CallStation, Recorder(None).one)
    await inbox.own(STATION, 1)
    with pytest.raises(HandlerFailed):
        await api.ask(call(), timeout_s=5)


async def test_failing_command_is_a_dead_letter_and_the_next_is_obeyed(world: World) -> None:
    loadmgr, seen = await world.join("loadmgr"), await obeying(world, "CP#1")
    seen.fail = lambda command: Refused("no such connector") if command.revision == 1 else None
    await loadmgr.send(setpoint(1))
    await loadmgr.send(setpoint(2))
    await eventually(lambda: seen.messages)
    assert seen.messages == [setpoint(2)]
    letters = await eventually(world.dead_letters)
    assert letters[0].topic == ApplySetpoint.topic
    assert letters[0].reason == "Refused: no such connector"


async def test_expired_command_is_not_obeyed(world: World, clock: FakeClock) -> None:
    loadmgr, seen = await world.join("loadmgr"), await obeying(world, "CP#1")
    seen.may_go_on.clear()
    await loadmgr.send(setpoint(1))
    await eventually(lambda: seen.waits)
    await loadmgr.send(setpoint(2))
    clock.advance(ApplySetpoint.expires_after_s + 1)
    await loadmgr.send(setpoint(3))
    seen.may_go_on.set()
    await eventually(lambda: len(seen.messages) == 2)
    assert [command.revision for command in seen.messages] == [1, 3]


async def test_newest_epoch_takes_over_and_the_old_owner_is_evicted(world: World) -> None:
    loadmgr = await world.join("loadmgr")
    first, second = await world.join("ocpp-server"), await world.join("ocpp-server")
    old, new, evicted = Recorder(), Recorder(), Evictions()
    old_inbox = await first.inbox(evicted)
    old_inbox.on(ApplySetpoint, old.one)
    await old_inbox.own(STATION, 1)
    await loadmgr.send(setpoint(1))
    await eventually(lambda: old.messages)
    new_inbox = await second.inbox(Evictions())
    new_inbox.on(ApplySetpoint, new.one)
    await new_inbox.own(STATION, 2)
    await eventually(lambda: evicted.heard)
    for revision in range(2, 12):
        await loadmgr.send(setpoint(revision))
    await eventually(lambda: len(new.messages) == 10)
    assert evicted.heard == [("CP#1", 2)]
    assert old.messages == [setpoint(1)]


@dataclass
class Hands:
    """Three owners, between whom an address goes round, and everything that any of them obeyed."""

    inboxes: list[Inbox]
    seen: Recorder

    @classmethod
    async def of(cls, world: World) -> "Hands":
        """The first of them has the address."""
        seen, inboxes = Recorder(), []
        for _ in range(3):
            inbox = await (await world.join("ocpp-server")).inbox(Evictions())
            inbox.on(ApplySetpoint, seen.one)
            inboxes.append(inbox)
        await inboxes[0].own(STATION, 1)
        return cls(inboxes, seen)

    async def change(self) -> None:
        """Ten times the next one takes it."""
        for epoch in range(2, 12):
            await self.inboxes[epoch % 3].own(STATION, epoch)

    async def obey(self, sent: set[tuple[str, int]]) -> None:
        """Return when each of these (station, revision) has been obeyed, and nothing else."""
        await eventually(lambda: {(c.station_id, c.revision) for c in self.seen.messages} == sent)


async def test_no_command_is_lost_while_an_address_changes_hands(world: World) -> None:
    loadmgr, hands = await world.join("loadmgr"), await Hands.of(world)

    async def command() -> None:
        for revision in range(100):
            await loadmgr.send(setpoint(revision))

    await asyncio.gather(hands.change(), command())
    await hands.obey({("CP#1", revision) for revision in range(100)})


async def test_none_of_those_sent_together_is_lost_while_an_address_changes_hands(
    world: World,
) -> None:
    loadmgr, hands = await world.join("loadmgr"), await Hands.of(world)
    await hands.inboxes[1].own(station_address("CP#2"), 1)

    async def command() -> None:
        for revision in range(100):
            await loadmgr.send_together([setpoint(revision), setpoint(revision, "CP#2")])

    await asyncio.gather(hands.change(), command())
    await hands.obey({(name, n) for name in ("CP#1", "CP#2") for n in range(100)})


async def test_late_release_of_an_old_epoch_does_nothing(world: World) -> None:
    loadmgr = await world.join("loadmgr")
    first, second = await world.join("ocpp-server"), await world.join("ocpp-server")
    evicted, new = Evictions(), Recorder()
    old_inbox = await first.inbox(evicted)
    await old_inbox.own(STATION, 1)
    new_inbox = await second.inbox(Evictions())
    new_inbox.on(ApplySetpoint, new.one)
    await new_inbox.own(STATION, 2)
    await eventually(lambda: evicted.heard)
    await old_inbox.release(STATION, 1)
    await new_inbox.release(STATION, 1)
    await loadmgr.send(setpoint(1))
    await eventually(lambda: new.messages)


@pytest.mark.parametrize("epoch", [4, 5])
async def test_taker_with_an_epoch_that_is_not_newer_is_evicted(world: World, epoch: int) -> None:
    loadmgr = await world.join("loadmgr")
    first, second = await world.join("ocpp-server"), await world.join("ocpp-server")
    owner, holder_evicted, taker_evicted = Recorder(), Evictions(), Evictions()
    holder = await first.inbox(holder_evicted)
    holder.on(ApplySetpoint, owner.one)
    await holder.own(STATION, 5)
    taker = await second.inbox(taker_evicted)
    await taker.own(STATION, epoch)
    await eventually(lambda: taker_evicted.heard)
    await loadmgr.send(setpoint(1))
    await eventually(lambda: owner.messages)
    assert taker_evicted.heard == [("CP#1", 5)]
    assert not holder_evicted.heard


async def test_older_epoch_on_the_same_instance_is_evicted_too(world: World) -> None:
    loadmgr, server = await world.join("loadmgr"), await world.join("ocpp-server")
    seen, evicted = Recorder(), Evictions()
    inbox = await server.inbox(evicted)
    inbox.on(ApplySetpoint, seen.one)
    await inbox.own(STATION, 5)
    await inbox.own(STATION, 3)
    await eventually(lambda: evicted.heard)
    assert evicted.heard == [("CP#1", 5)]
    await loadmgr.send(setpoint(1))
    await eventually(lambda: seen.messages)


async def test_newer_epoch_on_the_same_instance_takes_over(world: World) -> None:
    loadmgr, server = await world.join("loadmgr"), await world.join("ocpp-server")
    seen, evicted = Recorder(), Evictions()
    inbox = await server.inbox(evicted)
    inbox.on(ApplySetpoint, seen.one)
    await inbox.own(STATION, 1)
    await inbox.own(STATION, 2)
    await inbox.release(STATION, 1)
    await loadmgr.send(setpoint(1))
    await eventually(lambda: seen.messages)
    await inbox.release(STATION, 2)
    with pytest.raises(Unroutable):
        await loadmgr.send(setpoint(2))
    assert not evicted.heard


async def test_requests_that_wait_when_the_station_leaves_are_answered_unroutable(
    world: World,
) -> None:
    api, server = await world.join("api"), await world.join("ocpp-server")
    busy = Recorder(ANSWERED)
    busy.may_go_on.clear()
    inbox = await server.inbox(Evictions())
    inbox.on(CallStation, busy.one)
    await inbox.own(STATION, 1)
    asking = [asyncio.create_task(api.ask(call(), timeout_s=20)) for _ in range(70)]
    await eventually(lambda: busy.waits == OPEN_REQUESTS)
    await _until_queued(api, inbox)
    busy.may_go_on.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(answer, Unroutable) for answer in answers) == 6
    assert sum(answer == ANSWERED for answer in answers) == 64


async def test_owner_that_cannot_keep_up_refuses_instead_of_hoarding(world: World) -> None:
    api, server = await world.join("api"), await world.join("ocpp-server")
    busy, running_and_waiting = Recorder(ANSWERED), OPEN_REQUESTS + WAITING_LIMIT
    busy.may_go_on.clear()
    inbox = await server.inbox(Evictions())
    inbox.on(CallStation, busy.one)
    await inbox.own(STATION, 1)
    asking = [
        asyncio.create_task(api.ask(call(), timeout_s=20)) for _ in range(running_and_waiting + 5)
    ]
    await eventually(lambda: sum(task.done() for task in asking) == 5)
    busy.may_go_on.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(answer, Refused) for answer in answers) == 5
    assert sum(answer == ANSWERED for answer in answers) == running_and_waiting


async def _until_queued(api: object, inbox: object) -> None:
    """Release only when the last six requests wait at the desk."""
    desk = inbox._desk
    await eventually(lambda: len(desk._owned[STATION].requests) == 6)
    await inbox.release(STATION, 1)


async def test_closed_participant_owns_nothing(world: World) -> None:
    loadmgr, server = await world.join("loadmgr"), await world.join("ocpp-server")
    inbox = await server.inbox(Evictions())
    await inbox.own(STATION, 1)
    await loadmgr.send(setpoint(1))
    await server.close()
    with pytest.raises(Unroutable):
        await loadmgr.send(setpoint(2))


async def test_station_named_like_a_service_does_not_get_its_orders(world: World) -> None:
    asker, api = await world.join("loadmgr"), await world.join("api")
    server = await world.join("ocpp-server")
    impostor = Recorder(SiteAnswer(site=SiteConfig(name="forged")))
    stations = await server.inbox(Evictions())
    stations.on(GetSite, impostor.one)
    await stations.own(station_address("site"), 1)
    await stations.own(station_address("service:site"), 1)
    await stations.own(station_address("*"), 1)
    await stations.own(station_address("#"), 1)
    with pytest.raises(Unroutable):
        await asker.ask(GetSite(), timeout_s=5)
    inbox = await api.inbox(Evictions())
    inbox.on(GetSite, Recorder(SiteAnswer(site=SiteConfig(name="real"))).one)
    await inbox.own(service_address("site"), 1)
    assert (await asker.ask(GetSite(), timeout_s=5)).site.name == "real"
    assert not impostor.deliveries


async def test_handler_may_ask_while_it_is_asked(world: World) -> None:
    api, server = await world.join("api"), await world.join("ocpp-server")
    other = station_address("CP#2")

    async def ask_on(delivery: Delivery[CallStation]) -> Reply:
        return await server.ask(call("Inner", "CP#2"), timeout_s=5, cause=delivery)

    inner = Recorder(ANSWERED)
    inbox = await server.inbox(Evictions())
    inbox.on(CallStation, ask_on)
    await inbox.own(STATION, 1)
    second = await (await world.join("ocpp-server")).inbox(Evictions())
    second.on(CallStation, inner.one)
    await second.own(other, 1)
    assert await api.ask(call(), timeout_s=5) == ANSWERED
    assert inner.deliveries[0].meta.causation_id is not None


async def test_cancelled_taking_leaves_the_bus_usable(world: World) -> None:
    loadmgr, server = await world.join("loadmgr"), await world.join("ocpp-server")
    seen = Recorder()
    inbox = await server.inbox(Evictions())
    inbox.on(ApplySetpoint, seen.one)
    for epoch in range(5):
        taking = asyncio.create_task(inbox.own(STATION, epoch))
        await asyncio.sleep(0)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
    await inbox.own(STATION, 9)
    await loadmgr.send(setpoint(1))
    await eventually(lambda: seen.messages)
