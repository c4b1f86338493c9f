"""An Eastron SDM630 meter at a circuit of the world: float input registers, kept by function 4."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from pymodbus.constants import ExcCodes
from pymodbus.simulator import DataType, SimData, SimDevice

from parkade.simulation.modbus_port import READ_INPUT, modbus_port
from parkade.simulation.power_brain_registers import f32_words, u32_words
from parkade.simulation.world import World
from shared.units import NOMINAL_VOLTAGE_V

INPUT_REGISTERS = 382
MAX_REGISTERS_PER_READ = 80
"""Documented maximum of the real meter."""
SERIAL_REGISTER = 64_512

VOLTAGE = 0
CURRENT = 6
POWER = 12
TOTAL_POWER = 52
FREQUENCY = 70
IMPORT_KWH = 72
EXPORT_KWH = 74
TOTAL_KWH = 342


class Sdm630:
    """A grid meter. Like the real one it shows the size of a current; power tells its direction."""

    def __init__(self, world: World, circuit: str = "grid", *, serial: int = 1_234_567) -> None:
        self._world = world
        self._circuit = circuit
        self.port = 0
        """The Modbus port, once it is open."""
        self.is_failing = False
        """Set it to let the meter fail: every read is then answered with a device failure."""
        nothing = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        self.device = SimDevice(
            id=1,
            simdata=(
                list(nothing),
                list(nothing),
                [SimData(SERIAL_REGISTER, values=u32_words(serial), datatype=DataType.REGISTERS)],
                [SimData(0, values=[0] * INPUT_REGISTERS, datatype=DataType.REGISTERS)],
            ),
            action=self._on_request,
        )

    @contextlib.asynccontextmanager
    async def serving(self, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
        """Serve Modbus TCP while the block runs, and yield the port."""
        async with modbus_port(self.device, host=host, port=port) as opened:
            self.port = opened
            yield opened

    async def _on_request(
        self,
        function: int,
        _start: int,
        _address: int,
        count: int,
        registers: list[int],
        values: Sequence[int] | None,
    ) -> ExcCodes | None:
        if self.is_failing:
            return ExcCodes.DEVICE_FAILURE
        if values is not None:
            return ExcCodes.ILLEGAL_FUNCTION
        if count > MAX_REGISTERS_PER_READ:
            return ExcCodes.ILLEGAL_VALUE
        if function == READ_INPUT:
            self._refresh(registers)
        return None

    def _refresh(self, registers: list[int]) -> None:
        amps = [current or 0.0 for current in self._world.current_a(self._circuit)]
        imported_wh, exported_wh = self._world.energy_wh(self._circuit)
        watts = [current * NOMINAL_VOLTAGE_V for current in amps]
        _put(registers, VOLTAGE, [NOMINAL_VOLTAGE_V] * 3)
        _put(registers, CURRENT, [abs(current) for current in amps])
        _put(registers, POWER, watts)
        _put(registers, TOTAL_POWER, [sum(watts)])
        _put(registers, FREQUENCY, [50.0, imported_wh / 1000, exported_wh / 1000])
        _put(registers, TOTAL_KWH, [(imported_wh + exported_wh) / 1000])


def _put(registers: list[int], address: int, values: Sequence[float]) -> None:
    for index, value in enumerate(values):
        registers[address + 2 * index : address + 2 * index + 2] = f32_words(value)
