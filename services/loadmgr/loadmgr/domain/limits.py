"""The limits that hold now: the least of the site's, of its schedules, and of others'."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf, isfinite
from typing import NamedTuple

from loadmgr.domain.arrays import Floats
from loadmgr.domain.site_model import SiteModel
from shared.contracts.charging import LimitChanged, LimitScope, ReasonCode
from shared.contracts.site import ScheduledLimit, Weekday
from shared.time_zone import zone_named
from shared.units import PHASES, PhaseAmps

_DAYS = tuple(Weekday)
LimitKey = tuple[LimitScope, str, str]
"""Scope, target, source."""


class Amounts(NamedTuple):
    """A limit of a circuit or group: A of each phase and W of all; infinite = none."""

    l1_a: float
    l2_a: float
    l3_a: float
    power_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What makes a row's limit smaller than that of the site."""

    code: ReasonCode
    source: str | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Limits:
    """The limit of each row, and why it is not that of the site."""

    amount: Floats
    bindings: dict[int, Binding]

    def lower(self, place: tuple[int, int] | None, to: Amounts, binding: Binding) -> None:
        """Take a limit into account; ``place`` None = the site has no such circuit or group."""
        if place is None:
            return
        first, power = place
        for row, limit in zip((first, first + 1, first + 2, power), to, strict=True):
            if row >= 0 and limit < self.amount[row]:
                self.amount[row] = limit
                self.bindings[row] = binding


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """The limit that one source has set for one circuit or group."""

    amounts: Amounts
    until_s: float
    changed_s: float
    """When it was set, by the clock of whoever told it."""

    @classmethod
    def of(cls, told: LimitChanged) -> "External":
        """Read what was told. A number that cannot be read is the strictest limit."""
        l1, l2, l3 = map(_strict, told.limit_a or PhaseAmps())
        until_s = inf if told.expires_at is None else told.expires_at.timestamp()
        return cls(
            amounts=Amounts(l1, l2, l3, _strict(told.limit_w)),
            until_s=until_s,
            changed_s=told.changed_at.timestamp(),
        )

    def may_follow(self, before: "External | None") -> bool:
        """Tell whether it takes the place of the last word: an older one only where it limits more.

        With two replicas of the api a repetition may come late.
        """
        if before is None or self.changed_s >= before.changed_s:
            return True
        return all(new <= old for new, old in zip(self.amounts, before.amounts, strict=True))

    @property
    def is_nothing(self) -> bool:
        """It limits nothing any more."""
        return not isfinite(min(self.amounts))


def limits_now(
    model: SiteModel, external: Mapping[LimitKey, External], now: datetime, *, guard: Floats
) -> Limits:
    """Return what may flow on each row now; ``guard`` of it is kept free."""
    limits = Limits(amount=model.rows.limit - guard, bindings={})
    for circuit_id, scheduled in scheduled_now(model, now):
        place = model.rows.place_of(LimitScope.CIRCUIT, circuit_id)
        limits.lower(place, _amounts_of(scheduled), Binding(code=ReasonCode.SCHEDULE))
    for (scope, target, source), told in sorted(external.items()):
        if now.timestamp() < told.until_s:
            binding = Binding(code=ReasonCode.EXTERNAL, source=source)
            limits.lower(model.rows.place_of(scope, target), told.amounts, binding)
    return limits


def scheduled_now(model: SiteModel, now: datetime) -> Iterable[tuple[str, ScheduledLimit]]:
    """Return the scheduled limits that hold at a moment, with their circuits."""
    if not any(circuit.schedule for circuit in model.circuits):
        return
    zone = zone_named(model.site.time_zone)
    local = now if zone is None else now.astimezone(zone)
    for circuit in model.circuits:
        for scheduled in circuit.schedule:
            if holds_at(scheduled, local):
                yield circuit.id, scheduled


def holds_at(scheduled: ScheduledLimit, local: datetime) -> bool:
    """Tell whether a scheduled limit holds at a moment, told in the time of the site.

    By the clock on the wall: where it is set back, the hour that comes twice counts twice.
    """
    at = local.time().replace(tzinfo=None)
    is_over_midnight = scheduled.ends <= scheduled.begins
    if at >= scheduled.begins and (is_over_midnight or at < scheduled.ends):
        return _DAYS[local.weekday()] in scheduled.days
    if is_over_midnight and at < scheduled.ends:
        return _DAYS[(local - timedelta(days=1)).weekday()] in scheduled.days
    return False


def _amounts_of(scheduled: ScheduledLimit) -> Amounts:
    power_w = inf if scheduled.limit_w is None else scheduled.limit_w
    if scheduled.limit_a is None:
        return Amounts(inf, inf, inf, power_w)
    l1, l2, l3 = (scheduled.limit_a.on(phase) for phase in PHASES)
    return Amounts(l1, l2, l3, power_w)


def _strict(limit: float | None) -> float:
    if limit is None:
        return inf
    return max(limit, 0.0) if isfinite(limit) else 0.0
