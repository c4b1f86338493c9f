"""Carrying setpoints: latest wins, nobody waits for a slow station."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from loadmgr import courier as courier_module
from loadmgr.courier import AT_ONCE, DOUBTFUL_AFTER_S, MANY, Courier
from shared.bus.port import MOST_TOGETHER
from shared.clock import SYSTEM_CLOCK, Clock, FakeClock
from shared.contracts.charging import ApplySetpoint, Reason, ReasonCode
from shared.contracts.message import Command
from shared.errors import NotSafe, Unroutable
from tests.conditions import eventually


def setpoint(evse_id: str, limit_a: float = 16.0) -> ApplySetpoint:
    return ApplySetpoint(
        station_id=f"st-{evse_id}",
        evse_id=evse_id,
        connector=1,
        revision=1,
        limit_a=limit_a,
        lease_s=120,
        reason=Reason(code=ReasonCode.MAXIMUM),
    )


class SlowBus:
    """Takes every command, those to ``held`` stations only when released."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, float]] = []
        self.started: list[str] = []
        self.groups: list[list[str]] = []
        """What travelled together."""
        self.held: dict[str, asyncio.Event] = {}
        self.broken: dict[str, Exception] = {}

    async def send_together(self, commands: Sequence[Command]) -> None:
        names = [command.evse_id for command in commands if isinstance(command, ApplySetpoint)]
        self.groups.append(names)
        if not set(names) - set(self.broken):
            raise self.broken[names[0]]
        held = [event for name, event in self.held.items() if name in names]
        await asyncio.gather(*(event.wait() for event in held))

    async def send(self, command: Command) -> None:
        assert isinstance(command, ApplySetpoint)
        self.started.append(command.evse_id)
        if command.evse_id in self.broken:
            raise self.broken[command.evse_id]
        if command.evse_id in self.held:
            await self.held[command.evse_id].wait()
        self.sent.append((command.evse_id, command.limit_a))


@asynccontextmanager
async def running(
    bus: SlowBus, lost: list[str], *, clock: Clock = SYSTEM_CLOCK
) -> AsyncIterator[Courier]:
    courier = Courier(bus, clock, lost.append)  # type: ignore[arg-type]  # of a bus it only sends
    task = asyncio.create_task(courier.run())
    try:
        yield courier
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_slow_station_holds_up_nobody() -> None:
    bus = SlowBus()
    bus.held["slow"] = asyncio.Event()
    async with running(bus, []) as courier:
        courier.put([setpoint("slow"), setpoint("b"), setpoint("c")])
        await eventually(lambda: len(bus.sent) == 2)
        assert bus.sent == [("b", 16.0), ("c", 16.0)]


async def test_of_what_waits_for_a_busy_station_only_the_latest_is_sent() -> None:
    bus = SlowBus()
    bus.held["a"] = asyncio.Event()
    async with running(bus, []) as courier:
        courier.put([setpoint("a", 16.0)])
        await eventually(lambda: bus.started == ["a"])
        courier.put([setpoint("a", 10.0)])
        courier.put([setpoint("a", 6.0)])
        bus.held["a"].set()
        await eventually(lambda: len(bus.sent) == 2)
        assert bus.sent == [("a", 16.0), ("a", 6.0)]


async def test_no_more_than_some_are_sent_at_once() -> None:
    bus = SlowBus()
    bus.held = {f"e{number}": asyncio.Event() for number in range(AT_ONCE + 5)}
    async with running(bus, []) as courier:
        for evse_id in bus.held:
            courier.put([setpoint(evse_id)])
        await eventually(lambda: len(bus.started) == AT_ONCE)
        for event in bus.held.values():
            event.set()
        await eventually(lambda: len(bus.sent) == AT_ONCE + 5)


async def test_a_station_that_nobody_holds_is_reported() -> None:
    bus, lost = SlowBus(), list[str]()
    bus.broken["gone"] = Unroutable("offline")
    async with running(bus, lost) as courier:
        courier.put([setpoint("gone"), setpoint("b")])
        await eventually(lambda: bus.sent == [("b", 16.0)])
        assert lost == ["st-gone"]


@pytest.mark.parametrize("error", [NotSafe("broker away"), ValueError("a broken bus")])
async def test_what_fails_for_one_station_does_not_stop_the_others(error: Exception) -> None:
    bus, lost = SlowBus(), list[str]()
    bus.broken["a"] = error
    async with running(bus, lost) as courier:
        for _ in range(AT_ONCE + 1):
            courier.put([setpoint("a")])
            await eventually(lambda: not courier._slots and not courier._busy)
        courier.put([setpoint("b")])
        await eventually(lambda: bus.sent == [("b", 16.0)])
        assert lost == []


async def test_what_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_module, "SEND_TIMEOUT_S", 0.01)
    bus = SlowBus()
    bus.held["a"] = asyncio.Event()
    async with running(bus, []) as courier:
        courier.put([setpoint("a", 16.0)])
        await eventually(lambda: bus.started == ["a"])
        await eventually(lambda: not courier._busy)
        bus.held["a"].set()
        courier.put([setpoint("a", 6.0)])
        await eventually(lambda: bus.sent == [("a", 6.0)])


async def test_it_tells_when_everything_has_left_and_waits_no_longer_than_asked() -> None:
    bus = SlowBus()
    bus.held["a"] = asyncio.Event()
    async with running(bus, []) as courier:
        courier.put([setpoint("a"), setpoint("b")])
        await courier.emptied(0.05)
        assert bus.sent == [("b", 16.0)]
        courier.put([setpoint("a", 6.0)])
        bus.held["a"].set()
        await courier.emptied(10.0)
        assert bus.sent == [("b", 16.0), ("a", 16.0), ("a", 6.0)]


CROWD = [f"e{number}" for number in range(MANY)]


async def test_many_of_one_decision_travel_together_in_their_order() -> None:
    bus = SlowBus()
    names = [f"e{number}" for number in range(MOST_TOGETHER + 3)]
    async with running(bus, []) as courier:
        courier.put([setpoint(name) for name in names])
        await courier.emptied(10.0)
        assert bus.groups == [names[:MOST_TOGETHER], names[MOST_TOGETHER:]]
        assert bus.started == []
        courier.put([setpoint(name) for name in CROWD[1:]])
        await courier.emptied(10.0)
        assert bus.started == CROWD[1:]


async def test_what_is_newer_than_what_travels_with_others_follows() -> None:
    bus = SlowBus()
    bus.held["e0"] = asyncio.Event()
    async with running(bus, []) as courier:
        courier.put([setpoint(name) for name in CROWD])
        await eventually(lambda: bus.groups)
        courier.put([setpoint("e0", 10.0)])
        courier.put([setpoint("e0", 6.0)])
        bus.held["e0"].set()
        await courier.emptied(10.0)
        assert bus.sent == [("e0", 6.0)]


async def test_who_did_not_answer_what_travelled_with_others_is_asked_alone() -> None:
    bus, lost, clock = SlowBus(), list[str](), FakeClock()
    bus.broken["e0"] = Unroutable("nobody holds it, which a bus tells only of one alone")
    async with running(bus, lost, clock=clock) as courier:
        courier.put([setpoint(name) for name in CROWD])
        await courier.emptied(10.0)
        for name in CROWD[1:]:
            courier.answered(name)
        courier.put([setpoint(name) for name in CROWD])
        await courier.emptied(10.0)
        assert (bus.groups, lost) == ([CROWD, CROWD], [])
        clock.advance(DOUBTFUL_AFTER_S)
        for name in CROWD[1:]:
            courier.answered(name)
        more = setpoint("another")
        courier.put([more, *(setpoint(name) for name in CROWD)])
        await courier.emptied(10.0)
        assert (bus.groups[2:], bus.started, lost) == (
            [["another", *CROWD[1:]]],
            ["e0"],
            ["st-e0"],
        )


async def test_who_was_not_reached_owes_no_answer() -> None:
    bus, clock = SlowBus(), FakeClock()
    bus.broken = {name: NotSafe("broker away") for name in CROWD}
    async with running(bus, [], clock=clock) as courier:
        courier.put([setpoint(name) for name in CROWD])
        await courier.emptied(10.0)
        clock.advance(DOUBTFUL_AFTER_S)
        bus.broken.clear()
        courier.put([setpoint(name) for name in CROWD])
        await courier.emptied(10.0)
        assert (bus.groups, bus.started) == ([CROWD, CROWD], [])


async def test_of_many_that_nobody_holds_all_are_reported() -> None:
    bus, lost = SlowBus(), list[str]()
    bus.broken = {name: Unroutable("offline") for name in CROWD}
    async with running(bus, lost) as courier:
        courier.put([setpoint(name) for name in CROWD])
        await courier.emptied(10.0)
        assert lost == [f"st-{name}" for name in CROWD]
