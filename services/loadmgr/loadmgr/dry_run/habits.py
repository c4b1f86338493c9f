"""Who parks where, when they come, how long they stay and how much they want: plausible days.

Rough figures of mixed garages (offices, flats, shops); ``visits`` makes vehicles of them.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Spread(NamedTuple):
    """A quantity that varies."""

    middle: float
    by: float


@dataclass(frozen=True, kw_only=True)
class Habit:
    """One kind of visit."""

    weekday: float
    """0..1: how likely it is on a working day."""
    weekend: float
    arrives_h: Spread
    """Hour of the day; mean and standard deviation."""
    stays_h: Spread
    """Mean and standard deviation."""
    wants_kwh: Spread
    """Median, and standard deviation of the logarithm."""
    tells: float
    """0..1: how likely its user tells a plan."""


COMMUTER = Habit(
    weekday=0.9,
    weekend=0.08,
    arrives_h=Spread(8.2, 1.0),
    stays_h=Spread(8.0, 1.6),
    wants_kwh=Spread(14, 0.6),
    tells=0.5,
)
EVENING_GUEST = Habit(
    weekday=0.3,
    weekend=0.4,
    arrives_h=Spread(19.0, 0.6),
    stays_h=Spread(2.0, 0.4),
    wants_kwh=Spread(8, 0.5),
    tells=0.1,
)
RESIDENT = Habit(
    weekday=0.85,
    weekend=0.7,
    arrives_h=Spread(18.2, 1.5),
    stays_h=Spread(12.5, 1.5),
    wants_kwh=Spread(16, 0.6),
    tells=0.4,
)
MORNING_VISITOR = Habit(
    weekday=0.6,
    weekend=0.7,
    arrives_h=Spread(10.5, 1.2),
    stays_h=Spread(1.8, 0.7),
    wants_kwh=Spread(9, 0.5),
    tells=0.1,
)
AFTERNOON_VISITOR = Habit(
    weekday=0.6,
    weekend=0.6,
    arrives_h=Spread(15.0, 1.3),
    stays_h=Spread(2.0, 0.8),
    wants_kwh=Spread(9, 0.5),
    tells=0.1,
)
BAYS = (
    (0.5, (COMMUTER, EVENING_GUEST)),
    (0.3, (RESIDENT,)),
    (0.2, (MORNING_VISITOR, AFTERNOON_VISITOR, EVENING_GUEST)),
)
"""Share of the EVSEs, and who comes to those."""


class Vehicle(NamedTuple):
    """What comes: how often, on how many phases, with how much on each."""

    share: float
    phases: int
    most_a: float


VEHICLES = (
    Vehicle(0.55, 3, 16.0),
    Vehicle(0.10, 3, 32.0),
    Vehicle(0.10, 2, 16.0),
    Vehicle(0.10, 1, 16.0),
    Vehicle(0.10, 1, 32.0),
    Vehicle(0.05, 3, 13.0),
)
