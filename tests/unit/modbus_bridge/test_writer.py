from datetime import timedelta
from typing import Any, cast

import pytest

from modbus_bridge.domain.lease import Cause, Desired, Lease, new_tenure
from modbus_bridge.domain.model import resolve
from modbus_bridge.link import Unit
from modbus_bridge.outlet import Outlet
from modbus_bridge.registers import Registers
from modbus_bridge.writer import INSIST_PAUSE_S, WRITE_PAUSE_S, Applied, Writer, outcome_for
from shared.clock import FakeClock
from shared.contracts.charging import SetpointOutcome
from shared.contracts.site import DeactivationPolicy, Evse, Mode, SiteConfig
from shared.errors import DeviceUnreachable
from tests.unit.modbus_bridge.conftest import Build, FakeUnit

ACCEPTED, REFUSED = SetpointOutcome.ACCEPTED, SetpointOutcome.REFUSED
LIMIT, ENABLE, TIMEOUT, CURRENT, ALIVE = 10, 11, 20, 21, 30
FAILSAFE = {
    "failsafe_timeout": {"addr": TIMEOUT, "write_fc": 6, "wear": True, "poll": "once"},
    "failsafe_current": {
        "addr": CURRENT, "write_fc": 6, "scale": 0.1, "max": 63, "wear": True, "poll": "once",
    },
}  # fmt: skip


class Box:
    """A writer, its outlet and the device behind them."""

    def __init__(self, build: Build, registers: dict[int, int], **template: Any) -> None:
        self.clock = FakeClock()
        self.unit = FakeUnit(registers)
        self.registers = Registers(cast(Unit, self.unit), resolve(build(**template), 1))
        evse = Evse(id="e", station="s", circuit="c", max_a=32)
        self.outlet = Outlet(evse, self.registers, new_tenure(self.clock.now()))
        self.writer = Writer(self.outlet, self.clock)
        self.site = SiteConfig(lease_s=30)

    def grant(self, limit_a: float, phases: int | None = None) -> None:
        revision = 1 if self.outlet.tenure.lease is None else self.outlet.tenure.lease.revision + 1
        expires_at = self.clock.now() + timedelta(seconds=300)
        lease = Lease(revision=revision, limit_a=limit_a, expires_at=expires_at, phases=phases)
        self.outlet.tenure = self.outlet.tenure.renewed(lease, self.clock.now())

    async def cycle(self) -> Applied | None:
        await self.registers.poll(self.clock.monotonic())
        done = await self.writer.reconcile(self.site, self.clock.now())
        return None if done is None else done[1]

    def take_writes(self) -> list[tuple[int, int]]:
        writes, self.unit.writes = self.unit.writes, []
        return writes


def with_failsafe(build: Build, **registers: int) -> Box:
    points = {**build().model_dump(mode="json")["points"], **FAILSAFE}
    found = {LIMIT: 160, ENABLE: 1, **{int(k[1:]): v for k, v in registers.items()}}
    return Box(
        build,
        found,
        points=points,
        failsafe={"timeout": "failsafe_timeout", "current": "failsafe_current"},
    )


async def test_only_registers_that_differ_are_written(build: Build) -> None:
    box = Box(build, {LIMIT: 320, ENABLE: 1})
    box.grant(16)
    assert await box.cycle() == Applied(ACCEPTED, 16.0)
    assert box.take_writes() == [(LIMIT, 160)]
    assert await box.cycle() == Applied(ACCEPTED, 16.0)
    assert box.take_writes() == []


async def test_limit_comes_before_the_release(build: Build) -> None:
    box = Box(build, {LIMIT: 320, ENABLE: 0})
    box.grant(8)
    await box.cycle()
    assert box.take_writes() == [(LIMIT, 80), (ENABLE, 1)]


async def test_box_that_keeps_less_is_content_and_not_told_again(build: Build) -> None:
    box = Box(build, {LIMIT: 60, ENABLE: 1})
    box.unit.ceilings = {LIMIT: 160}
    box.grant(32)
    assert await box.cycle() == Applied(ACCEPTED, 16.0)
    box.take_writes()
    box.clock.advance(60)
    assert await box.cycle() == Applied(ACCEPTED, 16.0)
    assert box.take_writes() == []


async def test_box_that_keeps_more_refuses_and_is_told_again_after_a_while(build: Build) -> None:
    box = Box(build, {LIMIT: 160, ENABLE: 1})
    box.unit.stubborn = {LIMIT}
    box.grant(8)
    applied = await box.cycle()
    assert applied is not None
    assert (applied.outcome, applied.limit_a) == (REFUSED, 16.0)
    assert "stays 16" in applied.detail
    box.take_writes()
    await box.cycle()
    assert box.take_writes() == []
    box.clock.advance(INSIST_PAUSE_S)
    await box.cycle()
    assert box.take_writes() == [(LIMIT, 80)]


async def test_box_that_cannot_be_paused_refuses_with_what_it_offers(build: Build) -> None:
    box = Box(build, {LIMIT: 160, ENABLE: 1})
    box.unit.stubborn = {ENABLE}
    box.grant(0)
    applied = await box.cycle()
    assert applied is not None
    assert (applied.outcome, applied.limit_a) == (REFUSED, 16.0)


async def test_exception_on_write_is_a_refusal(build: Build) -> None:
    box = Box(build, {LIMIT: 160, ENABLE: 1})
    box.grant(8)
    await box.registers.poll(box.clock.monotonic())
    box.unit.refused = {LIMIT}
    done = await box.writer.reconcile(box.site, box.clock.now())
    assert done is not None
    assert (done[1].outcome, done[1].limit_a) == (REFUSED, 16.0)


async def test_silence_on_write_is_told(build: Build) -> None:
    box = Box(build, {LIMIT: 160, ENABLE: 1})
    box.grant(8)
    await box.registers.poll(box.clock.monotonic())
    box.unit.is_silent = True
    with pytest.raises(DeviceUnreachable):
        await box.writer.reconcile(box.site, box.clock.now())


async def test_limit_is_lowered_at_once_and_raised_after_a_moment(build: Build) -> None:
    box = Box(build, {LIMIT: 160, ENABLE: 1})
    box.grant(14)
    await box.cycle()
    box.grant(10)
    assert await box.cycle() == Applied(ACCEPTED, 10.0)
    box.grant(20)
    assert await box.cycle() is None
    box.clock.advance(WRITE_PAUSE_S)
    assert await box.cycle() == Applied(ACCEPTED, 20.0)


async def test_failsafe_is_written_only_where_it_differs_and_once_a_connect(build: Build) -> None:
    box = with_failsafe(build, r20=30, r21=160)
    box.grant(16)
    await box.cycle()
    assert box.take_writes() == [(CURRENT, 0)]
    for _ in range(5):
        await box.cycle()
    assert box.take_writes() == []
    box.writer.forget()
    box.registers.forget()
    await box.cycle()
    assert box.take_writes() == []


async def test_failsafe_is_set_before_the_first_setpoint(build: Build) -> None:
    box = with_failsafe(build, r20=300, r21=0)
    assert await box.cycle() is None
    assert box.take_writes() == [(TIMEOUT, 30)]


async def test_box_that_will_not_take_its_failsafe_is_not_worn_out(build: Build) -> None:
    box = with_failsafe(build, r20=300, r21=160)
    box.unit.stubborn = {TIMEOUT}
    box.grant(16)
    await box.registers.poll(box.clock.monotonic())
    box.unit.refused = {CURRENT}
    await box.writer.reconcile(box.site, box.clock.now())
    box.unit.refused = set()
    assert box.take_writes() == [(TIMEOUT, 30)]
    await box.cycle()
    assert box.take_writes() == []


async def test_failsafe_follows_the_fallback_and_the_policy(build: Build) -> None:
    box = with_failsafe(build, r20=30, r21=0)
    box.outlet.evse = box.outlet.evse.model_copy(update={"fallback_a": 8.0})
    box.grant(16)
    await box.cycle()
    assert box.unit.registers[CURRENT] == 80
    box.outlet.evse = box.outlet.evse.model_copy(update={"enabled": False})
    box.site = SiteConfig(lease_s=30, deactivation=DeactivationPolicy.MINIMUM)
    await box.cycle()
    assert (box.unit.registers[CURRENT], box.unit.registers[LIMIT]) == (60, 60)


async def test_monitor_mode_writes_nothing(build: Build) -> None:
    box = with_failsafe(build, r20=300, r21=160)
    box.site = SiteConfig(mode=Mode.MONITOR)
    box.grant(6)
    assert await box.cycle() is None
    assert box.unit.writes == []


async def test_box_let_go_falls_back_to_what_the_policy_says(build: Build) -> None:
    box = with_failsafe(build, r20=30, r21=0)
    box.site = SiteConfig(lease_s=30, deactivation=DeactivationPolicy.CANCEL_LIMITS)
    await box.registers.poll(box.clock.monotonic())
    await box.writer.let_go(box.site)
    registers = box.unit.registers
    assert (registers[CURRENT], registers[LIMIT], registers[ENABLE]) == (320, 320, 1)


async def test_keepalive_register_is_written_as_often_as_the_box_wants(build: Build) -> None:
    points = build().model_dump(mode="json")["points"]
    points["alive"] = {"addr": ALIVE, "fc": None, "write_fc": 6, "poll": "never"}
    keepalive = {"kind": "write_register", "write": "alive", "value": 1, "interval_s": 5}
    box = Box(build, {LIMIT: 160, ENABLE: 1}, points=points, keepalive=keepalive)
    box.grant(16)
    for _ in range(10):
        await box.cycle()
        box.clock.advance(1)
    assert box.take_writes() == [(ALIVE, 1)] * 2
    box.unit.refused = {ALIVE}
    for _ in range(10):
        await box.cycle()
        box.clock.advance(5)
    box.unit.refused = set()
    await box.cycle()
    assert box.take_writes() == []
    box.writer.forget()
    await box.cycle()
    assert box.take_writes() == [(ALIVE, 1)]


async def test_limit_is_rewritten_where_the_box_forgets_it(build: Build) -> None:
    keepalive = {"kind": "rewrite_limit", "interval_s": 20}
    box = Box(build, {LIMIT: 100, ENABLE: 1}, keepalive=keepalive)
    box.grant(16)
    await box.cycle()
    assert box.take_writes() == [(LIMIT, 160)]
    box.clock.advance(19)
    await box.cycle()
    assert box.take_writes() == []
    box.clock.advance(1)
    await box.cycle()
    assert box.take_writes() == [(LIMIT, 160)]


async def test_traffic_is_enough_for_most_boxes(build: Build) -> None:
    box = Box(build, {LIMIT: 160, ENABLE: 1}, keepalive={"kind": "any_traffic"})
    box.grant(16)
    await box.cycle()
    assert box.take_writes() == []


async def test_limit_that_cannot_be_read_is_written_once(build: Build) -> None:
    points = build().model_dump(mode="json")["points"]
    points["current_limit"]["fc"] = None
    box = Box(build, {ENABLE: 1}, points=points)
    box.grant(16)
    assert await box.cycle() == Applied(ACCEPTED, 16.0)
    assert box.take_writes() == [(LIMIT, 160)]
    await box.cycle()
    assert box.take_writes() == []
    box.writer.forget()
    await box.cycle()
    assert box.take_writes() == [(LIMIT, 160)]


@pytest.mark.parametrize(
    ("cause", "limit_a", "outcome", "detail"),
    [
        (Cause.LEASE, 10.0, ACCEPTED, ""),
        (Cause.HELD, 0.0, ACCEPTED, "held"),
        (Cause.RELEASED, 32.0, REFUSED, "released"),
    ],
)
def test_setpoint_that_something_else_outweighs_says_what(
    cause: Cause, limit_a: float, outcome: SetpointOutcome, detail: str
) -> None:
    told = outcome_for(10.0, Desired(limit_a, cause), Applied(ACCEPTED, limit_a))
    assert told == Applied(outcome, limit_a, detail)


async def test_refusing_box_counts_with_its_limit_even_while_it_offers_nothing(
    build: Build,
) -> None:
    points = build().model_dump(mode="json")["points"]
    points["current_offered"] = {"addr": 12, "scale": 0.1, "poll": "fast"}
    box = Box(build, {LIMIT: 320, ENABLE: 1, 12: 0}, points=points)
    box.unit.stubborn = {LIMIT}
    box.grant(8)
    applied = await box.cycle()
    assert applied is not None
    assert (applied.outcome, applied.limit_a) == (REFUSED, 32.0)


SELECT, STATE = 12, 13


def with_phases(build: Build, registers: dict[int, int], **phases: Any) -> Box:
    """Return a box whose meter is idle and that shows its phases at the register it is told at."""
    dumped = build().model_dump(mode="json")
    points = dumped["points"] | {
        "select": {"addr": SELECT, "write_fc": 6, "poll": "fast"},
        "state": {"addr": STATE, "poll": "fast"},
        "current": {"addr": 14, "n": 3, "poll": "fast"},
    }
    switch = {"write": "select", "one": 1, "three": 3, "pause_after_s": 5, **phases}
    control = dumped["control"] | {"phases": switch}
    found = {LIMIT: 100, ENABLE: 1, SELECT: 3, STATE: 3}
    box = Box(build, found | registers, points=points, control=control)
    box.outlet.evse = box.outlet.evse.model_copy(update={"switches_phases": True})
    return box


async def test_phases_are_written_between_the_pause_and_the_limit(build: Build) -> None:
    box = with_phases(build, {})
    box.grant(16, 1)
    assert await box.cycle() is None
    assert box.take_writes() == [(ENABLE, 0)]
    box.clock.advance(1)
    assert await box.cycle() is None
    assert box.take_writes() == [(SELECT, 1)]
    box.clock.advance(4)
    assert await box.cycle() is None
    box.clock.advance(1)
    assert await box.cycle() == Applied(ACCEPTED, 16.0)
    assert box.take_writes() == [(LIMIT, 160), (ENABLE, 1)]


async def test_box_that_refuses_the_phases_fails_and_stays_paused(build: Build) -> None:
    box = with_phases(build, {})
    box.grant(16, 1)
    await box.cycle()
    box.clock.advance(1)
    await box.registers.poll(box.clock.monotonic())
    box.unit.refused = {SELECT}
    done = await box.writer.reconcile(box.site, box.clock.now())
    assert done is not None
    assert (done[1].outcome, done[1].limit_a) == (SetpointOutcome.FAILED, 0.0)
    assert "does not take 1 phase" in done[1].detail
    assert box.unit.registers[ENABLE] == 0


async def test_box_that_keeps_its_phases_fails_at_once(build: Build) -> None:
    box = with_phases(build, {})
    box.unit.stubborn = {SELECT}
    box.grant(16, 1)
    await box.cycle()
    box.clock.advance(1)
    applied = await box.cycle()
    assert applied is not None
    assert applied.outcome is SetpointOutcome.FAILED
    assert "select stays 3" in applied.detail
    box.grant(16, 3)
    assert await box.cycle() is None  # a raise has to wait a moment
    box.clock.advance(WRITE_PAUSE_S)
    assert await box.cycle() == Applied(ACCEPTED, 16.0), "the phases that it has can be had"


async def test_box_that_cannot_be_paused_is_not_switched(build: Build) -> None:
    box = with_phases(build, {})
    box.unit.stubborn = {ENABLE}
    box.grant(16, 1)
    for _ in range(4):
        applied = await box.cycle()
        assert applied is not None
        assert (applied.outcome, applied.limit_a) == (REFUSED, 10.0)
        box.clock.advance(2)
    assert (SELECT, 1) not in box.unit.writes


async def test_silence_while_phases_are_written_is_told_and_the_change_is_waited_for(
    build: Build,
) -> None:
    box = with_phases(build, {})
    box.grant(16, 1)
    await box.cycle()
    box.clock.advance(1)
    await box.registers.poll(box.clock.monotonic())
    box.unit.is_silent = True
    with pytest.raises(DeviceUnreachable):
        await box.writer.reconcile(box.site, box.clock.now())
    box.unit.is_silent = False
    box.writer.forget()
    box.unit.registers[SELECT] = 1  # it had heard
    box.clock.advance(4)
    assert await box.cycle() is None
    box.clock.advance(1)
    assert await box.cycle() == Applied(ACCEPTED, 16.0)


async def test_box_that_sees_to_it_by_itself_is_not_paused_and_gets_no_more_meanwhile(
    build: Build,
) -> None:
    box = with_phases(build, {14: 10, 15: 10, 16: 10}, pauses=False)
    box.grant(16, 1)
    assert await box.cycle() is None
    assert box.take_writes() == [(SELECT, 1)]
    box.grant(8, 1)
    assert await box.cycle() is None
    assert box.take_writes() == [(LIMIT, 80)], "less is written at once"
    box.unit.registers |= {15: 0, 16: 0}
    box.clock.advance(5)
    assert await box.cycle() == Applied(ACCEPTED, 8.0)


async def test_box_that_shows_its_phases_elsewhere_is_waited_for(build: Build) -> None:
    box = with_phases(build, {}, state="state", confirm_s=30)
    box.grant(16, 1)
    await box.cycle()
    box.clock.advance(1)
    assert await box.cycle() is None
    box.unit.registers[STATE] = 0
    box.clock.advance(20)
    assert await box.cycle() is None
    box.unit.registers[STATE] = 1
    assert await box.cycle() == Applied(ACCEPTED, 16.0)


async def test_box_without_a_phase_switch_keeps_what_it_has(build: Build) -> None:
    box = Box(build, {LIMIT: 100, ENABLE: 1})
    box.outlet.evse = box.outlet.evse.model_copy(update={"switches_phases": True})
    box.grant(16, 1)
    applied = await box.cycle()
    assert applied is not None
    assert (applied.outcome, applied.limit_a) == (REFUSED, 10.0)
    assert "template" in applied.detail
    assert box.unit.writes == []


async def test_failed_change_is_told_when_the_car_does_not_stop(build: Build) -> None:
    box = with_phases(build, {14: 10, 15: 10, 16: 10})
    box.grant(16, 1)
    await box.cycle()
    box.clock.advance(10)
    applied = await box.cycle()
    assert applied is not None
    assert (applied.outcome, applied.limit_a) == (SetpointOutcome.FAILED, 0.0)
    assert (SELECT, 1) not in box.unit.writes
