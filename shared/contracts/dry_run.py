"""What would happen if: a changed site against days that were recorded or are made up."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from shared.contracts.message import Contract, Reply, Request
from shared.contracts.site import SiteConfig
from shared.units import PhaseAmps

FARTHEST = timedelta(days=3653)
"""Ten years: nothing is recorded farther back, and a day farther off is a typing error."""


class Demand(StrEnum):
    """Whose vehicles a dry run charges."""

    RECORDED = "recorded"
    """Those of the decision log."""
    SIMULATED = "simulated"
    """Made up for the EVSEs of the site, the same for the same ``seed``."""


class CircuitPeak(Contract):
    """How full a circuit became."""

    circuit_id: str
    peak_a: PhaseAmps
    """The most that flowed on each phase."""
    overload_s: float
    """So long a phase carried more than its fuse, or all together more than ``limit_w``."""


class DryRunReport(Contract):
    """What came of it."""

    visits: int
    requested_wh: float
    delivered_wh: float
    delivered_share: float
    """0..1 of what was asked for; 1 when nothing was."""
    jain: float
    """Jain's index of the delivered shares of all visits: 1 = the same for each."""
    worst_share: float
    starts_per_visit: float
    """How often current began to flow."""
    setpoints: int
    """Limits that were changed, repetitions not counted."""
    circuits: tuple[CircuitPeak, ...]

    @property
    def overload_s(self) -> float:
        """The longest overload of any circuit."""
        return max((circuit.overload_s for circuit in self.circuits), default=0.0)


class DryRunAnswer(Reply):
    """The changed site beside the present one, with the same vehicles."""

    changed: DryRunReport
    present: DryRunReport


class RunDry(Request[DryRunAnswer]):
    """Ask what a changed site would do. It takes from seconds to minutes, and steers nothing."""

    topic: ClassVar[str] = "loadmgr.run_dry.v1"
    address_space: ClassVar[str] = "service"
    address_field: ClassVar[str] = "owner"
    reply: ClassVar[type[Reply]] = DryRunAnswer

    owner: str = "loadmgr-dry-run"
    site: SiteConfig
    """The changed site; load management compares it with the one in force."""
    demand: Demand = Demand.RECORDED
    begins_at: datetime | None = None
    """Of recorded days; ``None`` = the last ``days`` days."""
    days: int = 1
    seed: int = 1
