"""What the controller tells whoever records it. Nothing here waits, and nothing here fails."""

from datetime import datetime
from typing import Protocol

from loadmgr.domain.plan import Decision
from loadmgr.domain.state import State
from shared.contracts.message import Event
from shared.contracts.site import SiteConfig


class Recorder(Protocol):
    """Hears everything that a decision follows from, in the order in which it happened."""

    def site(self, site: SiteConfig, now: datetime) -> None:
        """A site came into force."""
        ...

    def fact(self, fact: Event, now: datetime) -> None:
        """A fact was taken in."""
        ...

    def lost(self, station_id: str, now: datetime) -> None:
        """Nobody holds this station any more."""
        ...

    def forgot(self, now: datetime) -> None:
        """A cold start: everything known was forgotten."""
        ...

    def decided(self, decision: Decision, state: State, now: datetime, *, is_told: bool) -> None:
        """It was decided. ``state`` is what is known afterwards; it is not kept."""
        ...


class NoRecorder:
    """Records nothing."""

    def site(self, site: SiteConfig, now: datetime) -> None:
        """Forget it."""

    def fact(self, fact: Event, now: datetime) -> None:
        """Forget it."""

    def lost(self, station_id: str, now: datetime) -> None:
        """Forget it."""

    def forgot(self, now: datetime) -> None:
        """Forget it."""

    def decided(self, decision: Decision, state: State, now: datetime, *, is_told: bool) -> None:
        """Forget it."""
