"""A box that keeps charging profiles as OCPP 1.6 says, and refuses what it does not like."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ocpp_server.domain.timestamps import parse_timestamp
from shared.units import NOMINAL_VOLTAGE_V

ACCEPTED = {"status": "Accepted"}
REJECTED = {"status": "Rejected"}
Likes = Callable[[dict[str, Any]], bool]
"""Whether a profile is taken."""


class ProfileBox:
    """The profiles of a box with one connector, wired to three phases."""

    def __init__(self, likes: Likes = lambda _: True, *, knows_ids: bool = True) -> None:
        """``knows_ids``: a profile replaces the one with its id, wherever that lies."""
        self.likes = likes
        self.knows_ids = knows_ids
        self.refusals = 0
        self.profiles: list[dict[str, Any]] = []

    def set_profile(self, call: dict[str, Any]) -> dict[str, str]:
        """Take SetChargingProfile.req: it replaces what has its id, or its place (5.16)."""
        profile = call["csChargingProfiles"] | {"connector": call["connectorId"]}
        if not self.likes(profile):
            self.refusals += 1
            return REJECTED
        self.profiles = [
            known
            for known in self.profiles
            if _place(known) != _place(profile)
            and not (self.knows_ids and known["chargingProfileId"] == profile["chargingProfileId"])
        ]
        self.profiles.append(profile)
        return ACCEPTED

    def clear_profiles(self, call: dict[str, Any]) -> dict[str, str]:
        """Take ClearChargingProfile.req: what fits every filter is deleted (5.2)."""
        names = {"connectorId": "connector", "id": "chargingProfileId"}
        wanted = {names.get(key, key): value for key, value in call.items()}
        kept = [p for p in self.profiles if any(p.get(k) != v for k, v in wanted.items())]
        cleared, self.profiles = len(self.profiles) - len(kept), kept
        return ACCEPTED if cleared else {"status": "Unknown"}

    def allows_a(self, now: datetime, *, transaction_since: datetime | None) -> float | None:
        """Return what a car may draw per phase; ``None`` = whatever the box can (3.13)."""
        since = transaction_since or now
        limits = {
            purpose: self._top_a(purpose, now, since)
            for purpose in ("TxProfile", "TxDefaultProfile", "ChargePointMaxProfile")
        }
        own = limits["TxProfile"]
        of_car = limits["TxDefaultProfile"] if own is None else own
        told = [a for a in (of_car, limits["ChargePointMaxProfile"]) if a is not None]
        return min(told, default=None)

    def _top_a(self, purpose: str, now: datetime, since: datetime) -> float | None:
        """The limit of the highest profile of a purpose that says anything at that moment."""
        found = [p for p in self.profiles if p["chargingProfilePurpose"] == purpose]
        for profile in sorted(found, key=lambda p: p["stackLevel"], reverse=True):
            limit_a = _limit_a(profile["chargingSchedule"], now, since)
            if limit_a is not None:
                return limit_a
        return None


def _place(profile: dict[str, Any]) -> tuple[Any, ...]:
    return profile["connector"], profile["chargingProfilePurpose"], profile["stackLevel"]


def _limit_a(schedule: dict[str, Any], now: datetime, since: datetime) -> float | None:
    start = parse_timestamp(schedule.get("startSchedule")) or since
    elapsed_s = (now - start).total_seconds()
    if elapsed_s < 0 or elapsed_s >= schedule.get("duration", float("inf")):
        return None
    period = [p for p in schedule["chargingSchedulePeriod"] if p["startPeriod"] <= elapsed_s][-1]
    if schedule["chargingRateUnit"] == "A":
        return float(period["limit"])
    return float(period["limit"]) / (NOMINAL_VOLTAGE_V * period.get("numberPhases", 3))
