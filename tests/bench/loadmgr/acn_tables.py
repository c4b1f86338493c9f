"""What is asked of load management in ACN-Sim, and the figures that it has to reach.

The published figures are those of ``facts/load-management.md``, section 3.3: of each line of its
tables A, D and E the column that delivers most (printed bold there), and of F the two-hour columns.
They were measured with the same harness and sessions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

SOURCE = "facts/load-management.md, section 3.3"
RIVALS = ("EDF", "LLF", "FCFS", "RR1A")
OURS = "Parkade"


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best column of a line."""

    column: str
    delivered: float
    """Per cent of all energy asked for."""
    delivered_digits: int = 2
    jain: float | None = None
    """``None`` = not told."""
    jain_digits: int = 3

    def is_reached(self, delivered: float, jain: float) -> bool:
        """Tell whether figures are not below these, which are rounded."""
        if delivered < self.delivered - 0.5 * 10.0**-self.delivered_digits:
            return False
        return self.jain is None or jain >= self.jain - 0.5 * 10.0**-self.jain_digits

    def __str__(self) -> str:
        jain = "" if self.jain is None else f" / {self.jain:.{self.jain_digits}f}"
        return f"{self.delivered:.{self.delivered_digits}f}{jain} ({self.column})"


@dataclass(frozen=True, kw_only=True)
class Table:
    """One scenario at several capacities."""

    title: str
    scenario: str
    """As the harness calls it."""
    unit: str
    best: Mapping[int, Best]
    """By capacity."""
    departure_error_h: float = 0.0
    """Standard deviation of the error of what drivers say of their departure."""
    asks_nobody_at_zero: bool = False


TABLES: Mapping[str, Table] = {
    "A": Table(
        title="Caltech, March 2019 (the published experiment)",
        scenario="caltech-month",
        unit="kW",
        best={
            10: Best(column="WF_B", delivered=50.52),
            15: Best(column="WF_B", delivered=66.21),
            20: Best(column="WF_B", delivered=76.83, jain=0.870),
            30: Best(column="WF_B", delivered=91.41, jain=0.965),
            35: Best(column="WF_B", delivered=95.84, jain=0.985),
            40: Best(column="WF_B", delivered=98.16, jain=0.995),
            50: Best(column="WF_clamp", delivered=99.71, jain=0.9995, jain_digits=4),
            60: Best(column="WF_clamp", delivered=99.88),
        },
    ),
    "D": Table(
        title="Caltech, one week, boxes with 6 or 8 A steps",
        scenario="caltech-week-db",
        unit="kW",
        best={
            20: Best(column="EDF", delivered=70.3, delivered_digits=1, jain=0.872),
            30: Best(column="FWF", delivered=89.1, delivered_digits=1, jain=0.964),
            40: Best(column="FWF .85", delivered=99.84, jain=0.9999, jain_digits=4),
            50: Best(column="FWF", delivered=99.89),
        },
    ),
    "E": Table(
        title="A garage of 120 EVSEs, three days",
        scenario="garage",
        unit="A",
        best={
            80: Best(column="FWF_equal", delivered=64.5, delivered_digits=1, jain=0.839),
            100: Best(column="FWF .85", delivered=79.0, delivered_digits=1, jain=0.919),
            125: Best(column="EDF", delivered=94.4, delivered_digits=1, jain=0.987),
            160: Best(column="FWF", delivered=100.0, delivered_digits=1, jain=1.0, jain_digits=1),
            200: Best(column="FWF", delivered=100.0, delivered_digits=1),
        },
    ),
    "F": Table(
        title="The same week as D, departures told wrong by two hours",
        scenario="caltech-week-db",
        unit="kW",
        departure_error_h=2.0,
        asks_nobody_at_zero=True,
        best={
            30: Best(column="FWF", delivered=84.6, delivered_digits=1),
            40: Best(column="LLF, FWF", delivered=97.4, delivered_digits=1),
        },
    ),
}
