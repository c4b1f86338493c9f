"""The simulated wallbox and meter, asked by pymodbus's own client over a socket."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from pymodbus.client import AsyncModbusTcpClient

from parkade.simulation.car import Car
from parkade.simulation.outlet import Outlet
from parkade.simulation.power_brain import PowerBrain
from parkade.simulation.sdm630 import Sdm630
from parkade.simulation.world import World
from shared.units import PhaseAmps


@contextlib.asynccontextmanager
async def client_of(port: int) -> AsyncIterator[AsyncModbusTcpClient]:
    client = AsyncModbusTcpClient("127.0.0.1", port=port, retries=0, timeout=2)
    assert await client.connect()
    try:
        yield client
    finally:
        client.close()


def run(world: World, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        world.step(0.1)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def outlet(world: World) -> Outlet:
    return world.add(Outlet("bay-1", max_a=16))


async def test_a_power_brain_is_recognised_and_shows_what_flows(
    world: World, outlet: Outlet
) -> None:
    box = PowerBrain(world, outlet)
    async with box.serving() as port, client_of(port) as client:
        outlet.plug(Car())
        run(world, 30)
        identity = await client.read_holding_registers(8000, count=4)
        assert identity.registers == [0, 0xCF05, 1, 0x100]
        status = await client.read_holding_registers(8090, count=6)
        assert status.registers == [160, 0, 2, 160, 1, 160]
        currents = await client.read_holding_registers(8064, count=6)
        assert currents.registers == [0, 160, 0, 160, 0, 160]
        energy = await client.read_holding_registers(8058, count=4)
        value = client.convert_from_registers(energy.registers, client.DATATYPE.UINT64)
        assert value == int(outlet.energy_wh)


async def test_it_obeys_limit_and_enable(world: World, outlet: Outlet) -> None:
    box = PowerBrain(world, outlet)
    async with box.serving() as port, client_of(port) as client:
        outlet.plug(Car())
        await client.write_register(8093, 80)
        run(world, 10)
        assert outlet.current_a == PhaseAmps(l1=8, l2=8, l3=8)
        await client.write_register(8094, 0)
        run(world, 5)
        assert outlet.current_a == PhaseAmps(l1=0, l2=0, l3=0)


async def test_it_falls_back_when_nobody_asks_it_any_more(world: World, outlet: Outlet) -> None:
    box = PowerBrain(world, outlet, failsafe_s=60, failsafe_a=6)
    async with box.serving() as port, client_of(port) as client:
        outlet.plug(Car())
        await client.write_register(8093, 160)
        run(world, 59)
        assert outlet.offered_a == 16
        run(world, 2)
        assert outlet.offered_a == 6
        limit = await client.read_holding_registers(8093, count=2)
        assert limit.registers == [60, 1], "the manager sees that its limit is gone"


async def test_a_fail_safe_current_of_zero_switches_off(world: World, outlet: Outlet) -> None:
    box = PowerBrain(world, outlet, failsafe_s=60, failsafe_a=0)
    run(world, 61)
    assert box.allowed_a == 0


async def test_every_write_that_wears_the_flash_is_counted(world: World, outlet: Outlet) -> None:
    box = PowerBrain(world, outlet)
    async with box.serving() as port, client_of(port) as client:
        await client.write_register(8093, 100)
        await client.write_register(8094, 1)
        assert box.flash_writes == []
        await client.write_registers(8083, [0, 60])
        await client.write_register(8085, 60)
    assert [(w.address, w.value) for w in box.flash_writes] == [(8083, 0), (8084, 60), (8085, 60)]
    assert (box.failsafe_s, box.failsafe_a) == (60, 6)


@pytest.mark.parametrize(("address", "value"), [(8092, 1), (8093, 50), (8093, 700), (8000, 1)])
async def test_what_the_real_box_cannot_take_is_refused(
    world: World, outlet: Outlet, address: int, value: int
) -> None:
    box = PowerBrain(world, outlet)
    async with box.serving() as port, client_of(port) as client:
        answer = await client.write_register(address, value)
        assert answer.isError()
        assert not box.writes


async def test_without_a_meter_the_meter_registers_do_not_exist(
    world: World, outlet: Outlet
) -> None:
    box = PowerBrain(world, outlet, has_meter=False)
    async with box.serving() as port, client_of(port) as client:
        assert (await client.read_holding_registers(8058, count=4)).isError()
        assert (await client.read_holding_registers(8112, count=1)).registers == [0]
        assert (await client.read_input_registers(8092, count=1)).isError()


async def test_a_card_is_shown_as_text_and_counted(world: World, outlet: Outlet) -> None:
    box = PowerBrain(world, outlet)
    async with box.serving() as port, client_of(port) as client:
        outlet.swipe("04A1B2C3")
        outlet.swipe("04A1B2C3")
        words = (await client.read_holding_registers(8096, count=16)).registers
        text = b"".join(word.to_bytes(2) for word in words[:15]).rstrip(b"\0")
        assert (text, words[15]) == (b"04A1B2C3", 2)


@pytest.mark.parametrize(
    ("modbus_a", "ocpp_a", "offered_a"), [(16, 10, 10), (8, 16, 8), (16, 0, 0), (None, 16, 0)]
)
async def test_current_is_the_minimum_of_modbus_and_ocpp(
    world: World, outlet: Outlet, modbus_a: float | None, ocpp_a: float, offered_a: float
) -> None:
    box = PowerBrain(world, outlet)
    box.allow_by_ocpp(ocpp_a)
    box.limit_a, box.is_enabled = modbus_a or 16, modbus_a is not None
    run(world, 0.1)
    assert outlet.offered_a == offered_a


async def test_a_meter_shows_the_size_of_a_current_and_the_sign_of_power(world: World) -> None:
    world.set_base_load("grid", l1=10, l2=-5, l3=0)
    run(world, 1)
    meter = Sdm630(world)
    async with meter.serving() as port, client_of(port) as client:
        currents = await client.read_input_registers(6, count=6)
        floats = client.convert_from_registers(currents.registers, client.DATATYPE.FLOAT32)
        assert floats == [10, 5, 0]
        powers = await client.read_input_registers(12, count=6)
        floats = client.convert_from_registers(powers.registers, client.DATATYPE.FLOAT32)
        assert floats == [2300, -1150, 0]
        assert (await client.read_input_registers(0, count=82)).isError()
        meter.is_failing = True
        assert (await client.read_input_registers(6, count=6)).isError()
