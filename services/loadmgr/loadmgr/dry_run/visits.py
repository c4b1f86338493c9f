"""Vehicles that come to a garage and go: recorded ones, or made up for the EVSEs of a site."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from loadmgr.dry_run.habits import BAYS, VEHICLES, Habit
from shared.contracts.plan import ChargingPlan
from shared.contracts.site import SiteConfig
from shared.errors import ConfigError

HOUR_S = 3_600.0
DAY_S = 86_400.0
SATURDAY = 5
STAYS_H = (0.5, 14.5)
"""The shortest and the longest stay."""
ENERGY_KWH = (2.0, 60.0)
"""The least and the most that a vehicle wants."""
FULL_SPEED = 0.95
"""A vehicle wants no more than it could take in its stay at this share of its full power."""
PHASE_POWER_KW = 0.23
SEEDS = 1 << 63
PAUSE_S = 300.0
"""Between two vehicles at one EVSE."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One vehicle at one EVSE, from plug-in to unplug. Times are seconds after the run's begin."""

    evse_id: str
    arrives_s: float
    """Before 0 = it stood there when the run began, with ``energy_wh`` still to come."""
    leaves_s: float
    energy_wh: float
    """What it wants during this visit; then it is full."""
    phases: int = 3
    """1, 2 or 3: how many lines it charges on, from the box's first."""
    most_a: float = 16.0
    """What it takes per phase at most, whatever it is offered."""
    plan: ChargingPlan | None = None
    """What its user has told; ``None`` = nothing. Times are absolute, as on the bus."""

    def __post_init__(self) -> None:
        """Refuse what no vehicle can do. Raises ``ConfigError``."""
        if not self.arrives_s < self.leaves_s:
            raise ConfigError(f"the visit at {self.evse_id} must leave after it has arrived")
        if self.energy_wh < 0 or self.most_a <= 0:
            raise ConfigError(
                f"the visit at {self.evse_id} needs energy_wh of 0 or more and most_a above 0"
            )
        if self.phases not in {1, 2, 3}:
            raise ConfigError(f"the visit at {self.evse_id} charges on 1, 2 or 3 phases")


def simulated_visits(
    site: SiteConfig, *, begins: datetime, days: int, seed: int = 1
) -> tuple[Visit, ...]:
    """Return plausible visits for all EVSEs of a site that arrive within ``days`` of ``begins``.

    Hours are those of the site's time zone. No vehicle depends on anything but the EVSE's id, the
    seed and the day, so that a changed site keeps those of the EVSEs that it still has. Two at one
    EVSE never meet. Raises ``ConfigError`` when ``begins`` has no time zone or ``days`` is below 1.
    """
    if begins.tzinfo is None:
        raise ConfigError("the begin of simulated days needs a time zone")
    if days < 1:
        raise ConfigError(f"days is {days}: simulate at least one")
    found = [
        visit
        for evse in site.evses
        for visit in _visits_at(evse.id, _Days(site, begins, days), seed=seed)
    ]
    return check_visits(found)


class _Days:
    """The days of a run, in the time of the site."""

    def __init__(self, site: SiteConfig, begins: datetime, days: int) -> None:
        self.zone = ZoneInfo(site.time_zone)
        self.begins = begins
        self.ends_s = days * DAY_S
        self.first = begins.astimezone(self.zone).date()
        self.dates = tuple(self.first + timedelta(days=number) for number in range(days + 1))

    def second(self, day: date, hour: float) -> float:
        """Return the second of the run at an hour of a day (24 and more = on the next)."""
        midnight = datetime.combine(day, time(), self.zone).astimezone(UTC)
        return (midnight - self.begins).total_seconds() + hour * HOUR_S


def _visits_at(evse_id: str, days: _Days, *, seed: int) -> Iterator[Visit]:
    habits = _habits_of(evse_id, seed)
    free_s = 0.0
    for day in days.dates:
        chance = _chance(evse_id, seed, day.toordinal())
        for habit in habits:
            visit = _visit(evse_id, habit, days, day=day, chance=chance)
            if visit is not None and free_s <= visit.arrives_s < days.ends_s:
                free_s = visit.leaves_s + PAUSE_S
                yield visit


def _chance(evse_id: str, seed: int, day: int) -> np.random.Generator:
    return np.random.default_rng([seed % SEEDS, day, *evse_id.encode()])


def _habits_of(evse_id: str, seed: int) -> tuple[Habit, ...]:
    kinds = _chance(evse_id, seed, 0).choice(len(BAYS), p=[share for share, _ in BAYS])
    return BAYS[int(kinds)][1]


def _visit(
    evse_id: str, habit: Habit, days: _Days, *, day: date, chance: np.random.Generator
) -> Visit | None:
    """Return a visit or none. It draws the same numbers from ``chance`` in either case."""
    comes = chance.random() < (habit.weekend if day.weekday() >= SATURDAY else habit.weekday)
    arrives_h = float(np.clip(chance.normal(*habit.arrives_h), 0.1, 23.4))
    stays_h = float(np.clip(chance.normal(*habit.stays_h), *STAYS_H))
    wanted_kwh = chance.lognormal(np.log(habit.wants_kwh.middle), habit.wants_kwh.by)
    vehicle = VEHICLES[int(chance.choice(len(VEHICLES), p=[one.share for one in VEHICLES]))]
    tells, error_h = chance.random() < habit.tells, chance.normal(0.0, 0.4)
    if not comes:
        return None
    power_kw = PHASE_POWER_KW * vehicle.phases * vehicle.most_a
    energy_kwh = min(float(np.clip(wanted_kwh, *ENERGY_KWH)), FULL_SPEED * power_kw * stays_h)
    arrives_s = days.second(day, arrives_h)
    told_s = arrives_s + HOUR_S * max(STAYS_H[0], stays_h + float(error_h))
    energy_wh = round(1_000 * energy_kwh)
    plan = ChargingPlan(
        departs_at=days.begins + timedelta(seconds=round(told_s)), energy_wh=energy_wh
    )
    return Visit(
        evse_id=evse_id,
        arrives_s=round(arrives_s),
        leaves_s=round(arrives_s + stays_h * HOUR_S),
        energy_wh=energy_wh,
        phases=vehicle.phases,
        most_a=vehicle.most_a,
        plan=plan if tells else None,
    )


def check_visits(visits: Iterable[Visit]) -> tuple[Visit, ...]:
    """Return the visits by arrival. Raises ``ConfigError`` when two meet at one EVSE."""
    ordered = tuple(sorted(visits, key=lambda visit: (visit.arrives_s, visit.evse_id)))
    leaves: dict[str, float] = {}
    for visit in ordered:
        if visit.arrives_s < leaves.get(visit.evse_id, float("-inf")):
            raise ConfigError(
                f"two visits overlap at EVSE {visit.evse_id}: correct their times, "
                "an EVSE has one vehicle at a time"
            )
        leaves[visit.evse_id] = visit.leaves_s
    return ordered
