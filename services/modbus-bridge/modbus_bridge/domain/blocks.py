"""Which registers are read together, so that a device is asked seldom and never too much."""

from collections.abc import Mapping
from dataclasses import dataclass

from modbus_bridge.domain.template import Point, PollGroup


@dataclass(frozen=True)
class Block:
    """One read request and the points that its answer holds."""

    fc: int
    address: int
    count: int
    points: tuple[str, ...]


def plan_blocks(
    points: Mapping[str, Point], *, max_read: int, max_gap: int
) -> dict[PollGroup, tuple[Block, ...]]:
    """Return the read requests of each poll group, covering every readable point once.

    A block runs across at most ``max_gap`` registers that nobody asked for, and holds at most
    ``max_read``; a single longer point is read alone all the same.
    """
    groups = [group for group in PollGroup if group is not PollGroup.NEVER]
    return {
        group: _blocks_of(
            {n: p for n, p in points.items() if p.poll is group and p.fc is not None},
            max_read=max_read,
            max_gap=max_gap,
        )
        for group in groups
    }


def split(block: Block, points: Mapping[str, Point]) -> tuple[Block, ...]:
    """Return one block for each point: for a device that refused them together."""
    return tuple(_alone(name, points[name]) for name in block.points)


def _blocks_of(points: Mapping[str, Point], *, max_read: int, max_gap: int) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for name, point in sorted(points.items(), key=lambda item: (item[1].fc, item[1].addr)):
        joined = _join(blocks[-1], name, point, max_gap=max_gap) if blocks else None
        if joined is None or joined.count > max_read:
            blocks.append(_alone(name, point))
        else:
            blocks[-1] = joined
    return tuple(blocks)


def _alone(name: str, point: Point) -> Block:
    assert point.fc is not None  # noqa: S101 - only readable points are planned
    return Block(point.fc, point.addr, point.count, (name,))


def _join(block: Block, name: str, point: Point, *, max_gap: int) -> Block | None:
    end = block.address + block.count
    if block.fc != point.fc or point.addr - end > max_gap:
        return None
    count = max(end, point.addr + point.count) - block.address
    return Block(block.fc, block.address, count, (*block.points, name))
