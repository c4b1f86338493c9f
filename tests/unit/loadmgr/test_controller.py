"""The controller on a bus in memory: a fake clock, real queues, and a station that obeys."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from loadmgr.controller import Controller
from loadmgr.replaying import replayed
from loadmgr.service import run
from loadmgr.settings import LoadmgrSettings
from shared.bus.memory import MemoryBus
from shared.bus.port import Bus, Delivery
from shared.bus.topology import FACTS_TO_LOADMGR
from shared.clock import SYSTEM_CLOCK, FakeClock
from shared.contracts.alarm import AlarmChanged
from shared.contracts.charging import (
    ApplySetpoint,
    LoadmgrTicked,
    OffersDecided,
    SetpointApplied,
    SetpointOutcome,
)
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.message import Event, station_address
from shared.contracts.site import GetSite, SiteAnswer, SiteConfig
from shared.contracts.station import FactsRequested
from shared.health import Health
from tests.conditions import eventually
from tests.unit.loadmgr.test_scenarios import site_of

GIVEN: dict[str, Any] = {
    "revision": 1,
    "circuits": [{"id": "main", "limit_a": 20, "uncontrolled_a": 4}],
    "meters": {"grid": {"circuit": "main"}},
    "evses": {"a": {"max_a": 32}},
}


class Stand:
    """A controller on a bus, everything it says, and a station that takes what it is told."""

    def __init__(self, site: SiteConfig) -> None:
        self.clock = FakeClock()
        self.hub = MemoryBus(self.clock, frozenset({"loadmgr"}))
        self.bus: Bus = self.hub.join("loadmgr")
        self.other: Bus = self.hub.join("ocpp-server")
        self.health = Health()
        self.controller = Controller(self.bus, clock=self.clock, health=self.health)
        self.controller.load(site)
        self.heard: list[Event] = []
        self.setpoints: list[ApplySetpoint] = []

    async def hear(self, delivery: Delivery[Any]) -> None:
        self.heard.append(delivery.message)

    async def obey(self, delivery: Delivery[ApplySetpoint]) -> None:
        order = delivery.message
        self.setpoints.append(order)
        await self.other.publish(
            SetpointApplied(
                evse_id=order.evse_id,
                station_id=order.station_id,
                revision=order.revision,
                limit_a=order.limit_a,
                outcome=SetpointOutcome.ACCEPTED,
                applied_at=self.clock.now(),
            )
        )

    def said(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.heard if isinstance(event, kind)]

    async def observe(self, state: EvseState) -> None:
        await self.other.publish(
            EvseObserved(
                evse_id="a",
                station_id="st-a",
                connector=1,
                epoch=1,
                observed_at=self.clock.now(),
                online=True,
                state=state,
            )
        )

    async def tick(self, seconds: float = 1.0) -> None:
        self.clock.advance(seconds)
        before = self.controller._rhythm.ticked_s
        await self.other.publish(LoadmgrTicked(instance="any"))
        await eventually(lambda: self.controller._rhythm.ticked_s != before)

    async def start(self, state: EvseState = EvseState.B) -> None:
        """Become active, hear the station, and make the first decision."""
        await self.tick()
        await self.observe(state)
        for _ in range(3):
            await self.tick()

    def offer_a(self) -> float | None:
        decided = self.said(OffersDecided)
        return decided[-1].offers[0].limit_a if decided else None


@asynccontextmanager
async def standing(given: dict[str, Any] = GIVEN) -> AsyncIterator[Stand]:
    stand = Stand(site_of(given))
    await stand.other.listen([OffersDecided, FactsRequested, AlarmChanged], stand.hear)
    inbox = await stand.other.inbox(_ignore)
    inbox.on(ApplySetpoint, stand.obey)
    await inbox.own(station_address("st-a"), 1)
    await stand.bus.consume(FACTS_TO_LOADMGR, stand.controller.take, max_batch=100)
    tasks = [
        asyncio.create_task(work)
        for work in (stand.controller.run(), stand.controller.courier.run())
    ]
    try:
        yield stand
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await stand.bus.close()
        await stand.other.close()


async def _ignore(*_: object) -> None:
    return None


async def test_a_cold_start_asks_for_facts_and_settles_before_it_decides() -> None:
    async with standing() as stand:
        await stand.tick()
        await eventually(lambda: stand.said(FactsRequested))
        await stand.observe(EvseState.B)
        await stand.tick()
        await stand.tick()
        assert stand.said(OffersDecided) == []
        await stand.tick()
        await eventually(lambda: stand.setpoints)
        assert stand.said(FactsRequested)[0].asker == stand.bus.instance


async def test_a_plugged_car_gets_what_the_worst_case_leaves() -> None:
    async with standing() as stand:
        await stand.start()
        # a box that was never told a limit may have any, so it is told what is certainly no raise
        await eventually(lambda: stand.setpoints and stand.setpoints[0].limit_a == 0)
        for _ in range(8):
            await stand.tick()
        await eventually(lambda: stand.offer_a() == 16.0)
        assert stand.setpoints[-1].limit_a == 16.0
        revisions = [setpoint.revision for setpoint in stand.setpoints]
        assert revisions == sorted(set(revisions))


async def test_an_unplugged_car_is_answered_without_waiting_for_the_next_tick() -> None:
    async with standing() as stand:
        await stand.start()
        for _ in range(9):
            await stand.tick()
        await eventually(lambda: stand.setpoints[-1].limit_a == 16.0)
        await stand.observe(EvseState.A)
        stand.clock.advance(1.0)
        await eventually(lambda: stand.setpoints[-1].limit_a == 0.0)


async def test_setpoints_leave_before_what_was_decided_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with standing() as stand:
        left, told, may_leave = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def send(_: object) -> None:
            left.set()
            await may_leave.wait()

        async def publish(event: Event) -> None:
            if isinstance(event, OffersDecided):
                told.set()

        monkeypatch.setattr(stand.bus, "send", send)
        monkeypatch.setattr(stand.bus, "publish", publish)
        await stand.start(EvseState.C)
        async with asyncio.timeout(10):
            await left.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not told.is_set()
        may_leave.set()
        async with asyncio.timeout(10):
            await told.wait()


async def test_the_lease_is_renewed_in_time() -> None:
    async with standing(GIVEN | {"lease_s": 30}) as stand:
        await stand.start(EvseState.A)
        await eventually(lambda: len(stand.setpoints) == 1)
        for _ in range(10):
            await stand.tick()
        await eventually(lambda: len(stand.setpoints) >= 2)


async def test_a_station_that_nobody_holds_is_taken_as_offline() -> None:
    async with standing(GIVEN | {"evses": {"b": {"fallback_a": 6}}}) as stand:
        event = EvseObserved(
            evse_id="b",
            station_id="st-b",
            connector=1,
            epoch=1,
            observed_at=stand.clock.now(),
            online=True,
            state=EvseState.A,
        )
        await stand.tick()
        await stand.other.publish(event)
        for _ in range(3):
            await stand.tick()
        await eventually(lambda: not stand.controller._state.evses["b"].online)


async def test_the_alarm_of_a_silent_meter_is_told_once() -> None:
    async with standing() as stand:
        await stand.start()
        await eventually(lambda: stand.said(AlarmChanged))
        for _ in range(5):
            await stand.tick()
        alarms = [(a.alarm_id, a.active) for a in stand.said(AlarmChanged)]
        assert alarms.count(("meter-silent/grid", True)) == 1


async def test_monitor_mode_reports_and_sends_nothing() -> None:
    async with standing(GIVEN | {"mode": "monitor"}) as stand:
        await stand.start(EvseState.C)
        await eventually(lambda: stand.said(OffersDecided))
        assert stand.setpoints == []


async def test_off_does_nothing_at_all() -> None:
    async with standing(GIVEN | {"mode": "off"}) as stand:
        await stand.start(EvseState.C)
        await eventually(lambda: stand.controller._rhythm.decided_s > 0)
        assert stand.heard == stand.said(FactsRequested)
        assert stand.setpoints == []


async def test_a_takeover_begins_with_an_empty_memory() -> None:
    async with standing() as stand:
        await stand.start()
        await eventually(lambda: stand.setpoints)
        await stand.tick(6.0)
        await eventually(lambda: len(stand.said(FactsRequested)) == 2)
        assert not stand.controller._state.evses["a"].online


@pytest.mark.parametrize("by_s", [-3_600.0, 3_600.0])
async def test_when_the_clock_is_set_it_begins_anew(by_s: float) -> None:
    async with standing() as stand:
        await stand.start()
        for _ in range(9):
            await stand.tick()
        await eventually(lambda: stand.setpoints[-1].limit_a == 16.0)
        decided, last = len(stand.said(OffersDecided)), stand.setpoints[-1]
        stand.clock.set_by(by_s)
        await stand.tick()
        await eventually(lambda: len(stand.said(FactsRequested)) == 2)
        await stand.observe(EvseState.C)
        for _ in range(2):
            await stand.tick()
        assert len(stand.said(OffersDecided)) == decided
        for _ in range(4):
            await stand.tick()
        await eventually(lambda: stand.setpoints[-1].revision > last.revision)


async def test_a_site_that_cannot_be_used_leaves_the_last_one_in_force() -> None:
    stand = Stand(site_of(GIVEN))
    stand.controller.load(
        SiteConfig.model_validate({"circuits": [{"id": "x", "parent": "gone", "limit_a": 1}]})
    )
    assert stand.controller._model.circuits[0].id == "main"
    assert not stand.health.reports["site"].ok


async def test_the_service_runs_until_it_is_cancelled(tmp_path: Path) -> None:
    hub = MemoryBus(SYSTEM_CLOCK, frozenset({"loadmgr"}))
    api, bus, health = hub.join("api"), hub.join("loadmgr"), Health()
    decided: list[OffersDecided] = []

    async def answer(_: Delivery[GetSite]) -> SiteAnswer:
        return SiteAnswer(site=site_of(GIVEN))

    async def hear(delivery: Delivery[OffersDecided]) -> None:
        decided.append(delivery.message)

    inbox = await api.inbox(_ignore)
    inbox.on(GetSite, answer)
    await inbox.own(GetSite().address, 1)
    await api.listen([OffersDecided], hear)
    settings = LoadmgrSettings(data_dir=tmp_path)
    task = asyncio.create_task(run(settings, bus, clock=SYSTEM_CLOCK, health=health))
    await eventually(lambda: decided, within_s=20)
    assert health.is_ready
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    (log,) = (tmp_path / "loadmgr").iterdir()
    assert replayed([log]).tally.decisions >= 1
    await bus.close()
    await api.close()
