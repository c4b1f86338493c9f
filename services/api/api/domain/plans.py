"""Charging plans and what is set by hand: what makes sense, and how long it holds.

Both hold until the vehicle leaves that was there, or that came first after they were set.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from api.domain.problem import Problem
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.plan import ChargingPlan, Override, PlanChanged
from shared.contracts.site import Evse

MOST_ENERGY_WH = 500_000.0
"""More than any battery on wheels holds that charges at such a box."""
FARTHEST = timedelta(days=366)
"""A moment farther away is a typing error."""
NOBODY_CAME = timedelta(days=1)
"""So long after its end a plan still waits for a vehicle."""
LIFTED_IS_TOLD = timedelta(minutes=10)
"""So long it is repeated that nothing holds any more."""

Seen = tuple[bool, ...]
"""Whether a vehicle was there, one observation after another, no two alike in a row."""


@dataclass(frozen=True, kw_only=True)
class PlanRecord:
    """The last word about one EVSE: its plan, what is set by hand, or that neither holds."""

    evse_id: str
    plan: ChargingPlan | None = None
    override: Override | None = None
    has_vehicle: bool = False
    """The vehicle is there that it is for; False: it is for the next one."""
    changed_at: datetime

    @property
    def holds(self) -> bool:
        """There is a plan, or something set by hand."""
        return self.plan is not None or self.override is not None

    def word(self) -> PlanChanged:
        """Return what load management is told."""
        return PlanChanged(
            evse_id=self.evse_id,
            plan=self.plan,
            override=self.override,
            changed_at=self.changed_at,
        )


def vehicle_seen(observed: EvseObserved) -> bool | None:
    """Tell whether a vehicle is there; ``None`` = this says nothing about it.

    A station that is away says nothing, nor does one that is out of order or without supply: the
    vehicle may still be plugged in (IEC 61851-1, states E and F).
    """
    if not observed.online or observed.state is None:
        return None
    if observed.state is EvseState.A:
        return False
    return True if observed.state.has_vehicle else None


def noted(seen: Seen, has_vehicle: bool) -> Seen:
    """Return what was seen with one more observation, as short as it says the same.

    After a vehicle came and left nothing that follows changes anything more.
    """
    if seen[-1:] == (has_vehicle,) or seen[-2:] == (True, False):
        return seen
    longer = (*seen, has_vehicle)
    return longer[-2:] if longer[-2:] == (True, False) else longer


def joined(earlier: Seen, later: Seen) -> Seen:
    """Return two series of observations as one."""
    for has_vehicle in later:
        earlier = noted(earlier, has_vehicle)
    return earlier


def revised(
    record: PlanRecord, seen: Seen, now: datetime, *, is_configured: bool
) -> PlanRecord | None:
    """Return what is left of a record; ``None`` = it need not be kept any more.

    ``seen`` is what was observed at its EVSE since the last time. Plan and override end together
    when the vehicle leaves; a plan that is over ends alone when nobody came for a day.
    ``is_configured`` tells whether the site has the EVSE.
    """
    left = _after(record, seen, now)
    if left.plan is not None and not left.has_vehicle and _is_missed(left.plan, now):
        left = replace(left, plan=None, changed_at=_later(left, now))
    is_told = left.holds and is_configured
    return left if is_told or left.changed_at > now - LIFTED_IS_TOLD else None


def plan_problems(plan: ChargingPlan, now: datetime) -> list[Problem]:
    """Return what keeps a plan from making sense. Its moments have zones."""
    if plan == ChargingPlan():
        message = "give starts_at, ends_at, departs_at or energy_kwh; to drop a plan, use DELETE"
        return [Problem("", message)]
    return [*_energy_problems(plan.energy_wh), *_time_problems(plan, now)]


def override_problems(override: Override, evse: Evse) -> list[Problem]:
    """Return what keeps an override from making sense at an EVSE."""
    limit_a = override.limit_a
    if limit_a is None:
        return []
    if not override.charge:
        return [Problem("limit_a", "leave it out: with charge false nothing flows")]
    if evse.min_a <= limit_a <= evse.max_a:
        return []
    bounds = f"from min_a {evse.min_a:g} to max_a {evse.max_a:g} of EVSE {evse.id!r}"
    message = f"give {bounds}; send charge false to stop, and no limit_a for all it can get"
    return [Problem("limit_a", message)]


def _after(record: PlanRecord, seen: Seen, now: datetime) -> PlanRecord:
    for has_vehicle in seen:
        if has_vehicle:
            record = replace(record, has_vehicle=True)
        elif record.has_vehicle:
            record = _without_vehicle(record, now)
    return record


def _without_vehicle(record: PlanRecord, now: datetime) -> PlanRecord:
    if not record.holds:
        return replace(record, has_vehicle=False)
    return PlanRecord(evse_id=record.evse_id, changed_at=_later(record, now))


def _later(record: PlanRecord, now: datetime) -> datetime:
    """A newer word never looks older, whosever clock made the last one."""
    return max(now, record.changed_at)


def _is_missed(plan: ChargingPlan, now: datetime) -> bool:
    over_at = plan.ends_at or plan.departs_at
    return over_at is not None and over_at < now - NOBODY_CAME


def _energy_problems(energy_wh: float | None) -> list[Problem]:
    if energy_wh is None or 0 < energy_wh <= MOST_ENERGY_WH:
        return []
    most_kwh = MOST_ENERGY_WH / 1000
    return [Problem("energy_kwh", f"give more than 0 and at most {most_kwh:g}, in kWh")]


def _time_problems(plan: ChargingPlan, now: datetime) -> list[Problem]:
    ends = [("ends_at", plan.ends_at), ("departs_at", plan.departs_at)]
    far = list(_too_far([("starts_at", plan.starts_at), *ends], now))
    return far or [*_over(ends, now), *_before_start(ends, plan.starts_at)]


Moments = Sequence[tuple[str, datetime | None]]


def _too_far(moments: Moments, now: datetime) -> Iterator[Problem]:
    for name, moment in moments:
        if moment is not None and abs(moment - now) > FARTHEST:
            yield Problem(name, "it is more than a year away: look at the year")


def _over(ends: Moments, now: datetime) -> Iterator[Problem]:
    for name, moment in ends:
        if moment is not None and moment <= now:
            here = now.isoformat(timespec="seconds")
            yield Problem(name, f"it is over, for here it is {here}: give a later one or none")


def _before_start(ends: Moments, starts_at: datetime | None) -> Iterator[Problem]:
    for name, moment in ends:
        if moment is not None and starts_at is not None and moment <= starts_at:
            yield Problem(name, "it must be after starts_at")
