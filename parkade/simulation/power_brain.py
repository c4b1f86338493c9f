"""A cFos Power Brain wallbox: Modbus TCP, and OCPP beside it when configured (S23-S25)."""

import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence

from pymodbus.constants import ExcCodes
from pymodbus.simulator import DataType, SimData, SimDevice

from parkade.simulation.contactor import Contactor
from parkade.simulation.modbus_port import (
    READ_HOLDING,
    WRITE_FUNCTIONS,
    WRITE_SINGLE,
    modbus_port,
)
from parkade.simulation.outlet import Outlet
from parkade.simulation.power_brain_registers import (
    DEVICE_ID,
    FIRST_REGISTER,
    FLASH_REGISTERS,
    LAST_REGISTER,
    METER_REGISTERS,
    RAM_REGISTERS,
    RFID_WORDS,
    VENDOR_ID,
    Register,
    Written,
    text_words,
    u32_words,
    u64_words,
)
from parkade.simulation.world import World
from shared.contracts.evse import EvseState
from shared.units import MINIMUM_CHARGING_A

logger = logging.getLogger(__name__)

PHASE_SWITCHING_ALLOWED = 1 << 8
SECOND_RELAY = (1 << 9) | (1 << 10)
PILOT_STATES = {state: number for number, state in enumerate(EvseState)}


class PowerBrain:
    """One wallbox at an outlet.

    Silence: after the fail-safe duration without any Modbus request it sets its own limit to the
    fail-safe current and enables charging, or disables it when that current is 0. That it enables
    is the worst case of what the register page leaves open.
    """

    def __init__(
        self,
        world: World,
        outlet: Outlet,
        *,
        serial: str = "PB-0001",
        has_meter: bool = True,
        failsafe_s: int = 300,
        failsafe_a: float = 0.0,
        contactor: Contactor | None = None,
    ) -> None:
        self.outlet = outlet
        self.serial = serial
        self.port = 0
        """The Modbus port, once it is open."""
        self.writes: deque[Written] = deque(maxlen=10_000)
        self.has_meter = has_meter
        self.failsafe_s = failsafe_s
        self.failsafe_a = failsafe_a
        self.limit_a = outlet.max_a
        self.is_enabled = True
        self.contactor = contactor or Contactor()
        self.ocpp_allows_a: float | None = None
        """What its OCPP side allows; ``None`` = no OCPP configured, so only Modbus counts."""
        self.is_on_failsafe = False
        self._world = world
        self._silent_since_s = world.now_s
        self._disconnect_cp_s = 0.0
        world.on_step(self._step)
        self.device = SimDevice(
            id=1,
            simdata=SimData(
                FIRST_REGISTER, values=self._settings_at_power_on(), datatype=DataType.REGISTERS
            ),
            action=self._on_request,
        )

    @contextlib.asynccontextmanager
    async def serving(self, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
        """Serve Modbus TCP while the block runs, and yield the port.

        Outside the block the box lives on without a network: cars charge, and fail-safe comes.
        """
        async with modbus_port(self.device, host=host, port=port) as opened:
            self.port = opened
            yield opened

    def allow_by_ocpp(self, limit_a: float) -> None:
        """Take what the OCPP side allows; 0 = it does not permit charging (S25)."""
        self.ocpp_allows_a = limit_a

    @property
    def allowed_a(self) -> float:
        """S25: the minimum of what Modbus and OCPP allow, and only while both allow it."""
        by_modbus_a = self.limit_a if self.is_enabled else 0.0
        if self.ocpp_allows_a is None:
            return by_modbus_a
        return min(by_modbus_a, self.ocpp_allows_a)

    @property
    def flash_writes(self) -> list[Written]:
        """Writes that wore the flash."""
        return [write for write in self.writes if write.wears_flash]

    def _step(self, dt_s: float) -> None:
        self._disconnect_cp_s = max(0.0, self._disconnect_cp_s - dt_s)
        silent_s = self._world.now_s - self._silent_since_s
        if self.failsafe_s and silent_s > self.failsafe_s and not self.is_on_failsafe:
            self._fall_back()
        self.contactor.step(dt_s, self.outlet)
        is_cut_off = self._disconnect_cp_s > 0 or self.contactor.is_busy
        self.outlet.offer(0.0 if is_cut_off else self.allowed_a)

    def _fall_back(self) -> None:
        logger.info("power brain %s: no Modbus for %s s, fail-safe", self.serial, self.failsafe_s)
        self.is_on_failsafe = True
        self.is_enabled = self.failsafe_a > 0
        if self.is_enabled:
            self.limit_a = self.failsafe_a

    async def _on_request(
        self,
        function: int,
        _start: int,
        address: int,
        count: int,
        registers: list[int],
        values: Sequence[int] | None,
    ) -> ExcCodes | None:
        self._silent_since_s = self._world.now_s
        self.is_on_failsafe = False
        if values is not None:
            return self._write(function, address, list(values))
        if function not in {READ_HOLDING, WRITE_SINGLE}:
            return ExcCodes.ILLEGAL_FUNCTION
        asked = range(address, address + count)
        if not self.has_meter and set(asked) & set(METER_REGISTERS):
            return ExcCodes.ILLEGAL_ADDRESS
        self._refresh(registers)
        return None

    def _write(self, function: int, address: int, values: list[int]) -> ExcCodes | None:
        written = {address + index: value for index, value in enumerate(values)}
        if function not in WRITE_FUNCTIONS:
            return ExcCodes.ILLEGAL_FUNCTION
        if not written.keys() <= RAM_REGISTERS | FLASH_REGISTERS:
            return ExcCodes.ILLEGAL_ADDRESS
        if 0 < written.get(Register.FAILSAFE_CURRENT, 0) < MINIMUM_CHARGING_A * 10:
            return ExcCodes.ILLEGAL_VALUE
        if written.get(Register.LIMIT, 60) not in range(60, 631):
            return ExcCodes.ILLEGAL_VALUE
        for register, value in written.items():
            self.writes.append(Written(register, value, self._world.now_s))
            self._obey(register, value)
        return None

    def _obey(self, register: int, value: int) -> None:
        match register:
            case Register.LIMIT:
                self.limit_a = min(value / 10, self.outlet.max_a)
            case Register.ENABLE:
                self.is_enabled = value != 0
            case Register.FAILSAFE_DURATION:
                self.failsafe_s = (value << 16) | (self.failsafe_s & 0xFFFF)
            case r if r == Register.FAILSAFE_DURATION + 1:
                self.failsafe_s = (self.failsafe_s & ~0xFFFF) | value
            case Register.FAILSAFE_CURRENT:
                self.failsafe_a = value / 10
            case Register.DISCONNECT_CP:
                self._disconnect_cp_s = value
            case Register.RELAY_SELECT:
                self.contactor.order(1 if value else self.outlet.phases, self.outlet)

    def _settings_at_power_on(self) -> list[int]:
        registers = [0] * (LAST_REGISTER - FIRST_REGISTER + 1)
        _put(registers, Register.VENDOR_ID, u32_words(VENDOR_ID))
        _put(registers, Register.PRODUCT_ID, [1, DEVICE_ID])
        _put(registers, Register.PRODUCT_VERSION, u32_words(0x0001_0006))
        _put(registers, Register.MAPPING_VERSION, [1])
        _put(registers, Register.SERIAL, text_words(self.serial, 8))
        _put(registers, Register.NAME, text_words("cFos Power Brain", 16))
        _put(registers, Register.UNIT_ID, [1])
        _put(registers, Register.DEFAULT_LIMIT, [round(self.outlet.max_a * 10), 1])
        _put(registers, Register.RESTARTS, u32_words(1))
        return registers

    def _refresh(self, registers: list[int]) -> None:
        """Bring every register that changes by itself up to date."""
        outlet = self.outlet
        cable_a = outlet.max_a if outlet.car is not None else 0.0
        _put(registers, Register.FAILSAFE_DURATION, u32_words(self.failsafe_s))
        _put(registers, Register.FAILSAFE_CURRENT, [round(self.failsafe_a * 10)])
        _put(registers, Register.DISCONNECT_CP, [round(self._disconnect_cp_s)])
        _put(registers, Register.CABLE_CURRENT, [round(cable_a * 10)])
        _put(registers, Register.PILOT_STATE, [PILOT_STATES[outlet.state]])
        _put(registers, Register.LIMIT, [round(self.limit_a * 10), int(self.is_enabled)])
        _put(registers, Register.OFFERED, [round(outlet.offered_a * 10)])
        _put(registers, Register.LAST_RFID, text_words(outlet.token or "", RFID_WORDS))
        _put(registers, Register.RFID_COUNT, [outlet.swipes & 0xFFFF, int(self.has_meter)])
        _put(registers, Register.RELAY_SELECT, [int(self.contactor.ordered == 1)])
        allowed = PHASE_SWITCHING_ALLOWED if self.contactor.may_switch else 0
        _put(registers, Register.S0_INPUTS, [allowed | SECOND_RELAY])
        _put(registers, Register.METER_FLAGS, [int(self.has_meter)])
        _put(registers, Register.ENERGY, u64_words(int(outlet.energy_wh)))
        _put(registers, Register.POWER, u32_words(round(outlet.power_w)))
        for index, current_a in enumerate(outlet.amps):
            _put(registers, Register.CURRENT + 2 * index, u32_words(round(current_a * 10)))


def _put(registers: list[int], address: int, words: list[int]) -> None:
    offset = address - FIRST_REGISTER
    registers[offset : offset + len(words)] = words
