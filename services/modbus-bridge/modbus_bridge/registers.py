"""What the registers of one outlet or meter said last, read no oftener than needed."""

import logging
from collections.abc import Mapping

from modbus_bridge.domain.blocks import Block, plan_blocks, split
from modbus_bridge.domain.decode import Value
from modbus_bridge.domain.model import DeviceModel
from modbus_bridge.domain.setpoint import PointWrite
from modbus_bridge.domain.template import PollGroup
from modbus_bridge.link import Unit
from modbus_bridge.turnstile import Priority
from shared.errors import DeviceUnreachable, Refused

logger = logging.getLogger(__name__)

PERIODS_S = {PollGroup.FAST: 0.0, PollGroup.NORMAL: 5.0, PollGroup.SLOW: 60.0}
"""How old the values of each group may get. ``once`` is read after each connect."""
PROBE_AGAIN_S = 300.0
"""A point that the device refused is tried again after this time, or after a reconnect."""
_PRIORITIES = {
    PollGroup.FAST: Priority.FAST,
    PollGroup.NORMAL: Priority.NORMAL,
    PollGroup.SLOW: Priority.SLOW,
    PollGroup.ONCE: Priority.NORMAL,
}


class Registers:
    """Reads and writes one device by its model."""

    def __init__(self, unit: Unit, model: DeviceModel) -> None:
        self.model = model
        self._unit = unit
        self._words: dict[str, tuple[int, ...]] = {}
        self._values: Mapping[str, Value] | None = None
        self._blocks: dict[PollGroup, list[Block]] = {}
        self._due: dict[PollGroup, float] = {}
        self._probe_again_at = float("inf")
        self._known_refusals: set[Block] = set()
        self.forget()

    @property
    def values(self) -> Mapping[str, Value]:
        """The latest value of every point; unknown where it was not read."""
        if self._values is None:
            self._values = self.model.interpret(self._words)
        return self._values

    def forget(self) -> None:
        """Start afresh: after a disconnect nothing is known, not even what is unsupported."""
        transport = self.model.template.transport
        plan = plan_blocks(
            self.model.points, max_read=transport.max_read, max_gap=transport.max_gap
        )
        self._blocks = {group: list(blocks) for group, blocks in plan.items()}
        self._words, self._values = {}, None
        self._due = dict.fromkeys(plan, 0.0)
        self._probe_again_at = float("inf")

    async def poll(self, now_s: float) -> None:
        """Read what is due. Raises ``DeviceUnreachable``; what came before it is kept."""
        if now_s >= self._probe_again_at:
            self.forget()
        for group, period_s in PERIODS_S.items():
            if now_s >= self._due[group]:
                await self._read_group(group, now_s)
                self._due[group] = now_s + period_s
        if now_s >= self._due[PollGroup.ONCE]:
            await self._read_group(PollGroup.ONCE, now_s)
            self._due[PollGroup.ONCE] = float("inf")

    async def write(self, order: PointWrite) -> None:
        """Write one point. Raises ``DeviceUnreachable`` or ``Refused``."""
        point = self.model.points[order.point]
        assert point.write_fc is not None  # noqa: S101 - templates are checked for it
        await self._unit.write(point.write_fc, point.addr, order.words)

    async def read_back(self, name: str) -> Value:
        """Return what a point holds now; ``None`` for one that can only be written."""
        point = self.model.points[name]
        if point.fc is None:
            return None
        self._words[name] = await self._unit.read(
            point.fc, point.addr, count=point.count, priority=Priority.WRITE
        )
        self._values = None
        return self.values[name]

    async def _read_group(self, group: PollGroup, now_s: float) -> None:
        waiting = list(self._blocks[group])
        usable: list[Block] = []
        while waiting:
            block = waiting.pop(0)
            try:
                await self._read_block(block, _PRIORITIES[group])
            except Refused as error:
                waiting[:0] = self._refused(block, error, now_s)
            else:
                usable.append(block)
        if not self._words:
            raise DeviceUnreachable(f"{self._unit} refuses every register: is the template right?")
        self._blocks[group] = usable

    async def _read_block(self, block: Block, priority: Priority) -> None:
        words = await self._unit.read(block.fc, block.address, count=block.count, priority=priority)
        self._values = None
        for name in block.points:
            point = self.model.points[name]
            start = point.addr - block.address
            self._words[name] = words[start : start + point.count]

    def _refused(self, block: Block, error: Refused, now_s: float) -> tuple[Block, ...]:
        """Return what to read instead: the points one by one, or nothing for a single one."""
        if block not in self._known_refusals:
            self._known_refusals.add(block)
            what = ", ".join(block.points)
            logger.info("%s refuses %s at %s: %s", self._unit, what, block.address, error)
        if len(block.points) > 1:
            return split(block, self.model.points)
        name = block.points[0]
        self._words.pop(name, None)
        self._values = None
        self._probe_again_at = min(self._probe_again_at, now_s + PROBE_AGAIN_S)
        return ()
