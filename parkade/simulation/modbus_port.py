"""Serves a simulated Modbus device over TCP until its block ends."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import SimDevice

from shared.errors import ConfigError

RegisterAction = Callable[
    [int, int, int, int, list[int], list[int] | list[bool] | None], Awaitable[ExcCodes | None]
]
"""(function code, first address of the block, address, count, registers, values written)"""

READ_HOLDING = 3
READ_INPUT = 4
WRITE_SINGLE = 6
"""Its answer repeats the register: pymodbus' server reads it back with this function code."""
WRITE_FUNCTIONS = frozenset({WRITE_SINGLE, 16})


@contextlib.asynccontextmanager
async def modbus_port(device: SimDevice, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve ``device`` and yield the port (0 = any free one).

    Raises ``ConfigError`` when the port is taken.
    """
    server = ModbusTcpServer(device, address=(host, port), ignore_missing_devices=True)
    try:
        await server.serve_forever(background=True)
    except RuntimeError as error:
        raise ConfigError(f"Modbus port {port} cannot be opened: choose another one") from error
    try:
        yield server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]  # a Server
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus does not say
