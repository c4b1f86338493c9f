"""Sessions of boxes without OCPP: from plug-in to unplug, with an energy that never falls."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.contracts.evse import EvseState

BELIEVED_AFTER = timedelta(seconds=60)
"""A register that fell, or a first 0, is believed when it has stayed so for this long."""


@dataclass(frozen=True)
class EnergyRegister:
    """The import register of a box, without its lapses.

    A box may show 0 for a moment after its start (Power Brain, evcc discussion 12886), and a new
    meter starts lower than the old one: a fall is unknown at first and true when it lasts.
    """

    last_wh: float | None = None
    doubted_since: datetime | None = None

    def seen(self, energy_wh: float | None, now: datetime) -> "EnergyRegister":
        """Return the register after one more reading."""
        if energy_wh is None:
            return self
        if not self._is_doubtful(energy_wh):
            return EnergyRegister(energy_wh)
        since = self.doubted_since or now
        if now - since >= BELIEVED_AFTER:
            return EnergyRegister(energy_wh)
        return replace(self, doubted_since=since)

    @property
    def believed_wh(self) -> float | None:
        """The present reading; ``None`` while it is doubted."""
        return None if self.doubted_since is not None else self.last_wh

    def _is_doubtful(self, energy_wh: float) -> bool:
        return energy_wh < self.last_wh if self.last_wh is not None else energy_wh == 0


@dataclass(frozen=True, kw_only=True)
class OpenSession:
    """A vehicle that is plugged in."""

    session_id: str
    started_at: datetime
    token: str | None
    energy_start_wh: float | None


@dataclass(frozen=True, kw_only=True)
class Started:
    """The vehicle came."""

    session: OpenSession


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The vehicle left."""

    session: OpenSession
    ended_at: datetime
    energy_stop_wh: float | None


@dataclass(frozen=True, kw_only=True)
class SessionTracker:
    """What is known of the present session and of the card for the next one."""

    open: OpenSession | None = None
    energy: EnergyRegister = EnergyRegister()
    token_seen: int | None = None
    """The read counter when it was last looked at; cards read before that are old."""
    token: str | None = None
    """The card read since the last unplug."""

    def with_card(self, token: str | None, token_seen: int | None) -> "SessionTracker":
        """Return the tracker after the card registers were read."""
        if token_seen is None:
            return self
        # A counter at 0 is that of a box that started again.
        is_new = self.token_seen is not None and token_seen not in {0, self.token_seen}
        tracker = replace(self, token_seen=token_seen, token=token if is_new else self.token)
        if is_new and self.open is not None and self.open.token is None:
            return replace(tracker, open=replace(self.open, token=token))
        return tracker

    def with_energy(self, energy_wh: float | None, now: datetime) -> "SessionTracker":
        """Return the tracker after the energy register was read."""
        return replace(self, energy=self.energy.seen(energy_wh, now))

    def with_state(
        self, state: EvseState | None, now: datetime, *, new_id: str
    ) -> tuple["SessionTracker", Started | Ended | None]:
        """Return the tracker after the state was read, and what that meant.

        Unknown states and faults neither start nor end a session.
        """
        if state is not None and state.has_vehicle and self.open is None:
            session = OpenSession(
                session_id=new_id,
                started_at=now,
                token=self.token,
                energy_start_wh=self.energy.last_wh,
            )
            return replace(self, open=session), Started(session=session)
        if state is EvseState.A and self.open is not None:
            ended = Ended(session=self.open, ended_at=now, energy_stop_wh=self.energy.last_wh)
            return replace(self, open=None, token=None), ended
        return self, None
