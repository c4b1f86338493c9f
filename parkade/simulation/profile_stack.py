"""All charging profiles of a station, and what they allow together (OCPP 1.6, 3.13). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from parkade.simulation.profiles import Limit, Profile, Purpose, Running
from shared.units import NOMINAL_VOLTAGE_V


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A part of a composite schedule: from ``start_s`` on this limit."""

    start_s: int
    limit: Limit

    def rate(self, unit: str) -> float:
        """Return the limit in ampere or watts, as ``unit`` (A or W) says."""
        factor = NOMINAL_VOLTAGE_V * self.limit.phases if unit == "W" else 1.0
        return round(self.limit.amps * factor, 1)


class ProfileStack:
    """Installed profiles. They survive a reset, as in stations of the field (S11).

    Without any profile the box offers its maximum.
    """

    def __init__(self, max_a: float) -> None:
        self._max_a = max_a
        self._profiles: list[Profile] = []

    @property
    def installed(self) -> tuple[Profile, ...]:
        """Every profile in the station."""
        return tuple(self._profiles)

    def install(self, profile: Profile) -> None:
        """Install a profile. The same id, or the same place in the stack, is replaced."""
        self._profiles = [p for p in self._profiles if not _is_replaced(p, profile)]
        self._profiles.append(profile)

    def clear(
        self,
        *,
        profile_id: int | None = None,
        connector: int | None = None,
        purpose: str | None = None,
        stack_level: int | None = None,
    ) -> bool:
        """Delete what matches everything that is given; tell whether anything did (5.16)."""
        wanted = (profile_id, connector, purpose, stack_level)

        def matches(profile: Profile) -> bool:
            own = (profile.id, profile.connector, profile.purpose, profile.stack_level)
            return all(w is None or w == o for w, o in zip(wanted, own, strict=True))

        before = len(self._profiles)
        self._profiles = [profile for profile in self._profiles if not matches(profile)]
        return len(self._profiles) < before

    def end_transaction(self, connector: int) -> None:
        """Delete the profiles that were for one transaction."""
        self.clear(connector=connector, purpose=Purpose.TRANSACTION)

    def limit_at(
        self, connector: int, now: datetime, *, running: Running | None, sharing: int = 1
    ) -> Limit:
        """Return what a connector may offer now.

        TxProfile overrules TxDefaultProfile; ChargePointMaxProfile caps the whole station, so
        ``sharing`` connectors divide it between them.
        """
        limit = self._own_limit(connector, now, running)
        cap = _highest(self._of(Purpose.STATION, {0}), now, running)
        if cap is None:
            return limit
        return Limit(min(limit.amps, cap.amps / max(sharing, 1)), limit.phases)

    def composite(
        self, connector: int, now: datetime, *, duration_s: int, running: Running | None
    ) -> list[Stretch]:
        """Return the limits of the next ``duration_s`` seconds, equal neighbours merged (5.7)."""
        end = now + timedelta(seconds=duration_s)
        moments = {m for p in self._profiles for m in p.moments(now, end, running)}
        stretches: list[Stretch] = []
        for moment in sorted({now, *moments}):
            limit = self.limit_at(connector, moment, running=running)
            if not stretches or stretches[-1].limit != limit:
                start_s = int((moment - now).total_seconds())
                stretches.append(Stretch(start_s=start_s, limit=limit))
        return stretches

    def _own_limit(self, connector: int, now: datetime, running: Running | None) -> Limit:
        if connector and running is not None:
            own = [
                profile
                for profile in self._of(Purpose.TRANSACTION, {connector})
                if profile.transaction_id in {None, running.transaction_id}
            ]
            by_transaction = _highest(own, now, running)
            if by_transaction is not None:
                return by_transaction
        by_default = None
        if connector:
            defaults = self._of(Purpose.DEFAULT, {0, connector})
            by_default = _highest(defaults, now, running)
        return by_default or Limit(self._max_a)

    def _of(self, purpose: Purpose, connectors: set[int]) -> list[Profile]:
        return [p for p in self._profiles if p.purpose is purpose and p.connector in connectors]


def _highest(profiles: Iterable[Profile], now: datetime, running: Running | None) -> Limit | None:
    """Return the limit of the highest level that says something; a connector's own wins a tie."""
    for profile in sorted(profiles, key=lambda p: (p.stack_level, p.connector), reverse=True):
        limit = profile.limit_at(now, running)
        if limit is not None:
            return limit
    return None


def _is_replaced(old: Profile, new: Profile) -> bool:
    return old.id == new.id or (old.connector, old.purpose, old.stack_level) == (
        new.connector,
        new.purpose,
        new.stack_level,
    )
