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


def meter_values(*, current_a: float = 15.9) -> str:
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
    values.append({"value": "1234567", "measurand": "Energy.Active.Import.Register", "unit": "Wh"})
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    meter_value = [{"timestamp": now, "sampledValue": values}]
    return json.dumps({"connectorId": 1, "meterValue": meter_value}, separators=(",", ":"))
