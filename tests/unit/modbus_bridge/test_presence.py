from types import SimpleNamespace
from typing import Any, cast

import pytest

from modbus_bridge.domain.breaker import FAILURES, PAUSE_S
from modbus_bridge.link import Unit
from modbus_bridge.presence import Presence
from shared.bus.memory import MemoryBus
from shared.bus.port import Delivery
from shared.clock import FakeClock
from shared.contracts.alarm import AlarmChanged
from tests.conditions import eventually


class Watched:
    """A device that is watched, and the alarms about it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.line = SimpleNamespace(is_shared=False)
        self.alarms: list[AlarmChanged] = []
        self._hub = MemoryBus(self.clock)

    async def presence(self) -> Presence:
        async def hear(delivery: Delivery[Any]) -> None:
            self.alarms.append(delivery.message)

        bus = self._hub.join("test")
        await bus.listen([AlarmChanged], hear)
        unit = cast(Unit, SimpleNamespace(line=self.line))
        return Presence("meter m", "device-unreachable/m", unit=unit, bus=bus, clock=self.clock)

    async def heard(self, *active: bool) -> None:
        await eventually(lambda: tuple(a.active for a in self.alarms) == active)


@pytest.fixture
def watched() -> Watched:
    return Watched()


async def test_device_is_missing_after_two_silent_cycles_and_told_once(watched: Watched) -> None:
    presence = await watched.presence()
    assert not await presence.missed("silent")
    assert not presence.is_missing
    assert await presence.missed("silent")
    assert presence.is_missing
    assert not await presence.missed("silent")
    await presence.answered()
    await presence.answered()
    assert not presence.is_missing
    await watched.heard(True, False)


async def test_answer_between_two_silences_keeps_a_device_present(watched: Watched) -> None:
    presence = await watched.presence()
    for _ in range(5):
        assert not await presence.missed("silent")
        await presence.answered()
    assert not watched.alarms


async def test_dead_unit_on_a_shared_line_is_asked_seldom(watched: Watched) -> None:
    watched.line.is_shared = True
    presence = await watched.presence()
    for _ in range(FAILURES):
        assert presence.may_be_asked()
        await presence.missed("silent")
    assert not presence.may_be_asked()
    watched.clock.advance(PAUSE_S)
    assert presence.may_be_asked()
    await presence.answered()
    assert presence.may_be_asked()


async def test_dead_device_on_its_own_line_is_asked_every_cycle(watched: Watched) -> None:
    presence = await watched.presence()
    for _ in range(FAILURES + 1):
        await presence.missed("silent")
    assert presence.may_be_asked()


async def test_alarm_goes_with_the_device(watched: Watched) -> None:
    presence = await watched.presence()
    await presence.withdraw()
    await presence.missed("silent")
    await presence.missed("silent")
    await presence.withdraw()
    await watched.heard(True, False)
