"""How the profiles of one charge point combine: the store, the composite schedule, the minimum."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway.domain.profiles import Profile, parse_profile
from shared.units import NOMINAL_VOLTAGE_V, floor_to

MAX_PROFILES = 100
LONGEST_SCHEDULE_S = 7 * 86_400


@dataclass(frozen=True)
class Running:
    """A transaction that runs at a connector."""

    started_at: datetime
    backend_id: int | None = None
    """``None``: the backend does not know of it yet."""


@dataclass(frozen=True)
class Slice:
    """A piece of a composite schedule."""

    start_s: int
    limit_a: float | None
    """``None`` = no limit."""


class ProfileBook:
    """The profiles a backend has set. Everything is kept as it came, so that it can be stored."""

    def __init__(self, kept: Iterable[Mapping[str, Any]] = ()) -> None:
        self._entries: list[tuple[Profile, Mapping[str, Any]]] = []
        for entry in kept:
            self.add(entry["connectorId"], entry["csChargingProfiles"])

    @property
    def kept(self) -> list[dict[str, Any]]:
        """Everything, in the shape the constructor takes."""
        return [
            {"connectorId": profile.connector, "csChargingProfiles": raw}
            for profile, raw in self._entries
        ]

    @property
    def profiles(self) -> tuple[Profile, ...]:
        """The profiles in the order they came."""
        return tuple(profile for profile, _ in self._entries)

    def add(self, connector: int, raw: Mapping[str, Any]) -> Profile:
        """Keep a profile. Raises ``ValueError`` when it has no meaning or there is no room.

        It replaces one with the same id, and one of the same purpose and stack level at the same
        connector (OCPP 1.6, 3.13.2).
        """
        profile = parse_profile(connector, raw)
        self._entries = [entry for entry in self._entries if not _replaces(profile, entry[0])]
        if len(self._entries) >= MAX_PROFILES:
            raise ValueError(f"no more than {MAX_PROFILES} profiles are kept")
        self._entries.append((profile, raw))
        return profile

    def drop(self, wanted: Callable[[Profile], bool]) -> int:
        """Forget profiles; return how many there were."""
        before = len(self._entries)
        self._entries = [entry for entry in self._entries if not wanted(entry[0])]
        return before - len(self._entries)

    def clear(self, criteria: Mapping[str, Any]) -> int:
        """Do what ClearChargingProfile.req says; return how many profiles went.

        An id alone decides; otherwise a profile goes when every criterion given fits.
        """
        if criteria.get("id") is not None:
            return self.drop(lambda profile: profile.profile_id == criteria["id"])
        asked = {name: value for name, value in criteria.items() if value is not None}
        return self.drop(
            lambda p: (
                asked.get("connectorId", p.connector) == p.connector
                and asked.get("chargingProfilePurpose", p.purpose) == p.purpose
                and asked.get("stackLevel", p.stack_level) == p.stack_level
            )
        )

    def end_transaction(self, connector: int) -> int:
        """Forget the TxProfiles of a connector: they end with the transaction."""
        return self.drop(lambda p: p.purpose == "TxProfile" and p.connector == connector)

    def limit_a(
        self, connector: int, now: datetime, running: Running | None, *, phases: int, sharing: int
    ) -> float | None:
        """Return the limit per phase at a connector now; ``None`` = no limit.

        The minimum of what the prevailing profile of the transaction and that of the whole charge
        point say. The latter is divided among the ``sharing`` connectors in use.
        """
        started_at = running.started_at if running else None
        said = [
            self._prevailing(_station_profiles(self.profiles), now, started_at, phases),
            self._of_transaction(connector, now, running, phases),
        ]
        if said[0] is not None:
            said[0] /= max(1, sharing)
        limits = [limit for limit in said if limit is not None]
        return floor_to(min(limits), 0.1) if limits else None

    def schedule(
        self,
        connector: int,
        now: datetime,
        running: Running | None,
        *,
        duration_s: int,
        phases: int,
    ) -> tuple[Slice, ...]:
        """Return the composite schedule of a connector from ``now`` on."""
        until = now + timedelta(seconds=min(duration_s, LONGEST_SCHEDULE_S))
        started_at = running.started_at if running else None
        moments = {now}
        for profile in self.profiles:
            if profile.connector in (0, connector):
                moments.update(profile.changes(now, until, started_at))
        slices: list[Slice] = []
        for moment in sorted(moments):
            limit = self.limit_a(connector, moment, running, phases=phases, sharing=1)
            if not slices or slices[-1].limit_a != limit:
                slices.append(Slice(int((moment - now).total_seconds()), limit))
        return tuple(slices)

    def _of_transaction(
        self, connector: int, now: datetime, running: Running | None, phases: int
    ) -> float | None:
        """A TxProfile prevails over TxDefaultProfiles while it says something (3.13.1)."""
        if connector == 0:
            return None
        own = [p for p in self.profiles if _is_for(p, connector, running)]
        started_at = running.started_at if running else None
        limit = self._prevailing(own, now, started_at, phases)
        if limit is not None:
            return limit
        defaults = [
            p
            for p in self.profiles
            if p.purpose == "TxDefaultProfile" and p.connector in (0, connector)
        ]
        return self._prevailing(defaults, now, started_at, phases)

    @staticmethod
    def _prevailing(
        profiles: Iterable[Profile], now: datetime, started_at: datetime | None, phases: int
    ) -> float | None:
        """Return what the highest stack level says that says anything; a connector's own first."""
        for profile in sorted(profiles, key=lambda p: (-p.stack_level, -p.connector)):
            limit = profile.limit_a(now, started_at, phases=phases)
            if limit is not None:
                return limit
        return None


def composite_payload(
    slices: tuple[Slice, ...],
    *,
    connector: int,
    now_text: str,
    duration_s: int,
    unit: str,
    phases: int,
    most_a: float,
) -> dict[str, Any]:
    """Return the payload of GetCompositeSchedule.conf.

    Where no profile speaks, the box's own limit ``most_a`` does.
    """
    per_ampere = NOMINAL_VOLTAGE_V * phases if unit == "W" else 1.0
    periods = [
        {
            "startPeriod": piece.start_s,
            "limit": floor_to(
                (most_a if piece.limit_a is None else min(piece.limit_a, most_a)) * per_ampere, 0.1
            ),
        }
        for piece in slices
    ]
    return {
        "status": "Accepted",
        "connectorId": connector,
        "scheduleStart": now_text,
        "chargingSchedule": {
            "duration": duration_s,
            "startSchedule": now_text,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
        },
    }


def _station_profiles(profiles: Iterable[Profile]) -> list[Profile]:
    return [p for p in profiles if p.purpose == "ChargePointMaxProfile"]


def _is_for(profile: Profile, connector: int, running: Running | None) -> bool:
    if profile.purpose != "TxProfile" or profile.connector != connector or running is None:
        return False
    return profile.transaction_id is None or profile.transaction_id == running.backend_id


def _replaces(new: Profile, old: Profile) -> bool:
    same_place = (new.connector, new.purpose, new.stack_level) == (
        old.connector,
        old.purpose,
        old.stack_level,
    )
    return new.profile_id == old.profile_id or same_place
