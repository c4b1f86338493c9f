"""OCPP 1.6 charging profiles: what one says at a moment (sections 3.13 and 7.8 to 7.14).

Limits come out in ampere per phase. How profiles combine is in ``smart_charging``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.units import NOMINAL_VOLTAGE_V

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
PURPOSES = frozenset({"ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"})
KINDS = frozenset({"Absolute", "Relative", "Recurring"})
RECURRENCES: Mapping[str, timedelta] = {"Daily": DAY, "Weekly": WEEK}


@dataclass(frozen=True)
class Period:
    """A limit from ``start_s`` after the start of the schedule until the next period."""

    start_s: int
    limit: float
    """In the unit of the schedule."""
    phases: int | None = None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One charging profile. ``connector`` 0 is the whole charge point."""

    profile_id: int
    connector: int
    stack_level: int
    purpose: str
    kind: str
    unit: str
    periods: tuple[Period, ...]
    every: timedelta | None = None
    """How often a recurring schedule repeats."""
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    transaction_id: int | None = None
    """The backend's id of the transaction that a TxProfile is for."""
    duration_s: int | None = None
    start: datetime | None = None

    def limit_a(self, now: datetime, started_at: datetime | None, *, phases: int) -> float | None:
        """Return the limit per phase, or ``None`` when the profile says nothing at ``now``.

        A limit in watt is divided among all phases of the outlet, even where the profile counts
        on fewer: the box may use them all, and when unsure less is offered.
        """
        begin = self._begin(now, started_at)
        if begin is None or not self._is_valid(now):
            return None
        elapsed_s = (now - begin).total_seconds()
        if self.duration_s is not None and elapsed_s >= self.duration_s:
            return None
        current = [period for period in self.periods if period.start_s <= elapsed_s]
        if not current:
            return None
        return self._in_ampere(current[-1], phases)

    def changes(
        self, after: datetime, until: datetime, started_at: datetime | None
    ) -> Iterator[datetime]:
        """Give every moment in ``(after, until)`` at which its word may change."""
        moments = [self.valid_from, self.valid_to]
        for begin in self._beginnings(after, until, started_at):
            moments += [begin + timedelta(seconds=period.start_s) for period in self.periods]
            if self.duration_s is not None:
                moments.append(begin + timedelta(seconds=self.duration_s))
        return (moment for moment in moments if moment is not None and after < moment < until)

    def _is_valid(self, now: datetime) -> bool:
        return (self.valid_from is None or self.valid_from <= now) and (
            self.valid_to is None or now < self.valid_to
        )

    def _in_ampere(self, period: Period, phases: int) -> float:
        if self.unit == "A":
            return period.limit
        return period.limit / (NOMINAL_VOLTAGE_V * max(phases, period.phases or 0))

    def _begin(self, now: datetime, started_at: datetime | None) -> datetime | None:
        """Return when the schedule in force at ``now`` began."""
        if self.kind == "Relative" or self.start is None:
            begin = started_at or self.valid_from
            return begin if begin is not None and begin <= now else None
        if now < self.start:
            return None
        if self.every is None:
            return self.start
        return self.start + ((now - self.start) // self.every) * self.every

    def _beginnings(
        self, after: datetime, until: datetime, started_at: datetime | None
    ) -> Iterator[datetime]:
        """Give when schedules begin that may speak between two moments."""
        begin = self._begin(after, started_at)
        if begin is None and self.start is not None and self.kind != "Relative":
            begin = self.start
        while begin is not None and begin < until:
            yield begin
            begin = begin + self.every if self.every is not None else None


def parse_profile(connector: int, raw: Mapping[str, Any]) -> Profile:
    """Return the profile of ``csChargingProfiles``. Raises ``ValueError`` for what has no meaning.

    Limits with more than one decimal are taken as they are: nothing is gained by refusing them.
    """
    try:
        return _profile(connector, raw)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"charging profile: {type(error).__name__} {error}") from error


def _profile(connector: int, raw: Mapping[str, Any]) -> Profile:
    schedule = raw["chargingSchedule"]
    profile = Profile(
        profile_id=int(raw["chargingProfileId"]),
        connector=connector,
        stack_level=int(raw["stackLevel"]),
        purpose=_one_of(raw["chargingProfilePurpose"], PURPOSES),
        kind=_one_of(raw["chargingProfileKind"], KINDS),
        every=RECURRENCES[raw["recurrencyKind"]]
        if raw["chargingProfileKind"] == "Recurring"
        else None,
        valid_from=_moment(raw.get("validFrom")),
        valid_to=_moment(raw.get("validTo")),
        transaction_id=_whole(raw.get("transactionId")),
        unit=_one_of(schedule["chargingRateUnit"], frozenset({"A", "W"})),
        duration_s=_whole(schedule.get("duration")),
        start=_moment(schedule.get("startSchedule")),
        periods=tuple(_period(period) for period in schedule["chargingSchedulePeriod"]),
    )
    _check(profile)
    return profile


def _check(profile: Profile) -> None:
    starts = [period.start_s for period in profile.periods]
    if not starts or starts[0] != 0 or starts != sorted(set(starts)):
        raise ValueError("periods must begin at 0 and be in order")
    if not 0 <= profile.stack_level <= 99:
        raise ValueError("stackLevel must be 0 to 99")
    if profile.kind == "Recurring" and profile.start is None:
        raise ValueError("a recurring schedule needs startSchedule")
    if (profile.purpose == "ChargePointMaxProfile") != (profile.connector == 0) and (
        profile.purpose != "TxDefaultProfile"
    ):
        raise ValueError(f"{profile.purpose} does not go to connector {profile.connector}")


def _period(raw: Mapping[str, Any]) -> Period:
    limit = float(raw["limit"])
    if not 0 <= limit < 1e7:  # also refuses NaN
        raise ValueError("limit must be a number from 0")
    return Period(int(raw["startPeriod"]), limit, _whole(raw.get("numberPhases")))


def _one_of(value: Any, allowed: frozenset[str]) -> str:
    if value not in allowed:
        raise ValueError(f"must be one of {sorted(allowed)}")
    return str(value)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _moment(text: str | None) -> datetime | None:
    """Parse a timestamp; one without a zone counts as UTC (field notes 5.1, 9)."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
