"""The bridge against simulated wallboxes and meters, over real sockets and the bus in memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from modbus_bridge.service import run
from modbus_bridge.settings import ModbusBridgeSettings
from parkade.simulation.car import Car
from parkade.simulation.outlet import Outlet
from parkade.simulation.power_brain import PowerBrain
from parkade.simulation.sdm630 import Sdm630
from parkade.simulation.world import World
from shared.bus.memory import MemoryBus
from shared.bus.port import Bus, Delivery, EvictionHandler
from shared.clock import SYSTEM_CLOCK, Clock, FakeClock
from shared.contracts.alarm import AlarmChanged
from shared.contracts.charging import (
    ApplySetpoint,
    ClearProfiles,
    Reason,
    ReasonCode,
    SetpointApplied,
    SetpointOutcome,
    StartCharging,
    StopCharging,
)
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.message import ActionOutcome, Event, service_address, station_address
from shared.contracts.meter import MeterSampled
from shared.contracts.ocpp import CallStation
from shared.contracts.session import SessionEnded, SessionStarted
from shared.contracts.site import (
    Circuit,
    DeactivationPolicy,
    Evse,
    GetSite,
    Meter,
    ModbusAccess,
    Mode,
    PhaseLimits,
    SiteAnswer,
    SiteChanged,
    SiteConfig,
    Station,
)
from shared.contracts.station import (
    FactsRequested,
    StationBooted,
    StationConnected,
    StationDisconnected,
)
from shared.errors import NotSafe, Refused
from shared.health import Health
from tests.conditions import eventually

E = TypeVar("E", bound=Event)

EVENTS: tuple[type[Event], ...] = (
    AlarmChanged,
    EvseObserved,
    MeterSampled,
    SessionEnded,
    SessionStarted,
    SetpointApplied,
    StationBooted,
    StationConnected,
    StationDisconnected,
)


class Garage:
    """Simulated boxes, a bridge that polls them, and everything that it published."""

    def __init__(self, data_dir: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        self.world = World()
        self.clock = clock
        self.hub = MemoryBus(clock, services=frozenset({"modbus-bridge"}))
        self.bus = self.hub.join("test")
        self.site = SiteConfig(revision=1, poll_interval_s=0.1, lease_s=60)
        self.heard: list[Event] = []
        self.health = Health()
        self.boxes: dict[str, PowerBrain] = {}
        self._settings = ModbusBridgeSettings(data_dir=data_dir)
        self._open = contextlib.AsyncExitStack()
        self._ports: dict[str, contextlib.AsyncExitStack] = {}
        self._bridge: asyncio.Task[None] | None = None
        self._revision = 0

    async def __aenter__(self) -> "Garage":
        await self.bus.listen(EVENTS, self._hear)
        inbox = await self.bus.inbox(self._ignore)
        inbox.on(GetSite, self._answer_site)
        await inbox.own(service_address("site"), 1)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop_bridge()
        for port in self._ports.values():
            await port.aclose()
        await self.bus.close()

    async def add_box(self, name: str, **box: Any) -> PowerBrain:
        outlet = self.world.add(Outlet(name))
        brain = PowerBrain(self.world, outlet, serial=f"PB-{name}", **box)
        self.boxes[name] = brain
        await self.plug_network(name)
        station = Station(
            id=name,
            protocol="modbus",
            modbus=ModbusAccess(template="cfos_power_brain", host="127.0.0.1", port=brain.port),
        )
        evse = Evse(id=f"evse-{name}", station=name, circuit="grid")
        self.configure(stations=(*self.site.stations, station), evses=(*self.site.evses, evse))
        return brain

    async def add_meter(self, name: str) -> Sdm630:
        meter = Sdm630(self.world)
        stack = self._ports[name] = contextlib.AsyncExitStack()
        port = await stack.enter_async_context(meter.serving())
        access = ModbusAccess(template="eastron_sdm630", host="127.0.0.1", port=port)
        configured = Meter(id=name, circuit="grid", modbus=access)
        self.configure(meters=(*self.site.meters, configured))
        return meter

    async def plug_network(self, name: str) -> None:
        stack = self._ports[name] = contextlib.AsyncExitStack()
        await stack.enter_async_context(self.boxes[name].serving(port=self.boxes[name].port))

    async def cut_network(self, name: str) -> None:
        await self._ports.pop(name).aclose()

    def configure(self, **changes: Any) -> None:
        limits = PhaseLimits(L1=63, L2=63, L3=63)
        circuits = (Circuit(id="grid", limit_a=limits),)
        update = {"revision": self.site.revision + 1, "circuits": circuits, **changes}
        self.site = self.site.model_copy(update=update)

    async def reconfigure(self, **changes: Any) -> None:
        self.configure(**changes)
        await self.bus.publish(SiteChanged(site=self.site))

    def change_evse(self, name: str, **changes: Any) -> dict[str, Any]:
        evses = tuple(
            e.model_copy(update=changes) if e.station == name else e for e in self.site.evses
        )
        return {"evses": evses}

    async def start_bridge(self) -> None:
        bus = self.hub.join("modbus-bridge")
        work = run(self._settings, bus, clock=self.clock, health=self.health)
        self._bridge = asyncio.get_running_loop().create_task(work)

    async def stop_bridge(self) -> None:
        if self._bridge is not None:
            self._bridge.cancel()
            await asyncio.wait({self._bridge}, timeout=10)
            if not self._bridge.cancelled():
                self._bridge.result()
        self._bridge = None

    async def limit(
        self, name: str, limit_a: float, *, lease_s: float = 60.0, phases: int | None = None
    ) -> int:
        """Send a setpoint and return its revision."""
        self._revision += 1
        await self.bus.send(
            ApplySetpoint(
                station_id=name,
                evse_id=f"evse-{name}",
                connector=1,
                revision=self._revision,
                limit_a=limit_a,
                phases=phases,
                lease_s=lease_s,
                reason=Reason(code=ReasonCode.CIRCUIT),
            )
        )
        return self._revision

    def all(self, kind: type[E], **wanted: Any) -> list[E]:
        return [
            event
            for event in self.heard
            if isinstance(event, kind)
            and all(getattr(event, key) == value for key, value in wanted.items())
        ]

    async def hears(self, kind: type[E], **wanted: Any) -> E:
        """Wait for an event and return the first one heard."""
        claim = f"{kind.__name__} {wanted}"
        found = await eventually(lambda: self.all(kind, **wanted), claim=claim)
        return found[0]

    async def online(self, name: str) -> None:
        await self.hears(EvseObserved, evse_id=f"evse-{name}", online=True)

    async def _hear(self, delivery: Delivery[Any]) -> None:
        self.heard.append(delivery.message)

    async def _ignore(self, *_: object) -> None: ...

    async def _answer_site(self, _: Delivery[GetSite]) -> SiteAnswer:
        return SiteAnswer(site=self.site)


@pytest.fixture
async def garage(tmp_path: Path) -> AsyncIterator[Garage]:
    async with Garage(tmp_path) as built:
        yield built


@pytest.fixture
async def frozen(tmp_path: Path) -> AsyncIterator[tuple[Garage, FakeClock]]:
    """A garage in which time passes for leases and back-offs only when the test says so."""
    clock = FakeClock()
    async with Garage(tmp_path, clock) as built:
        yield built, clock


def registers_written(box: PowerBrain) -> set[int]:
    return {write.address for write in box.writes}


async def test_box_is_connected_identified_and_observed(garage: Garage) -> None:
    box = await garage.add_box("p1")
    box.outlet.plug(Car())
    await garage.start_bridge()
    connected = await garage.hears(StationConnected, station_id="p1", protocol="modbus")
    booted = await garage.hears(StationBooted, station_id="p1", vendor="cFos")
    seen = await garage.hears(EvseObserved, evse_id="evse-p1", online=True, state=EvseState.B)
    assert booted.serial == "PB-p1"
    assert seen.epoch == booted.epoch == connected.epoch
    assert seen.current_a is not None
    assert garage.health.is_ready


async def test_health_tells_the_revision_in_force(garage: Garage) -> None:
    await garage.start_bridge()
    await eventually(lambda: garage.health.is_ready)
    await garage.reconfigure(name="renamed")
    revision = f"revision {garage.site.revision}"
    await eventually(lambda: garage.health.reports["site"].detail == revision)


async def test_setpoint_reaches_the_registers_and_is_confirmed(garage: Garage) -> None:
    box = await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    revision = await garage.limit("p1", 10.07)
    applied = await garage.hears(SetpointApplied, evse_id="evse-p1", revision=revision)
    assert applied.outcome is SetpointOutcome.ACCEPTED
    assert applied.limit_a == 10.0
    assert (box.limit_a, box.is_enabled) == (10.0, True)


async def test_zero_pauses_by_the_enable_register(garage: Garage) -> None:
    box = await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    revision = await garage.limit("p1", 0)
    await garage.hears(SetpointApplied, revision=revision, outcome=SetpointOutcome.ACCEPTED)
    assert not box.is_enabled
    await garage.hears(EvseObserved, evse_id="evse-p1", offered_a=0.0)


async def test_renewed_setpoint_writes_nothing_new(garage: Garage) -> None:
    box = await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    await garage.hears(SetpointApplied, revision=await garage.limit("p1", 16))
    before = len(box.writes)
    await garage.hears(SetpointApplied, revision=await garage.limit("p1", 16))
    assert len(box.writes) == before


async def test_failsafe_registers_are_written_once_and_only_if_different(garage: Garage) -> None:
    box = await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    revision = await garage.limit("p1", 16)
    await garage.hears(SetpointApplied, revision=revision)
    assert (box.failsafe_s, box.failsafe_a) == (60, 0.0)
    worn = len(box.flash_writes)
    assert worn == 2  # the two words of the timeout; the current was right already
    await garage.stop_bridge()
    garage.heard.clear()
    await garage.start_bridge()
    await garage.online("p1")
    await garage.hears(SetpointApplied, revision=await garage.limit("p1", 12))
    assert len(box.flash_writes) == worn


async def test_card_is_reported_and_belongs_to_the_session(garage: Garage) -> None:
    box = await garage.add_box("p1")
    await garage.start_bridge()
    await garage.hears(EvseObserved, evse_id="evse-p1", token_seen=0, state=EvseState.A)
    box.outlet.swipe("04A2B3C4")
    await garage.hears(EvseObserved, evse_id="evse-p1", token="04A2B3C4", token_seen=1)
    box.outlet.plug(Car())
    started = await garage.hears(SessionStarted, evse_id="evse-p1")
    assert started.token == "04A2B3C4"
    box.outlet.unplug()
    ended = await garage.hears(SessionEnded, session_id=started.session_id)
    assert (ended.token, ended.reason) == ("04A2B3C4", "unplugged")


async def test_session_outlives_a_restart_of_the_bridge(garage: Garage) -> None:
    box = await garage.add_box("p1")
    box.outlet.energy_wh = 5_000
    box.outlet.plug(Car())
    await garage.start_bridge()
    started = await garage.hears(SessionStarted, evse_id="evse-p1", energy_start_wh=5_000)
    await garage.stop_bridge()
    box.outlet.energy_wh = 7_500
    garage.heard.clear()
    await garage.start_bridge()
    await garage.hears(EvseObserved, evse_id="evse-p1", state=EvseState.B, energy_wh=7_500)
    box.outlet.unplug()
    ended = await garage.hears(SessionEnded, evse_id="evse-p1")
    assert ended.session_id == started.session_id
    assert ended.energy_stop_wh == 7_500
    assert not garage.all(SessionStarted)


async def test_box_that_went_away_and_came_back_is_taken_up_with_a_newer_epoch(
    frozen: tuple[Garage, FakeClock],
) -> None:
    garage, clock = frozen
    box = await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    await garage.hears(SetpointApplied, revision=await garage.limit("p1", 10))
    first = garage.all(StationConnected)[0].epoch
    await garage.cut_network("p1")
    gone = await garage.hears(StationDisconnected, station_id="p1")
    assert gone.epoch == first
    await garage.hears(EvseObserved, evse_id="evse-p1", online=False)
    await garage.hears(AlarmChanged, alarm_id="device-unreachable/p1", active=True)
    box.limit_a = 32.0  # a restart made it forget
    await garage.plug_network("p1")
    clock.advance(40)  # the longest pause between two attempts
    await garage.hears(AlarmChanged, alarm_id="device-unreachable/p1", active=False)
    await eventually(lambda: len(garage.all(StationConnected)) == 2)
    assert garage.all(StationConnected)[1].epoch > first
    await eventually(lambda: box.limit_a == 10.0, claim="the valid lease is written again")
    alarms = garage.all(AlarmChanged, alarm_id="device-unreachable/p1")
    assert [alarm.active for alarm in alarms] == [True, False]


async def test_lease_that_runs_out_pauses_the_box(frozen: tuple[Garage, FakeClock]) -> None:
    garage, clock = frozen
    box = await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    revision = await garage.limit("p1", 16, lease_s=30)
    await garage.hears(SetpointApplied, revision=revision, outcome=SetpointOutcome.ACCEPTED)
    clock.advance(31)
    expired = await garage.hears(SetpointApplied, outcome=SetpointOutcome.LEASE_EXPIRED)
    assert (expired.revision, expired.limit_a) == (revision, 0.0)
    assert not box.is_enabled


async def test_lease_that_runs_out_leaves_the_fallback_current(
    frozen: tuple[Garage, FakeClock],
) -> None:
    garage, clock = frozen
    box = await garage.add_box("p1")
    garage.configure(**garage.change_evse("p1", fallback_a=8.0))
    await garage.start_bridge()
    await garage.online("p1")
    await garage.hears(SetpointApplied, revision=await garage.limit("p1", 16, lease_s=30))
    assert box.failsafe_a == 8.0
    clock.advance(31)
    await garage.hears(SetpointApplied, outcome=SetpointOutcome.LEASE_EXPIRED, limit_a=8.0)
    assert (box.limit_a, box.is_enabled) == (8.0, True)


async def test_box_without_any_setpoint_gets_the_fallback_after_a_grace(
    frozen: tuple[Garage, FakeClock],
) -> None:
    garage, clock = frozen
    box = await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    assert box.is_enabled
    clock.advance(11)
    await eventually(lambda: not box.is_enabled)


async def test_silent_device_delays_no_other(garage: Garage) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with silent:
        access = ModbusAccess(
            template="cfos_power_brain",
            host="127.0.0.1",
            port=silent.sockets[0].getsockname()[1],
        )
        dead = Station(id="dead", protocol="modbus", modbus=access)
        evse = Evse(id="evse-dead", station="dead", circuit="grid")
        garage.configure(stations=(dead,), evses=(evse,))
        box = await garage.add_box("p1")
        await garage.start_bridge()
        await garage.online("p1")
        await garage.hears(EvseObserved, evse_id="evse-dead", online=False)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await garage.limit("p1", 9)
        await eventually(lambda: box.limit_a == 9.0)
        assert loop.time() - began < 0.5  # the silent one is waited for a whole second
        await garage.stop_bridge()


async def test_meter_is_sampled_with_the_direction_of_each_phase(garage: Garage) -> None:
    await garage.add_meter("main")
    garage.world.set_base_load("grid", l1=10.0, l2=-4.0, l3=0.5)
    garage.world.step(3600)
    await garage.start_bridge()
    sample = await garage.hears(MeterSampled, meter_id="main")
    assert sample.current_a.l1 == pytest.approx(10.0)
    assert sample.current_a.l2 == pytest.approx(-4.0)
    assert sample.current_a.l3 == pytest.approx(0.5)
    assert sample.power_w == pytest.approx(6.5 * 230)
    assert sample.energy_import_wh == pytest.approx(6.5 * 230)


async def test_failing_meter_is_not_sampled_and_raises_one_alarm(garage: Garage) -> None:
    meter = await garage.add_meter("main")
    await garage.start_bridge()
    await garage.hears(MeterSampled, meter_id="main")
    meter.is_failing = True
    await garage.hears(AlarmChanged, alarm_id="device-unreachable/main", active=True)
    count = len(garage.all(MeterSampled))
    meter.is_failing = False
    await garage.hears(AlarmChanged, alarm_id="device-unreachable/main", active=False)
    await eventually(lambda: len(garage.all(MeterSampled)) > count)
    assert len(garage.all(AlarmChanged)) == 2


@pytest.mark.parametrize("mode", [Mode.MONITOR, Mode.OFF])
async def test_outside_load_management_nothing_is_ever_written(
    frozen: tuple[Garage, FakeClock], mode: Mode
) -> None:
    garage, clock = frozen
    box = await garage.add_box("p1")
    garage.configure(mode=mode, **garage.change_evse("p1", enabled=False))
    await garage.start_bridge()
    await garage.online("p1")
    revision = await garage.limit("p1", 6)
    refused = await garage.hears(SetpointApplied, revision=revision)
    assert refused.outcome is SetpointOutcome.REFUSED
    with pytest.raises(Refused, match="never written"):
        await garage.bus.ask(ClearProfiles(station_id="p1", connector=1), timeout_s=5)
    garage.heard.clear()
    clock.advance(100)
    await garage.online("p1")
    assert not box.writes


@pytest.mark.parametrize(
    ("policy", "limit_a", "is_enabled"),
    [
        (DeactivationPolicy.SWITCH_OFF, 10.0, False),
        (DeactivationPolicy.MINIMUM, 6.0, True),
        (DeactivationPolicy.CANCEL_LIMITS, 32.0, True),
    ],
)
@pytest.mark.parametrize("how", ["disabled", "mode", "removed"])
async def test_box_is_let_go_by_policy(
    garage: Garage, policy: DeactivationPolicy, limit_a: float, is_enabled: bool, how: str
) -> None:
    box = await garage.add_box("p1")
    garage.configure(deactivation=policy)
    await garage.start_bridge()
    await garage.online("p1")
    await garage.hears(SetpointApplied, revision=await garage.limit("p1", 10))
    changes: dict[str, Any] = {
        "disabled": garage.change_evse("p1", enabled=False),
        "mode": {"mode": Mode.MONITOR},
        "removed": {"stations": (), "evses": ()},
    }[how]
    await garage.reconfigure(**changes)
    await eventually(lambda: (box.limit_a, box.is_enabled) == (limit_a, is_enabled))


async def test_operator_stops_and_starts_again(garage: Garage) -> None:
    box = await garage.add_box("p1")
    box.outlet.plug(Car())
    await garage.start_bridge()
    await garage.online("p1")
    await garage.hears(SetpointApplied, revision=await garage.limit("p1", 16))
    stopped: ActionOutcome = await garage.bus.ask(
        StopCharging(station_id="p1", connector=1), timeout_s=5
    )
    assert stopped.done
    assert not box.is_enabled
    held = await garage.hears(SetpointApplied, revision=await garage.limit("p1", 12))
    assert (held.limit_a, held.detail) == (0.0, "held")
    assert not box.is_enabled
    started = await garage.bus.ask(
        StartCharging(station_id="p1", connector=1, token="operator"), timeout_s=5
    )
    assert started.done
    await eventually(lambda: box.is_enabled and box.limit_a == 12.0)


async def test_operator_stop_ends_with_the_vehicle(garage: Garage) -> None:
    box = await garage.add_box("p1")
    box.outlet.plug(Car())
    await garage.start_bridge()
    await garage.online("p1")
    await garage.limit("p1", 16)
    await garage.bus.ask(StopCharging(station_id="p1", connector=1), timeout_s=5)
    box.outlet.unplug()
    await eventually(lambda: box.is_enabled)


async def test_cancelled_limit_is_written(garage: Garage) -> None:
    box = await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    await garage.hears(SetpointApplied, revision=await garage.limit("p1", 0))
    await eventually(lambda: not box.is_enabled)
    await garage.bus.ask(ClearProfiles(station_id="p1", connector=1), timeout_s=5)
    await eventually(lambda: box.is_enabled and box.limit_a == 32.0)


async def test_ocpp_call_to_a_modbus_box_is_refused(garage: Garage) -> None:
    await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    call = CallStation(station_id="p1", action="Reset", payload_text="{}")
    with pytest.raises(Refused, match="not an OCPP station"):
        await garage.bus.ask(call, timeout_s=5)


async def test_facts_are_told_again_to_whoever_asks(garage: Garage) -> None:
    await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    garage.heard.clear()
    await garage.bus.publish(FactsRequested(asker="loadmgr"))
    await garage.hears(StationConnected, station_id="p1")
    await garage.hears(StationBooted, station_id="p1")
    await garage.hears(EvseObserved, evse_id="evse-p1", online=True)


async def test_site_change_starts_and_stops_only_what_changed(garage: Garage) -> None:
    await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    await garage.add_box("p2")
    await garage.reconfigure()
    await garage.online("p2")
    stations = tuple(s for s in garage.site.stations if s.id == "p2")
    evses = tuple(e for e in garage.site.evses if e.station == "p2")
    await garage.reconfigure(stations=stations, evses=evses)
    await garage.hears(StationDisconnected, station_id="p1")
    assert len(garage.all(StationConnected, station_id="p2")) == 1
    assert not garage.all(StationDisconnected, station_id="p2")


async def test_unknown_template_disturbs_nobody_and_says_what_is_known(garage: Garage) -> None:
    access = ModbusAccess(template="brand_x", host="127.0.0.1")
    wrong = Station(id="wrong", protocol="modbus", modbus=access)
    garage.configure(
        stations=(wrong,), evses=(Evse(id="evse-wrong", station="wrong", circuit="grid"),)
    )
    await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    alarm = await garage.hears(AlarmChanged, alarm_id="modbus-config/wrong", active=True)
    assert "eastron_sdm630" in alarm.text
    stations = tuple(s for s in garage.site.stations if s.id == "p1")
    await garage.reconfigure(stations=stations)
    await garage.hears(AlarmChanged, alarm_id="modbus-config/wrong", active=False)


async def test_box_without_a_meter_shows_no_current_instead_of_zero(garage: Garage) -> None:
    await garage.add_box("p1", has_meter=False)
    await garage.start_bridge()
    seen = await garage.hears(EvseObserved, evse_id="evse-p1", online=True)
    assert (seen.current_a, seen.power_w, seen.energy_wh) == (None, None, None)
    assert seen.state is EvseState.A


async def test_setpoint_holds_when_the_box_forgets_it(garage: Garage) -> None:
    box = await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    await garage.hears(SetpointApplied, revision=await garage.limit("p1", 10))
    box.limit_a = 32.0
    await eventually(lambda: box.limit_a == 10.0)


async def test_smaller_box_keeps_what_it_can_and_is_not_told_twice(garage: Garage) -> None:
    box = await garage.add_box("p1")
    box.outlet.max_a = box.limit_a = 16.0
    await garage.start_bridge()
    await garage.online("p1")
    revision = await garage.limit("p1", 32)
    applied = await garage.hears(SetpointApplied, revision=revision)
    assert (applied.outcome, applied.limit_a) == (SetpointOutcome.ACCEPTED, 16.0)
    writes = len(box.writes)
    await garage.hears(SetpointApplied, revision=await garage.limit("p1", 32))
    assert len(box.writes) == writes


async def test_second_bridge_gets_the_station_and_the_first_lets_it_be(garage: Garage) -> None:
    box = await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    epoch = garage.all(StationConnected)[0].epoch
    inbox = await garage.hub.join("modbus-bridge").inbox(garage._ignore)
    await inbox.own(station_address("p1"), epoch + 1)
    gone = await garage.hears(StationDisconnected, station_id="p1", epoch=epoch)
    assert "another modbus-bridge" in gone.reason
    await garage.hears(AlarmChanged, alarm_id="modbus-config/p1", active=True)
    count = len(box.writes)
    await garage.reconfigure(poll_interval_s=0.2)
    await garage.stop_bridge()
    assert len(box.writes) == count


class DeafBus:
    """A bus whose broker is away: nothing can be owned."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def inbox(self, on_evicted: EvictionHandler) -> Any:
        inbox = await self._bus.inbox(on_evicted)

        async def own(*_: object) -> None:
            raise NotSafe("the broker is away")

        inbox.own = own  # type: ignore[method-assign]
        return inbox


async def test_box_falls_back_even_when_the_bus_is_away(
    frozen: tuple[Garage, FakeClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    garage, clock = frozen
    box = await garage.add_box("p1")
    join = garage.hub.join
    monkeypatch.setattr(garage.hub, "join", lambda name: DeafBus(join(name)))
    await garage.start_bridge()
    await eventually(lambda: box.failsafe_s == 60, claim="the box is reached")
    assert box.is_enabled
    clock.advance(11)
    await eventually(lambda: not box.is_enabled)


async def test_bridge_that_stops_says_so_and_leaves_the_box_to_its_failsafe(
    garage: Garage,
) -> None:
    box = await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    await garage.hears(SetpointApplied, revision=await garage.limit("p1", 16))
    writes = len(box.writes)
    await garage.stop_bridge()
    gone = await garage.hears(StationDisconnected, station_id="p1")
    assert gone.reason == "the bridge stopped"
    assert len(box.writes) == writes
    for _ in range(61):
        garage.world.step(1)
    assert not box.is_enabled


async def test_polling_keeps_the_box_from_falling_back(garage: Garage) -> None:
    box = await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    await garage.hears(SetpointApplied, revision=await garage.limit("p1", 16))
    for _ in range(12):
        garage.world.step(10)
        seen = box._silent_since_s
        await eventually(lambda before=seen: box._silent_since_s > before)
    assert (box.limit_a, box.is_enabled) == (16.0, True)


async def test_operator_starts_nothing_at_a_disabled_evse(garage: Garage) -> None:
    await garage.add_box("p1")
    garage.configure(**garage.change_evse("p1", enabled=False))
    await garage.start_bridge()
    await garage.online("p1")
    start = StartCharging(station_id="p1", connector=1, token="operator")
    outcome = await garage.bus.ask(start, timeout_s=5)
    assert not outcome.done
    assert "disabled" in outcome.detail


async def test_operator_cannot_stop_what_is_not_there(garage: Garage) -> None:
    await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    outcome = await garage.bus.ask(StopCharging(station_id="p1", connector=1), timeout_s=5)
    assert not outcome.done
    with pytest.raises(Refused, match="no EVSE at connector 2"):
        await garage.bus.ask(StopCharging(station_id="p1", connector=2), timeout_s=5)


async def test_limit_that_is_no_number_pauses(garage: Garage) -> None:
    box = await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    await garage.limit("p1", float("nan"))
    await eventually(lambda: not box.is_enabled)


async def test_moved_device_gets_a_new_connection_with_a_newer_epoch(garage: Garage) -> None:
    box = await garage.add_box("p1")
    await garage.start_bridge()
    await garage.online("p1")
    before = len(box.writes)
    (station,) = garage.site.stations
    assert station.modbus is not None
    moved = station.modbus.model_copy(update={"host": "localhost"})
    await garage.reconfigure(stations=(station.model_copy(update={"modbus": moved}),))
    await eventually(lambda: len(garage.all(StationConnected)) == 2)
    first, second = garage.all(StationConnected)
    assert second.epoch > first.epoch
    assert len(box.writes) == before  # moving is not letting go


async def test_station_that_never_answered_is_told_offline_and_unknown(garage: Garage) -> None:
    await garage.add_box("p1")
    await garage.cut_network("p1")
    await garage.start_bridge()
    seen = await garage.hears(EvseObserved, evse_id="evse-p1", online=False)
    assert (seen.state, seen.current_a, seen.offered_a) == (None, None, None)
    await garage.hears(AlarmChanged, alarm_id="device-unreachable/p1", active=True)
    await garage.bus.publish(FactsRequested(asker="loadmgr"))
    alarms = "device-unreachable/p1"
    await eventually(lambda: len(garage.all(AlarmChanged, alarm_id=alarms, active=True)) == 2)
    assert not garage.all(StationConnected)


async def test_units_on_one_line_are_polled_by_one_connection(garage: Garage) -> None:
    meter = await garage.add_meter("main")
    (configured,) = garage.site.meters
    other = configured.modbus.model_copy(update={"unit": 2})
    silent = configured.model_copy(update={"id": "silent", "modbus": other})
    garage.configure(meters=(configured, silent))
    await garage.start_bridge()
    await garage.hears(AlarmChanged, alarm_id="device-unreachable/silent", active=True)
    count = len(garage.all(MeterSampled, meter_id="main"))
    await eventually(lambda: len(garage.all(MeterSampled, meter_id="main")) > count + 3)
    assert not garage.all(AlarmChanged, alarm_id="device-unreachable/main")
    assert meter.port


async def test_template_of_the_wrong_kind_is_refused(garage: Garage) -> None:
    access = ModbusAccess(template="cfos_power_brain", host="127.0.0.1")
    garage.configure(meters=(Meter(id="m", circuit="grid", modbus=access),))
    await garage.start_bridge()
    alarm = await garage.hears(AlarmChanged, alarm_id="modbus-config/m", active=True)
    assert "is for a charger, not a meter" in alarm.text
    await garage.bus.publish(FactsRequested(asker="api"))
    await eventually(lambda: len(garage.all(AlarmChanged, active=True)) == 2)
