"""Registers to values and back. ``None`` is unknown and never zero."""

import math
import struct
from collections.abc import Sequence

from modbus_bridge.domain.template import Point
from shared.units import floor_to

Number = float | bool
Value = Number | str | tuple[float | None, ...] | None

_FORMATS = {
    "u16": "H",
    "bool": "H",
    "s16": "h",
    "u32": "I",
    "s32": "i",
    "u64": "Q",
    "f32": "f",
    "f64": "d",
}
_DECIMALS = 6
"""Scaling by 0.1 leaves float noise behind; no register resolves a millionth."""


def decode(point: Point, words: Sequence[int], *, scale: float | None = None) -> Value:
    """Return what the registers of a point mean, in A, V, W, Wh or s.

    ``words`` are exactly ``point.count`` registers; ``scale`` replaces the point's own.
    """
    if len(words) != point.count:
        raise ValueError(f"{point.count} registers expected, got {len(words)}")
    if point.is_text:
        return _text(words)
    values = [
        _number(point, words[start : start + point.width], scale)
        for start in range(0, point.count, point.width)
    ]
    return values[0] if point.n == 1 else tuple(values)


def encode(point: Point, value: float) -> tuple[int, ...]:
    """Return the registers for a value, rounded down to the resolution of the register.

    Raises ``ValueError`` for what the register cannot hold.
    """
    kind = _FORMATS[point.type]
    try:
        if kind in "fd":
            raw = struct.pack(">" + kind, value / point.resolution)
        else:
            counts = round(floor_to(value, point.resolution) / point.resolution)
            raw = struct.pack(">" + kind, counts)
    except struct.error as error:
        raise ValueError(f"{value} does not fit into {point.type}") from error
    words = struct.unpack(f">{point.width}H", raw)
    return words if point.word_order == "big" else words[::-1]


def writable(point: Point, value: float) -> float:
    """Return the value that a register will hold after ``encode``."""
    held = decode(point, encode(point, value))
    assert isinstance(held, float | int)  # noqa: S101 - only single numbers are written
    return float(held)


def _text(words: Sequence[int]) -> str | None:
    raw = struct.pack(f">{len(words)}H", *words)
    text = raw.split(b"\0", 1)[0].decode("ascii", errors="replace").strip()
    return text or None


def _number(point: Point, words: Sequence[int], scale: float | None) -> float | bool | None:
    ordered = words if point.word_order == "big" else words[::-1]
    packed = struct.pack(f">{len(ordered)}H", *ordered)
    raw: int | float = struct.unpack(">" + _FORMATS[point.type], packed)[0]
    if not math.isfinite(raw) or raw in point.invalid:
        return None
    if point.mask is not None:
        raw = int(raw) & point.mask
    if point.type == "bool":
        return bool(raw)
    factor = point.resolution if scale is None else point.resolution / point.scale * scale
    return round(raw * factor, _DECIMALS)
