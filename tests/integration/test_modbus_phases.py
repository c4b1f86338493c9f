"""Changing phases at a simulated Power Brain: real Modbus TCP, the bus in memory, time is ours."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from modbus_bridge.domain.phases import RETRY_S
from parkade.simulation.car import CITY_CAR, SALOON, Car, CarModel
from parkade.simulation.contactor import Contactor
from parkade.simulation.power_brain import PowerBrain
from parkade.simulation.power_brain_registers import Register
from shared.clock import FakeClock
from shared.contracts.charging import SetpointApplied, SetpointOutcome
from shared.contracts.site import DeactivationPolicy
from shared.contracts.station import StationConnected, StationDisconnected
from tests.conditions import eventually
from tests.integration.test_modbus_bridge import Garage

PAUSE_AFTER_S = 120
"""Of the template."""
LONG_S = 900.0


class Bay:
    """One Power Brain that may switch phases, its bridge, and a clock that the test moves."""

    def __init__(self, garage: Garage, clock: FakeClock) -> None:
        self.garage = garage
        self.clock = clock
        self.box: PowerBrain

    async def open(self, *, switches_phases: bool = True, **contactor: Any) -> None:
        self.box = await self.garage.add_box("p1", contactor=Contactor(**contactor))
        changes = self.garage.change_evse("p1", switches_phases=switches_phases, fallback_a=6.0)
        self.garage.configure(**changes)
        await self.garage.start_bridge()
        await self.garage.online("p1")

    async def charging(self, limit_a: float, *, phases: int, model: CarModel = SALOON) -> None:
        """Have a car charge on so many phases."""
        self.box.outlet.plug(Car(model, reaction_s=0, ramp_a_per_s=1000))
        await self.accepted(await self.order(limit_a, phases))
        await self.pass_time(5)
        assert self.box.outlet.amps[0] == limit_a

    async def order(self, limit_a: float, phases: int | None, *, lease_s: float = LONG_S) -> int:
        """Send a setpoint, have it arrive, and return its revision."""
        revision = await self.garage.limit("p1", limit_a, phases=phases, lease_s=lease_s)
        await self.polled()
        return revision

    async def pass_time(self, seconds: float) -> None:
        """Let time pass for the car, the box and the bridge, and have the bridge notice it."""
        step_s = max(1.0, seconds / 10)
        for _ in range(round(seconds / step_s)):
            self.garage.world.step(step_s)
            self.clock.advance(step_s)
            await self.asked()
        await self.asked()

    async def asked(self) -> None:
        """Wait until the bridge has asked the box once more."""
        self.garage.world.step(0.001)
        now_s = self.garage.world.now_s
        await eventually(lambda: self.box._silent_since_s >= now_s)

    async def polled(self) -> None:
        """Wait until the bridge has seen the present state of the box and acted on it."""
        await self.asked()
        await self.asked()

    async def accepted(self, revision: int) -> SetpointApplied:
        return await self.garage.hears(
            SetpointApplied, revision=revision, outcome=SetpointOutcome.ACCEPTED
        )

    def outcomes(self, revision: int) -> list[SetpointOutcome]:
        return [e.outcome for e in self.garage.all(SetpointApplied, revision=revision)]

    @property
    def phase_writes(self) -> list[int]:
        return [w.value for w in self.box.writes if w.address == Register.RELAY_SELECT]


@pytest.fixture
async def bay(tmp_path: Path) -> AsyncIterator[Bay]:
    clock = FakeClock()
    async with Garage(tmp_path, clock) as garage:
        yield Bay(garage, clock)


async def test_three_to_one_stops_the_car_first_and_is_told_only_when_both_are_in_force(
    bay: Bay,
) -> None:
    await bay.open(takes_s=PAUSE_AFTER_S - 1)
    await bay.charging(10, phases=3)
    revision = await bay.order(16, 1)
    await eventually(lambda: not bay.box.is_enabled, claim="it is paused")
    await bay.polled()
    assert bay.phase_writes == [], "current still flows"
    await bay.pass_time(4)
    assert bay.box.outlet.power_w == 0
    assert bay.phase_writes == [1]
    await bay.pass_time(PAUSE_AFTER_S - 5)
    assert (bay.outcomes(revision), bay.box.is_enabled) == ([], False)
    await bay.pass_time(5)
    applied = await bay.accepted(revision)
    assert applied.limit_a == 16
    await bay.pass_time(5)
    assert bay.box.outlet.amps == (16, 0, 0)
    assert bay.box.contactor.switched_under_load == 0
    assert bay.outcomes(revision) == [SetpointOutcome.ACCEPTED]


async def test_one_to_three_ends_with_the_limit_on_three(bay: Bay) -> None:
    await bay.open()
    bay.box.contactor.order(1, bay.box.outlet)
    await bay.charging(16, phases=1)
    assert bay.phase_writes == []
    revision = await bay.order(8, 3)
    await bay.pass_time(4)
    await bay.pass_time(PAUSE_AFTER_S)
    await bay.accepted(revision)
    await bay.pass_time(5)
    assert bay.box.outlet.amps == (8, 8, 8)
    assert bay.phase_writes == [0]
    assert bay.box.contactor.switched_under_load == 0


async def test_phases_that_are_in_force_interrupt_nothing(bay: Bay) -> None:
    await bay.open()
    await bay.charging(10, phases=3)
    writes = len(bay.box.writes)
    await bay.accepted(await bay.order(10, 3))
    assert len(bay.box.writes) == writes
    await bay.accepted(await bay.order(10, None))
    assert len(bay.box.writes) == writes


async def test_a_newer_order_takes_back_a_change_that_is_not_written(bay: Bay) -> None:
    await bay.open()
    await bay.charging(10, phases=3)
    first = await bay.order(16, 1)
    await eventually(lambda: not bay.box.is_enabled)
    second = await bay.order(8, 3)
    await bay.pass_time(2)
    await bay.accepted(second)
    await bay.pass_time(5)
    assert bay.box.outlet.amps == (8, 8, 8)
    assert bay.phase_writes == []
    assert bay.outcomes(first) == []


async def test_a_newer_order_waits_for_a_change_that_is_written(bay: Bay) -> None:
    await bay.open(takes_s=PAUSE_AFTER_S - 1)
    await bay.charging(10, phases=3)
    await bay.order(16, 1)
    await bay.pass_time(4)
    assert bay.phase_writes == [1]
    second = await bay.order(8, 3)
    await bay.pass_time(PAUSE_AFTER_S - 10)
    assert bay.phase_writes == [1], "one change at a time"
    await bay.pass_time(15)
    assert bay.phase_writes == [1, 0]
    assert bay.outcomes(second) == []
    await bay.pass_time(PAUSE_AFTER_S)
    await bay.accepted(second)
    await bay.pass_time(5)
    assert bay.box.outlet.amps == (8, 8, 8)
    assert bay.box.contactor.switched_under_load == 0


async def test_a_lease_that_runs_out_during_a_change_leaves_the_fallback(bay: Bay) -> None:
    await bay.open()
    await bay.charging(10, phases=3)
    revision = await bay.order(16, 1, lease_s=30)
    await bay.pass_time(4)
    assert bay.phase_writes == [1]
    await bay.pass_time(30)
    assert (bay.outcomes(revision), bay.box.is_enabled) == ([], False)
    await bay.pass_time(PAUSE_AFTER_S - 30)
    expired = await bay.garage.hears(SetpointApplied, revision=revision)
    assert (expired.outcome, expired.limit_a) == (SetpointOutcome.LEASE_EXPIRED, 6.0)
    assert (bay.box.limit_a, bay.box.is_enabled) == (6.0, True)


async def test_a_contactor_that_sticks_is_told_as_failed_and_nothing_flows(bay: Bay) -> None:
    await bay.open(is_stuck=True)
    await bay.charging(10, phases=3)
    revision = await bay.order(16, 1)
    await bay.pass_time(4)
    await bay.pass_time(PAUSE_AFTER_S)
    await bay.pass_time(5)
    failed = await bay.garage.hears(
        SetpointApplied, revision=revision, outcome=SetpointOutcome.FAILED
    )
    assert failed.limit_a == 0.0
    assert "current flows on more" in failed.detail
    assert not bay.box.is_enabled
    written = list(bay.phase_writes)
    again = await bay.order(16, 1)
    await bay.garage.hears(SetpointApplied, revision=again, outcome=SetpointOutcome.FAILED)
    assert not bay.box.is_enabled
    assert bay.phase_writes == written
    await bay.pass_time(2)
    back = await bay.order(9, None)
    await bay.accepted(back)
    assert (bay.box.limit_a, bay.box.is_enabled) == (9.0, True)


async def test_a_car_that_does_not_stop_is_not_switched_under_load(
    bay: Bay, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bay.open()
    await bay.charging(10, phases=3)
    car = bay.box.outlet.car
    assert car is not None
    monkeypatch.setattr(car, "step", lambda *_, **__: None)  # it goes on as it is
    revision = await bay.order(16, 1)
    await bay.pass_time(12)
    failed = await bay.garage.hears(
        SetpointApplied, revision=revision, outcome=SetpointOutcome.FAILED
    )
    assert "current still flows" in failed.detail
    assert bay.phase_writes == []
    monkeypatch.undo()
    await bay.pass_time(5)
    bay.clock.advance(RETRY_S)
    await bay.pass_time(4)
    assert bay.phase_writes == [1], "it is tried again later"


async def test_a_box_without_a_meter_is_given_the_time_of_the_template(bay: Bay) -> None:
    await bay.open()
    bay.box.has_meter = False
    await bay.garage.stop_bridge()
    bay.garage.heard.clear()
    await bay.garage.start_bridge()
    await bay.garage.online("p1")
    bay.box.outlet.plug(Car(reaction_s=0))
    await bay.order(16, 1)
    await bay.pass_time(9)
    assert bay.phase_writes == []
    await bay.pass_time(3)
    assert bay.phase_writes == [1]


@pytest.mark.parametrize(
    ("site", "box", "because"),
    [
        (False, True, "the site does not say"),
        (True, False, "the box does not say"),
    ],
)
async def test_a_box_that_may_not_switch_never_sees_the_register(
    bay: Bay, site: bool, box: bool, because: str
) -> None:
    await bay.open(switches_phases=site, may_switch=box)
    await bay.charging(10, phases=3)
    revision = await bay.order(16, 1)
    refused = await bay.garage.hears(SetpointApplied, revision=revision)
    assert refused.outcome is SetpointOutcome.REFUSED
    assert because in refused.detail
    assert refused.limit_a == 10, "on three phases nobody has made room for more"
    await bay.pass_time(5)
    assert bay.box.outlet.amps == (10, 10, 10)
    lower = await bay.order(7, 1)
    told = await bay.garage.hears(SetpointApplied, revision=lower)
    assert (told.outcome, told.limit_a) == (SetpointOutcome.REFUSED, 7)
    assert bay.box.limit_a == 7
    await bay.pass_time(2)
    await bay.accepted(await bay.order(12, 3))
    await bay.accepted(await bay.order(12, None))
    assert bay.phase_writes == []


async def test_a_lost_connection_does_not_shorten_a_change(bay: Bay) -> None:
    await bay.open(takes_s=PAUSE_AFTER_S - 1)
    await bay.charging(10, phases=3)
    revision = await bay.order(16, 1)
    await bay.pass_time(4)
    assert bay.phase_writes == [1]
    await bay.garage.cut_network("p1")
    await bay.garage.hears(StationDisconnected, station_id="p1")
    await bay.garage.plug_network("p1")
    bay.clock.advance(40)
    await eventually(lambda: len(bay.garage.all(StationConnected)) == 2)
    await bay.pass_time(20)
    assert (bay.outcomes(revision), bay.box.is_enabled) == ([], False)
    await bay.pass_time(PAUSE_AFTER_S - 50)
    await bay.accepted(revision)
    assert bay.box.is_enabled


async def test_a_box_that_is_let_go_is_left_as_the_policy_says(bay: Bay) -> None:
    await bay.open()
    await bay.charging(10, phases=3)
    await bay.order(16, 1)
    await bay.pass_time(4)
    await bay.garage.reconfigure(
        deactivation=DeactivationPolicy.SWITCH_OFF,
        **bay.garage.change_evse("p1", enabled=False),
    )
    await bay.pass_time(PAUSE_AFTER_S + 5)
    assert not bay.box.is_enabled


async def test_a_one_phase_car_goes_on_after_a_change(bay: Bay) -> None:
    await bay.open()
    await bay.charging(10, phases=3, model=CITY_CAR)
    revision = await bay.order(20, 1)
    await bay.pass_time(5)
    await bay.pass_time(PAUSE_AFTER_S)
    await bay.accepted(revision)
    await bay.pass_time(5)
    assert bay.box.outlet.amps == (20, 0, 0)
