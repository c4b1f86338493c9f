"""Electrical quantities and the arithmetic of three phases. SI units are in the names."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum

NOMINAL_VOLTAGE_V = 230.0
MINIMUM_CHARGING_A = 6.0
"""IEC 61851-1: 10 % duty cycle is 6 A, and nothing between 0 and 6 A exists."""


class Phase(StrEnum):
    """A line conductor of the grid connection."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"


PHASES = (Phase.L1, Phase.L2, Phase.L3)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseAmps:
    """A current on each phase, in ampere. ``None`` is unknown and never zero."""

    l1: float | None = None
    l2: float | None = None
    l3: float | None = None

    def __iter__(self) -> Iterator[float | None]:
        return iter((self.l1, self.l2, self.l3))

    def on(self, phase: Phase) -> float | None:
        """Return the current on one phase."""
        return (self.l1, self.l2, self.l3)[PHASES.index(phase)]

    @property
    def known(self) -> tuple[float, ...]:
        """The currents that are known, in phase order."""
        return tuple(value for value in self if value is not None)


def floor_to(value: float, step: float) -> float:
    """Round down to a multiple of ``step``, exactly and without float noise.

    Limits are always rounded down, so that what a box is told never exceeds what was granted.
    """
    exact = Decimal(repr(value)) / Decimal(repr(step))
    return float(exact.to_integral_value(ROUND_FLOOR) * Decimal(repr(step)))
