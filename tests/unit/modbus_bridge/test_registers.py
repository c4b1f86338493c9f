from typing import cast

import pytest

from modbus_bridge.domain.model import resolve
from modbus_bridge.domain.setpoint import write_of
from modbus_bridge.domain.template import PollGroup
from modbus_bridge.link import Unit
from modbus_bridge.registers import PERIODS_S, PROBE_AGAIN_S, Registers
from shared.errors import DeviceUnreachable
from tests.unit.modbus_bridge.conftest import Build, FakeUnit

POINTS = {
    "pilot": {"addr": 0, "poll": "fast"},
    "current_limit": {"addr": 10, "write_fc": 6, "scale": 0.1, "max": 32, "poll": "fast"},
    "enable": {"addr": 11, "write_fc": 6, "type": "bool", "poll": "fast"},
    "cable": {"addr": 20},
    "total": {"addr": 30, "poll": "slow"},
    "serial": {"addr": 40, "type": "str:2", "poll": "once"},
    "order": {"addr": 50, "fc": None, "write_fc": 6, "poll": "never"},
}


@pytest.fixture
def unit() -> FakeUnit:
    return FakeUnit({0: 1, 10: 160, 11: 1, 20: 5, 30: 7, 40: 0x4142})


@pytest.fixture
def registers(build: Build, unit: FakeUnit) -> Registers:
    return Registers(cast(Unit, unit), resolve(build(points=POINTS), 1))


async def test_everything_is_read_first_and_then_what_is_due(
    registers: Registers, unit: FakeUnit
) -> None:
    await registers.poll(100.0)
    assert [r[1] for r in unit.reads] == [0, 10, 20, 30, 40]
    assert registers.values["serial"] == "AB"
    unit.reads.clear()
    await registers.poll(101.0)
    assert [r[1] for r in unit.reads] == [0, 10]
    unit.reads.clear()
    await registers.poll(100.0 + PERIODS_S[PollGroup.NORMAL])
    assert [r[1] for r in unit.reads] == [0, 10, 20]
    unit.reads.clear()
    await registers.poll(100.0 + PERIODS_S[PollGroup.SLOW])
    assert [r[1] for r in unit.reads] == [0, 10, 20, 30]


async def test_after_a_disconnect_nothing_is_known_and_everything_is_read(
    registers: Registers, unit: FakeUnit
) -> None:
    await registers.poll(100.0)
    registers.forget()
    assert set(registers.values.values()) == {None}
    unit.reads.clear()
    await registers.poll(101.0)
    assert len(unit.reads) == 5


async def test_silence_is_told_and_what_was_read_before_is_kept(
    registers: Registers, unit: FakeUnit
) -> None:
    await registers.poll(100.0)
    unit.is_silent = True
    with pytest.raises(DeviceUnreachable):
        await registers.poll(101.0)
    assert registers.values["pilot"] == 1


async def test_refused_block_is_read_point_by_point_without_what_is_missing(
    registers: Registers, unit: FakeUnit
) -> None:
    unit.refused = {11}
    await registers.poll(100.0)
    assert registers.values["current_limit"] == 16.0
    assert registers.values["enable"] is None
    unit.reads.clear()
    await registers.poll(101.0)
    assert [r[1:] for r in unit.reads] == [(0, 1), (10, 1)]


async def test_refused_point_is_tried_again_later(registers: Registers, unit: FakeUnit) -> None:
    unit.refused = {11}
    await registers.poll(100.0)
    unit.refused = set()
    await registers.poll(100.0 + PROBE_AGAIN_S - 1)
    assert registers.values["enable"] is None
    await registers.poll(100.0 + PROBE_AGAIN_S)
    assert registers.values["enable"] is True


async def test_device_that_refuses_everything_is_not_there(
    registers: Registers, unit: FakeUnit
) -> None:
    unit.refused = set(range(100))
    with pytest.raises(DeviceUnreachable, match="is the template right"):
        await registers.poll(100.0)


async def test_written_point_is_read_back(registers: Registers, unit: FakeUnit) -> None:
    unit.ceilings = {10: 100}
    await registers.write(write_of("current_limit", registers.model.points, 16.0))
    assert await registers.read_back("current_limit") == 10.0
    assert registers.values["current_limit"] == 10.0


async def test_point_that_can_only_be_written_is_not_read_back(
    registers: Registers, unit: FakeUnit
) -> None:
    await registers.write(write_of("order", registers.model.points, 3))
    assert await registers.read_back("order") is None
    assert unit.writes == [(50, 3)]
    assert not unit.reads
