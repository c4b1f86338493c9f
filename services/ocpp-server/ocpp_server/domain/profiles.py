"""Charging profiles as they are sent (S8): OCPP 1.6, 3.13 and the habits of field notes 5.5.

The base has no end: it is what a box may draw when it hears nothing. The lease lies over it, or is
one profile with it, and ends by itself. ``profile_forms`` says in which ways that can be told.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from ocpp_server.domain.model import NumberPhases, Purpose, RateUnit
from ocpp_server.domain.profile_forms import Form
from ocpp_server.domain.timestamps import format_timestamp
from shared.units import MINIMUM_CHARGING_A, NOMINAL_VOLTAGE_V, floor_to

_FIRST_ID = 900_000
"""Above what operators and backends number by hand."""
_BASE, _LEASE, _OVERRIDE = 0, 1, 2
"""The id of a profile says what it is for and not where it lies, so that it replaces its like."""
EARLIER_S = 60
"""Some stations ignore a schedule that starts in the future of their own clock (5.5, 37)."""


class Limit(NamedTuple):
    """What a connector may draw, per phase."""

    limit_a: float
    phases: int | None = None
    """Phases to use; ``None`` = leave it to the box."""
    watts_phases: int | None = None
    """For how many phases watts are counted; ``None`` = those to use, or all that are wired.

    Fewer than those to use where the car takes fewer: watts for three would be three times its
    ampere on one.
    """


class Outlet(NamedTuple):
    """Where a limit is to hold."""

    connector: int
    wired: int
    transaction_id: int | None = None
    transaction_since: datetime | None = None


_floor_to = lru_cache(maxsize=4_096)(floor_to)
"""Many stations are told the same few limits, and its exact arithmetic takes its time."""


def sendable_a(limit_a: float, *, whole_amps: bool) -> float:
    """Round a current down to what a box takes: 0.1 A or 1 A, and nothing between 0 and 6 A (5.5,
    34 and 39)."""
    rounded = _floor_to(limit_a, 1.0 if whole_amps else 0.1)
    return rounded if rounded >= MINIMUM_CHARGING_A else 0.0


def base_profile(outlet: Outlet, limit: Limit, *, form: Form, now: datetime) -> dict[str, Any]:
    """Return SetChargingProfile.req of the limit that holds when nothing else does."""
    schedule = _schedule([(0, limit)], form, outlet)
    if form.base_starts and not form.relative:
        schedule["startSchedule"] = format_timestamp(now - timedelta(seconds=EARLIER_S))
    which = _BASE if form.has_base else _LEASE
    return _request(outlet, form, schedule, level=form.base_level, which=which)


def lasting_profile(outlet: Outlet, limit: Limit, *, form: Form, now: datetime) -> dict[str, Any]:
    """Return SetChargingProfile.req that replaces the lease and has no end (S9)."""
    schedule = _schedule([(0, limit)], form, outlet)
    if form.base_starts and not form.relative:
        schedule["startSchedule"] = format_timestamp(now - timedelta(seconds=EARLIER_S))
    return _request(outlet, form, schedule, level=form.lease_level, which=_LEASE)


def lease_profile(
    outlet: Outlet, limit: Limit, *, form: Form, fallback: Limit, lease_s: float, now: datetime
) -> dict[str, Any]:
    """Return SetChargingProfile.req of a limit that ends ``lease_s`` from now.

    Where base and lease are one profile, its second period is the fallback. A relative schedule
    counts from the start of the transaction (OCPP 1.6, 7.10), or of the next one.
    """
    elapsed_s = _elapsed_s(outlet, now) if form.relative else EARLIER_S
    end_s = elapsed_s + int(lease_s)
    periods = [(0, limit)]
    if (form.ends_by_period or not form.has_base) and fallback != limit:
        periods.append((end_s, fallback))
    schedule = _schedule(periods, form, outlet)
    if not form.relative:
        schedule["startSchedule"] = format_timestamp(now - timedelta(seconds=EARLIER_S))
    if form.has_base and not form.ends_by_period:
        schedule["duration"] = end_s
    return _request(outlet, form, schedule, level=form.lease_level, which=_LEASE)


def override_profile(
    outlet: Outlet, limit: Limit, *, form: Form, lease_s: float, now: datetime
) -> dict[str, Any]:
    """Return SetChargingProfile.req of the same lease for the running transaction.

    For boxes that heed TxDefaultProfile only when a transaction begins (OCPP 1.6, 7.11). It ends
    with the lease, and what lies below holds again.
    """
    schedule = _schedule([(0, limit)], form, outlet)
    elapsed_s = _elapsed_s(outlet, now) if form.relative else EARLIER_S
    if not form.relative:
        schedule["startSchedule"] = format_timestamp(now - timedelta(seconds=EARLIER_S))
    schedule["duration"] = elapsed_s + int(lease_s)
    request = _request(outlet, form, schedule, level=form.lease_level, which=_OVERRIDE)
    request["csChargingProfiles"] |= {
        "chargingProfilePurpose": Purpose.TX.value,
        "transactionId": outlet.transaction_id,
    }
    return request


def base_filter(outlet: Outlet, form: Form) -> dict[str, Any]:
    """Return ClearChargingProfile.req of the base that was told in a form."""
    return {
        "connectorId": _connector(outlet, form),
        "chargingProfilePurpose": form.purpose.value,
        "stackLevel": form.base_level,
    }


def _elapsed_s(outlet: Outlet, now: datetime) -> int:
    since = outlet.transaction_since
    return 0 if since is None else max(0, int((now - since).total_seconds()))


def _schedule(periods: list[tuple[int, Limit]], form: Form, outlet: Outlet) -> dict[str, Any]:
    return {
        "chargingRateUnit": form.unit.value,
        "chargingSchedulePeriod": [
            _period(start_s, limit, form, wired=outlet.wired) for start_s, limit in periods
        ],
    }


def _period(start_s: int, limit: Limit, form: Form, *, wired: int) -> dict[str, Any]:
    value = limit.limit_a
    if form.unit is RateUnit.WATTS:
        value *= NOMINAL_VOLTAGE_V * (limit.watts_phases or limit.phases or wired)
    period: dict[str, Any] = {"startPeriod": start_s, "limit": _floor_to(value, 0.1)}
    if form.number_phases is NumberPhases.ALWAYS:
        period["numberPhases"] = limit.phases or wired
    elif form.number_phases is NumberPhases.AS_ORDERED and limit.phases is not None:
        period["numberPhases"] = limit.phases
    return period


def _connector(outlet: Outlet, form: Form) -> int:
    """ChargePointMaxProfile lies at connector 0 (OCPP 1.6, 3.13.1)."""
    return 0 if form.purpose is Purpose.STATION_MAX else outlet.connector


def _request(
    outlet: Outlet, form: Form, schedule: dict[str, Any], *, level: int, which: int
) -> dict[str, Any]:
    profile: dict[str, Any] = {
        "chargingProfileId": _FIRST_ID + outlet.connector * 10 + which,
        "stackLevel": level,
        "chargingProfilePurpose": form.purpose.value,
        "chargingProfileKind": "Relative" if form.relative else "Absolute",
        "chargingSchedule": schedule,
    }
    if form.purpose is Purpose.TX and outlet.transaction_id is not None:
        profile["transactionId"] = outlet.transaction_id
    return {"connectorId": _connector(outlet, form), "csChargingProfiles": profile}
