"""What the user of a vehicle has planned, and what somebody has set by hand."""

from dataclasses import dataclass
from math import isfinite

from loadmgr.domain.moment import ALWAYS, NEVER
from shared.contracts.plan import PlanChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Plan and override of one vehicle. Times are seconds of UTC."""

    starts_s: float = NEVER
    ends_s: float = ALWAYS
    departs_s: float | None = None
    energy_wh: float | None = None
    charge: bool | None = None
    """By hand: charge now, or not at all; ``None`` = nobody said."""
    limit_a: float = ALWAYS
    """By hand; the most per phase."""

    @classmethod
    def of(cls, told: PlanChanged) -> "Wish | None":
        """Read what was told. A number that cannot be read is the strictest limit."""
        plan, override = told.plan, told.override
        if plan is None and override is None:
            return None
        starts = None if plan is None or plan.starts_at is None else plan.starts_at.timestamp()
        ends = None if plan is None or plan.ends_at is None else plan.ends_at.timestamp()
        departs = None if plan is None or plan.departs_at is None else plan.departs_at.timestamp()
        return cls(
            starts_s=NEVER if starts is None else starts,
            ends_s=ALWAYS if ends is None else ends,
            departs_s=departs,
            energy_wh=None if plan is None else plan.energy_wh,
            charge=None if override is None else override.charge,
            limit_a=ALWAYS if override is None else _strict(override.limit_a),
        )

    @property
    def is_first(self) -> bool:
        """It goes before others of its class."""
        return self.charge is True

    def is_time(self, now_s: float) -> bool:
        """The plan lets it charge now; what was set by hand goes before."""
        return self.is_first or self.starts_s <= now_s < self.ends_s

    def changes_at_s(self, now_s: float) -> float:
        """Return when ``is_time`` will change next."""
        return min((at_s for at_s in (self.starts_s, self.ends_s) if at_s > now_s), default=ALWAYS)


def _strict(limit_a: float | None) -> float:
    if limit_a is None:
        return ALWAYS
    return limit_a if isfinite(limit_a) else 0.0
