"""Lines to Modbus devices, and the only importer of pymodbus.

A line is one TCP connection or one serial port, shared by all units behind it. What pymodbus leaves
open is closed here: it does not check how many registers came, does not fail a request when the
peer closes, does not retry a first connect, and takes a late RTU answer for the next one.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.client.base import ModbusBaseClient
from pymodbus.pdu import ModbusPDU

from modbus_bridge.domain.access import LineSettings, Pace
from modbus_bridge.turnstile import Priority, Turnstile
from shared.clock import Clock
from shared.errors import ConfigError, DeviceUnreachable, Refused

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 3.0
BACK_OFF_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
JITTER = 0.2
SILENCES_TO_CLOSE = 2
"""A TCP connection with this many unanswered requests in a row is made anew."""
RTU_DRAIN_S = 0.3
"""RTU has no transaction ids: this long after a timeout no late answer is on its way any more."""
PERMANENT_EXCEPTIONS = {1: "illegal function", 2: "illegal address", 3: "illegal value"}
"""All others (failure, busy, no path, target silent) may be gone in the next cycle."""

_dice = random.SystemRandom()


class Line:
    """One connection, one request at a time, connected when somebody wants something.

    After a failed connect nobody tries again before a jittered back-off of 1 to 30 s has passed;
    until then every request fails at once with ``DeviceUnreachable``.
    """

    def __init__(self, settings: LineSettings, clock: Clock) -> None:
        self.settings = settings
        self.users = 0
        self._clock = clock
        self._turnstile = Turnstile()
        self._client: ModbusBaseClient | None = None
        self._deadline: asyncio.Timeout | None = None
        self._has_answered = False
        self._silences = 0
        self._failures = 0
        self._retry_at = 0.0
        self._free_at = 0.0

    @property
    def is_shared(self) -> bool:
        """Several devices depend on it."""
        return self.users > 1

    async def ask(
        self,
        request: Callable[[ModbusBaseClient], Awaitable[ModbusPDU]],
        *,
        priority: Priority,
        pace: Pace,
    ) -> ModbusPDU:
        """Send one request and return its answer.

        Raises ``DeviceUnreachable`` when there is none within ``pace.timeout_s`` or the device is
        busy, and ``Refused`` when it says that it will never do this.
        """
        async with self._turnstile.turn(priority):
            client = await self._connected()
            _heed_cancellation()
            await self._wait_for_quiet(pace.gap_s)
            try:
                return _checked(await self._exchange(client, request, pace.timeout_s))
            finally:
                self._free_at = max(self._free_at, asyncio.get_running_loop().time())

    def close(self) -> None:
        """Hang up."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def _exchange(
        self,
        client: ModbusBaseClient,
        request: Callable[[ModbusBaseClient], Awaitable[ModbusPDU]],
        timeout_s: float,
    ) -> ModbusPDU:
        try:
            async with asyncio.timeout(timeout_s) as self._deadline:
                answer = await request(client)
        except TimeoutError:
            raise self._silence(timeout_s) from None
        except (ModbusException, OSError) as error:
            self._hang_up(failed=True)
            raise DeviceUnreachable(f"{self.settings.key}: {error}") from error
        except asyncio.CancelledError:
            if self.settings.is_rtu:
                self._hang_up(failed=False)  # its answer would be taken for the next one
            raise
        finally:
            self._deadline = None
        _heed_cancellation()
        self._has_answered = True
        self._silences = self._failures = 0
        return answer

    def _silence(self, timeout_s: float) -> DeviceUnreachable:
        """Note that no answer came, and return what to tell."""
        if self._client is None:
            return DeviceUnreachable(f"{self.settings.key} closed the connection")
        self._silences += 1
        if self.settings.is_rtu or self._silences >= SILENCES_TO_CLOSE:
            self._hang_up(failed=False)
        return DeviceUnreachable(f"{self.settings.key} did not answer within {timeout_s} s")

    async def _connected(self) -> ModbusBaseClient:
        if self._client is not None:
            return self._client
        if self.users == 0:
            raise DeviceUnreachable(f"{self.settings.key} is not in use any more")
        wait_s = self._retry_at - self._clock.monotonic()
        if wait_s > 0:
            raise DeviceUnreachable(f"{self.settings.key}: next attempt in {wait_s:.0f} s")
        client = _new_client(self.settings, self._on_connection)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                is_connected = await client.connect()
        except (TimeoutError, OSError, ModbusException):
            is_connected = False
        except asyncio.CancelledError:
            client.close()
            raise
        if not is_connected:
            client.close()
            self._back_off()
            raise DeviceUnreachable(f"{self.settings.key}: no connection")
        logger.debug("line %s open", self.settings.key)
        self._client, self._has_answered, self._silences = client, False, 0
        return client

    def _on_connection(self, is_up: bool) -> None:
        """End the waiting request when the peer closes; pymodbus would wait for its timeout."""
        if is_up or self._client is None:
            return
        self._client = None
        if not self._has_answered:
            self._back_off()
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time())

    def _hang_up(self, *, failed: bool) -> None:
        self.close()
        if failed and not self._has_answered:
            self._back_off()
        if self.settings.is_rtu:
            self._free_at = asyncio.get_running_loop().time() + RTU_DRAIN_S

    def _back_off(self) -> None:
        pause_s = BACK_OFF_S[min(self._failures, len(BACK_OFF_S) - 1)]
        self._failures += 1
        jittered_s = pause_s * _dice.uniform(1 - JITTER, 1 + JITTER)
        self._retry_at = self._clock.monotonic() + jittered_s

    async def _wait_for_quiet(self, gap_s: float) -> None:
        pause_s = self._free_at + gap_s - asyncio.get_running_loop().time()
        if pause_s > 0:
            await asyncio.sleep(pause_s)


class Unit:
    """One device on a line."""

    def __init__(self, line: Line, unit: int, pace: Pace) -> None:
        self.line = line
        self._unit = unit
        self._pace = pace

    def __str__(self) -> str:
        return f"{self.line.settings.key} unit {self._unit}"

    async def read(
        self, fc: int, address: int, *, count: int, priority: Priority
    ) -> tuple[int, ...]:
        """Return ``count`` registers. Raises ``DeviceUnreachable`` or ``Refused``."""

        def request(client: ModbusBaseClient) -> Awaitable[ModbusPDU]:
            if fc == 4:
                return client.read_input_registers(address, count=count, device_id=self._unit)
            return client.read_holding_registers(address, count=count, device_id=self._unit)

        answer = await self.line.ask(request, priority=priority, pace=self._pace)
        if len(answer.registers) != count:
            raise DeviceUnreachable(
                f"{self}: asked for {count} registers, got {len(answer.registers)}"
            )
        return tuple(answer.registers)

    async def write(self, fc: int, address: int, words: tuple[int, ...]) -> None:
        """Write registers. Raises ``DeviceUnreachable`` or ``Refused``."""

        def request(client: ModbusBaseClient) -> Awaitable[ModbusPDU]:
            if fc == 6:
                return client.write_register(address, words[0], device_id=self._unit)
            return client.write_registers(address, list(words), device_id=self._unit)

        await self.line.ask(request, priority=Priority.WRITE, pace=self._pace)


class Lines:
    """Every open line, so that a device that tolerates one connection gets one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: dict[str, Line] = {}

    def attach(self, settings: LineSettings, unit: int, pace: Pace) -> Unit:
        """Return a unit on the line of these settings; hand it back to ``detach``.

        Raises ``ConfigError`` when the line is in use with other parameters, or cannot be opened
        on this machine at all.
        """
        line = self._lines.setdefault(settings.key, Line(settings, self._clock))
        if line.settings != settings:
            raise ConfigError(
                f"{settings.key} is used by another device with other baud, comset or framing; "
                "give all devices of one line the same"
            )
        line.users += 1
        return Unit(line, unit, pace)

    def detach(self, unit: Unit) -> None:
        """Give a unit up; the line of the last one is closed."""
        line = unit.line
        line.users -= 1
        if line.users == 0:
            line.close()
            del self._lines[line.settings.key]


def silence_pymodbus() -> None:
    """Keep pymodbus from logging every failed request; what matters is logged once, here."""
    logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)


def _new_client(settings: LineSettings, on_connection: Callable[[bool], None]) -> ModbusBaseClient:
    never_first_s = 60.0  # our own time limits are shorter
    if settings.serial_port is None:
        framer = FramerType.RTU if settings.is_rtu else FramerType.SOCKET
        return AsyncModbusTcpClient(
            settings.host or "",
            port=settings.port,
            framer=framer,
            timeout=never_first_s,
            retries=0,
            reconnect_delay=0,
            trace_connect=on_connection,
        )
    return AsyncModbusSerialClient(
        settings.serial_port,
        framer=FramerType.RTU,
        baudrate=settings.baud,
        bytesize=int(settings.comset[0]),
        parity=settings.comset[1],
        stopbits=int(settings.comset[2]),
        timeout=never_first_s,
        retries=0,
        reconnect_delay=0,
        trace_connect=on_connection,
    )


def _heed_cancellation() -> None:
    """Be cancelled after all. pymodbus waits by ``asyncio.wait_for``, which loses a cancellation
    that arrives together with the answer (Python 3.11)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _checked(answer: ModbusPDU) -> ModbusPDU:
    if not answer.isError():
        return answer
    code = answer.exception_code
    if code in PERMANENT_EXCEPTIONS:
        raise Refused(f"exception {code}, {PERMANENT_EXCEPTIONS[code]}")
    raise DeviceUnreachable(f"exception {code}: busy or failing")
