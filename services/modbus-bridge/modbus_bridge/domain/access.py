"""Where a device is and how it wants to be treated: its configuration over its template."""

from dataclasses import dataclass
from typing import Literal

from modbus_bridge.domain.template import Transport
from shared.contracts.site import ModbusAccess


@dataclass(frozen=True, kw_only=True)
class LineSettings:
    """Where a line is and how it speaks."""

    host: str | None = None
    port: int = 502
    serial_port: str | None = None
    baud: int = 9600
    comset: str = "8N1"
    framing: Literal["tcp", "rtu"] = "tcp"

    @property
    def key(self) -> str:
        """What can be opened only once."""
        return self.serial_port or f"{self.host}:{self.port}"

    @property
    def is_rtu(self) -> bool:
        """Answers carry no transaction id."""
        return self.framing == "rtu"


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How patient a device wants to be treated."""

    timeout_s: float = 1.0
    gap_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Access:
    """How to reach one device."""

    line: LineSettings
    unit: int
    pace: Pace


def resolve_access(access: ModbusAccess, transport: Transport) -> Access:
    """Return how to reach a device; what the operator left open comes from the template."""
    return Access(
        line=_line(access, transport),
        unit=transport.unit if access.unit is None else access.unit,
        pace=Pace(timeout_s=transport.timeout_ms / 1000.0, gap_s=transport.request_gap_ms / 1000.0),
    )


def _line(access: ModbusAccess, transport: Transport) -> LineSettings:
    if access.serial_port is not None:
        return LineSettings(
            serial_port=access.serial_port,
            baud=access.baud or transport.baud,
            comset=access.comset or transport.comset,
            framing="rtu",
        )
    usual: Literal["tcp", "rtu"] = "tcp" if "tcp" in transport.kinds else "rtu"
    return LineSettings(
        host=access.host,
        port=access.port or transport.port,
        framing=access.framing or usual,
    )
