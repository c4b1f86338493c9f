"""Templates for tests, in the form in which they are shipped."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from modbus_bridge.domain.template import Template
from shared.errors import DeviceUnreachable, Refused

CHARGER = """
template: 1
id: box
kind: charger
vendor: Test
models: [Box]
transport: {kinds: [tcp], max_gap: 2}
points:
  pilot: {addr: 0, poll: fast}
  current_limit: {addr: 10, write_fc: 6, scale: 0.1, unit: A, min: 6, max: 32, poll: fast}
  enable: {addr: 11, write_fc: 6, type: bool, poll: fast}
status:
  - {when: [{point: pilot, value: 0}], then: A}
  - {when: [{point: pilot, value: 1}], then: B}
  - {when: [{point: pilot, value: 2}], then: C}
  - {then: F}
control:
  limit: current_limit
  pause: [{write: enable, value: 0}]
  resume: [{write: enable, value: 1}]
confidence: A
source: [test]
"""

Build = Callable[..., Template]


@pytest.fixture
def build() -> Build:
    """Return a maker of charger templates with some top-level keys replaced (None = removed)."""

    def charger(**changes: Any) -> Template:
        raw = {**yaml.safe_load(CHARGER), **changes}
        return Template.model_validate({k: v for k, v in raw.items() if v is not None})

    return charger


class FakeUnit:
    """A device in memory: registers by address, what it refuses, and what it was asked."""

    def __init__(self, registers: dict[int, int] | None = None) -> None:
        self.registers = dict(registers or {})
        self.refused: set[int] = set()
        self.is_silent = False
        self.ceilings: dict[int, int] = {}
        """The box keeps at most this, whatever is written."""
        self.stubborn: set[int] = set()
        """Registers that a write does not change."""
        self.reads: list[tuple[int, int, int]] = []
        self.writes: list[tuple[int, int]] = []

    async def read(self, fc: int, address: int, *, count: int, priority: int) -> tuple[int, ...]:
        self.reads.append((fc, address, count))
        self._answer(range(address, address + count))
        return tuple(self.registers.get(a, 0) for a in range(address, address + count))

    async def write(self, fc: int, address: int, words: tuple[int, ...]) -> None:
        self._answer(range(address, address + len(words)))
        for offset, word in enumerate(words):
            self.writes.append((address + offset, word))
            if address + offset not in self.stubborn:
                top = self.ceilings.get(address + offset, word)
                self.registers[address + offset] = min(word, top)

    def _answer(self, addresses: range) -> None:
        if self.is_silent:
            raise DeviceUnreachable("silent")
        if self.refused & set(addresses):
            raise Refused("exception 2, illegal address")
