"""A limit in ampere to register writes, in the order in which they are safe."""

from collections.abc import Mapping
from dataclasses import dataclass

from modbus_bridge.domain.decode import Value, encode, writable
from modbus_bridge.domain.template import Control, Point, Step


@dataclass(frozen=True)
class PointWrite:
    """A value for one point, and the registers that carry it."""

    point: str
    value: float
    words: tuple[int, ...]

    def is_in(self, values: Mapping[str, Value]) -> bool:
        """The device already holds this value."""
        held = values.get(self.point)
        return isinstance(held, int | float) and abs(float(held) - self.value) < 1e-6


@dataclass(frozen=True)
class SetpointPlan:
    """What to write, in order, and the limit that results."""

    writes: tuple[PointWrite, ...]
    limit_a: float


def plan_limit(
    control: Control, points: Mapping[str, Point], limit_a: float, *, min_a: float
) -> SetpointPlan:
    """Return the writes that limit a box to ``limit_a`` per phase, rounded down.

    Anything below ``min_a``, or below what the register can express, pauses: IEC 61851-1 knows
    nothing between 0 and 6 A. The limit is written before charging is enabled, so that no older
    and higher limit is released.
    """
    point = points[control.limit]
    held_a = write_of(control.limit, points, limit_a).value
    if held_a < max(min_a, point.min or 0.0):
        return SetpointPlan(_pause(control, points), 0.0)
    limit = PointWrite(control.limit, held_a, encode(point, held_a))
    return SetpointPlan((limit, *_written(control.resume, points)), held_a)


def write_of(name: str, points: Mapping[str, Point], value: float) -> PointWrite:
    """Return the write of one value, rounded down to the register and kept within its range."""
    point = points[name]
    top = value if point.max is None else min(value, point.max)
    held = writable(point, top)
    return PointWrite(name, held, encode(point, held))


def _pause(control: Control, points: Mapping[str, Point]) -> tuple[PointWrite, ...]:
    if control.zero_pauses:
        return (PointWrite(control.limit, 0.0, encode(points[control.limit], 0.0)),)
    return _written(control.pause, points)


def _written(steps: tuple[Step, ...], points: Mapping[str, Point]) -> tuple[PointWrite, ...]:
    return tuple(write_of(step.write, points, step.value) for step in steps)
