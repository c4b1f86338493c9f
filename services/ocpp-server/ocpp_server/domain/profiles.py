"""Charging profiles as they are sent (S8): OCPP 1.6, 3.13 and the habits of field notes 5.5.

Two profiles per connector. The base, at stack level 0, has no end: it is what a box may draw when
it hears nothing. The lease, at stack level 1, lies over it and ends by itself.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from ocpp_server.domain.timestamps import format_timestamp
from shared.units import NOMINAL_VOLTAGE_V, floor_to

BASE_STACK_LEVEL = 0
LEASE_STACK_LEVEL = 1
_FIRST_ID = 900_000
"""Above what operators and backends number by hand."""
EARLIER_S = 60
"""Some stations ignore a schedule that starts in the future of their own clock (5.5, 37)."""
RATE_UNIT_KEY = "ChargingScheduleAllowedChargingRateUnit"


class RateUnit(StrEnum):
    """ChargingRateUnitType."""

    AMPS = "A"
    WATTS = "W"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a connector may draw, per phase."""

    limit_a: float
    phases: int | None = None
    """Phases to use; ``None`` = leave it to the box."""


def base_profile(connector: int, limit: Limit, *, unit: RateUnit, wired: int) -> dict[str, Any]:
    """Return SetChargingProfile.req of the limit that holds when nothing else does."""
    schedule = _schedule(limit, unit, wired)
    return _request(connector, BASE_STACK_LEVEL, schedule)


def lasting_profile(connector: int, limit: Limit, *, unit: RateUnit, wired: int) -> dict[str, Any]:
    """Return SetChargingProfile.req that replaces the lease and has no end (S9)."""
    schedule = _schedule(limit, unit, wired)
    return _request(connector, LEASE_STACK_LEVEL, schedule)


def lease_profile(
    connector: int, limit: Limit, *, unit: RateUnit, wired: int, lease_s: float, now: datetime
) -> dict[str, Any]:
    """Return SetChargingProfile.req of a limit that ends ``lease_s`` from now."""
    schedule = _schedule(limit, unit, wired)
    schedule["startSchedule"] = format_timestamp(now - timedelta(seconds=EARLIER_S))
    schedule["duration"] = EARLIER_S + int(lease_s)
    return _request(connector, LEASE_STACK_LEVEL, schedule)


def rate_unit(allowed: str | None) -> RateUnit:
    """Return the unit to use, given the value of ChargingScheduleAllowedChargingRateUnit.

    Seen: ``Current``, ``Power``, ``Current,Power``, ``A``, ``W``, quotes, nothing (5.5, 34).
    """
    words = {word.strip(" '\"[]").lower() for word in (allowed or "").split(",")}
    if words & {"power", "w", "watt"} and not words & {"current", "a", "amp", "ampere"}:
        return RateUnit.WATTS
    return RateUnit.AMPS


def _schedule(limit: Limit, unit: RateUnit, wired: int) -> dict[str, Any]:
    phases = limit.phases or wired
    value = limit.limit_a
    if unit is RateUnit.WATTS:
        value *= NOMINAL_VOLTAGE_V * phases
    period: dict[str, Any] = {"startPeriod": 0, "limit": floor_to(value, 0.1)}
    if limit.phases is not None:
        period["numberPhases"] = limit.phases
    return {"chargingRateUnit": unit.value, "chargingSchedulePeriod": [period]}


def _request(connector: int, stack_level: int, schedule: dict[str, Any]) -> dict[str, Any]:
    return {
        "connectorId": connector,
        "csChargingProfiles": {
            "chargingProfileId": _FIRST_ID + connector * 10 + stack_level,
            "stackLevel": stack_level,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": schedule,
        },
    }
