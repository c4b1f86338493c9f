"""What the load generator says: WebSocket frames, and the OCPP calls in them. Pure."""

import json
from datetime import UTC, datetime

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
NO_MASK = b"\0\0\0\0"
"""A client must mask; masking with zeros is legal and costs the generator nothing."""

UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
)

BOOT = '{"chargePointVendor":"Bench","chargePointModel":"Load generator"}'
STATUS = '{"connectorId":1,"errorCode":"NoError","status":"Available"}'
HEARTBEAT = "{}"


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return one client frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, 0x80 | size)) + NO_MASK + payload
    return bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2) + NO_MASK + payload


def call(number: int, action: str, payload: str) -> bytes:
    """Return the frame of one OCPP call."""
    return frame(f'[2,"{number}","{action}",{payload}]'.encode())


def next_frame(buffer: bytearray) -> tuple[int, bytes] | None:
    """Take one server frame (opcode, payload) off the buffer, if it is complete."""
    if len(buffer) < 2:
        return None
    size, offset = buffer[1] & 0x7F, 2
    if size == 126:
        size, offset = int.from_bytes(buffer[2:4]), 4
    elif size == 127:
        size, offset = int.from_bytes(buffer[2:10]), 10
    if len(buffer) < offset + size:
        return None
    payload = bytes(buffer[offset : offset + size])
    opcode = buffer[0] & 0x0F
    del buffer[: offset + size]
    return opcode, payload


class MeterSeries:
    """MeterValues of one station. Each has a time and an energy of its own, because a server may
    count equal ones once."""

    def __init__(self, *, first_wh: int) -> None:
        template = meter_values(at="TIME", energy="ENERGY")
        self._head, rest = template.split("TIME")
        self._middle, self._tail = rest.split("ENERGY")
        self._next_wh = first_wh

    def next_payload(self) -> str:
        """Return the next one: measured now, 1 Wh more than the one before."""
        energy_wh, self._next_wh = self._next_wh, self._next_wh + 1
        return f"{self._head}{_now()}{self._middle}{energy_wh}{self._tail}"


def meter_values(*, current_a: float = 15.9, at: str | None = None, energy: str = "1234567") -> str:
    """Return a MeterValues payload with 10 sampled values on three phases."""
    values = [
        {"value": f"{value:.1f}", "measurand": measurand, "phase": phase, "unit": unit}
        for measurand, unit, value in (
            ("Current.Import", "A", current_a),
            ("Voltage", "V", 230.4),
            ("Power.Active.Import", "W", 3663.4),
        )
        for phase in ("L1", "L2", "L3")
    ]
    values.append({"value": energy, "measurand": "Energy.Active.Import.Register", "unit": "Wh"})
    meter_value = [{"timestamp": at or _now(), "sampledValue": values}]
    return json.dumps({"connectorId": 1, "meterValue": meter_value}, separators=(",", ":"))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")[:23] + "Z"
