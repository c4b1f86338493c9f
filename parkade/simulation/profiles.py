"""OCPP 1.6 charging profiles as a station understands them (section 3.13). Pure.

One charging profile is here; how several work together is in ``profile_stack``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from shared.units import NOMINAL_VOLTAGE_V

DEFAULT_PHASES = 3
"""numberPhases when absent (SetChargingProfile, ChargingSchedulePeriod)."""


class Purpose(StrEnum):
    """What a profile is for."""

    STATION = "ChargePointMaxProfile"
    DEFAULT = "TxDefaultProfile"
    TRANSACTION = "TxProfile"


class Kind(StrEnum):
    """What the times of a schedule count from."""

    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"


RECURS_EVERY = {"Daily": timedelta(days=1), "Weekly": timedelta(days=7)}


@dataclass(frozen=True)
class Limit:
    """A current on each of so many phases."""

    amps: float
    phases: int = DEFAULT_PHASES


@dataclass(frozen=True, kw_only=True)
class Running:
    """The transaction that a profile may belong to."""

    transaction_id: int | None
    started_at: datetime


@dataclass(frozen=True, kw_only=True)
class Period:
    """From ``start`` on this limit holds."""

    start: timedelta
    limit: Limit


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One installed charging profile."""

    id: int
    connector: int
    purpose: Purpose
    kind: Kind
    stack_level: int
    periods: tuple[Period, ...]
    installed_at: datetime
    transaction_id: int | None = None
    recurs_every: timedelta = RECURS_EVERY["Daily"]
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    duration: timedelta | None = None
    start: datetime | None = None

    def limit_at(self, now: datetime, running: Running | None) -> Limit | None:
        """Return the limit at a moment, or ``None`` when the profile says nothing then."""
        if self.valid_from is not None and now < self.valid_from:
            return None
        if self.valid_to is not None and now >= self.valid_to:
            return None
        elapsed = now - self._schedule_start(now, running)
        if elapsed < timedelta(0) or (self.duration is not None and elapsed >= self.duration):
            return None
        begun = [period for period in self.periods if period.start <= elapsed]
        return begun[-1].limit if begun else None

    def moments(
        self, begin: datetime, end: datetime, running: Running | None
    ) -> Iterator[datetime]:
        """Yield the moments between begin and end at which the limit may change."""
        for moment in self._all_moments(begin, end, running):
            if begin < moment < end:
                yield moment

    def _all_moments(
        self, begin: datetime, end: datetime, running: Running | None
    ) -> Iterator[datetime]:
        yield from (moment for moment in (self.valid_from, self.valid_to) if moment is not None)
        start = self._schedule_start(begin, running)
        while start < end:
            yield start
            yield from (start + period.start for period in self.periods)
            if self.duration is not None:
                yield start + self.duration
            if self.kind is not Kind.RECURRING:
                return
            start += self.recurs_every

    def _schedule_start(self, now: datetime, running: Running | None) -> datetime:
        if self.kind is Kind.RELATIVE:
            return running.started_at if running is not None else now
        start = self.start or self.installed_at
        if self.kind is Kind.RECURRING and now > start:
            return start + (now - start) // self.recurs_every * self.recurs_every
        return start


def parse_profile(connector: int, payload: dict[str, Any], now: datetime) -> Profile:
    """Return the profile of a ``csChargingProfiles`` object.

    Raises ``ValueError``, ``KeyError`` or ``TypeError`` for what is none.
    """
    schedule = payload["chargingSchedule"]
    duration = schedule.get("duration")
    profile = Profile(
        id=int(payload["chargingProfileId"]),
        connector=connector,
        purpose=Purpose(payload["chargingProfilePurpose"]),
        kind=Kind(payload["chargingProfileKind"]),
        stack_level=int(payload["stackLevel"]),
        periods=tuple(_periods(schedule)),
        installed_at=now,
        transaction_id=payload.get("transactionId"),
        recurs_every=RECURS_EVERY[payload.get("recurrencyKind", "Daily")],
        valid_from=parse_time(payload.get("validFrom")),
        valid_to=parse_time(payload.get("validTo")),
        duration=None if duration is None else timedelta(seconds=duration),
        start=parse_time(schedule.get("startSchedule")),
    )
    if not profile.periods:
        raise ValueError("a charging schedule needs a period")
    return profile


def parse_time(text: str | None) -> datetime | None:
    """Return a timestamp of OCPP with its zone; one without is UTC."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _periods(schedule: dict[str, Any]) -> Iterator[Period]:
    in_watts = schedule["chargingRateUnit"] == "W"
    for period in sorted(schedule["chargingSchedulePeriod"], key=lambda p: p["startPeriod"]):
        phases = int(period.get("numberPhases") or DEFAULT_PHASES)
        limit = float(period["limit"])
        amps = limit / (NOMINAL_VOLTAGE_V * phases) if in_watts else limit
        yield Period(start=timedelta(seconds=period["startPeriod"]), limit=Limit(amps, phases))
