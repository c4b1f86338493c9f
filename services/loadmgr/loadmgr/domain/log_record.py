"""What the decision log holds: enough to decide everything again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from loadmgr.domain.memory_form import MemoryDoesNotFit, packed, unpacked
from loadmgr.domain.state import State
from shared.contracts.charging import ApplySetpoint, OffersDecided, Reason
from shared.contracts.message import Event
from shared.contracts.site import SiteConfig


@dataclass(frozen=True, kw_only=True)
class Begun:
    """The first record of every file."""

    at: datetime
    program: str
    instance: str


@dataclass(frozen=True, kw_only=True)
class SiteLoaded:
    """A site came into force, or is in force where a file begins (``is_new`` False)."""

    at: datetime
    site: SiteConfig
    is_new: bool = True


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """Everything that was known at this moment."""

    at: datetime
    form: Any
    """The state as ``memory_form`` writes it."""

    def state(self) -> State:
        """Return it. Raises ``MemoryDoesNotFit`` when another version of Parkade wrote it."""
        state = unpacked(self.form)
        if not isinstance(state, State):
            raise MemoryDoesNotFit("no memory of load management")
        return state


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A fact that was taken in."""

    at: datetime
    fact: Event


@dataclass(frozen=True, kw_only=True)
class StationLost:
    """Nobody holds this station any more."""

    at: datetime
    station_id: str


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """A cold start: everything known was forgotten."""

    at: datetime


class SetpointWord(NamedTuple):
    """What was sent to an EVSE."""

    evse_id: str
    revision: int
    limit_a: float
    phases: int | None
    reason: Reason


class OfferWord(NamedTuple):
    """What an EVSE was offered, and why not more."""

    limit_a: float
    phases: int | None
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A decision. ``offers`` of all EVSEs; ``None`` where the decision was not told."""

    at: datetime
    setpoints: tuple[SetpointWord, ...]
    offers: Mapping[str, OfferWord] | None = None

    @classmethod
    def of(
        cls, at: datetime, setpoints: tuple[ApplySetpoint, ...], told: OffersDecided | None
    ) -> "Decided":
        """Return what is recorded of a decision."""
        return cls(
            at=at,
            setpoints=tuple(
                SetpointWord(s.evse_id, s.revision, s.limit_a, s.phases, s.reason)
                for s in setpoints
            ),
            offers=None
            if told is None
            else {o.evse_id: OfferWord(o.limit_a, o.phases, o.reason) for o in told.offers},
        )


@dataclass(frozen=True, kw_only=True)
class Missing:
    """So many records could not be written before this one."""

    at: datetime
    records: int


LogRecord = Begun | SiteLoaded | Remembered | Heard | StationLost | Forgotten | Decided | Missing


def remembered(state: State, at: datetime) -> Remembered:
    """Return the memory as it is recorded; what happens to ``state`` later does not reach it.

    Raises ``TypeError`` when something in it has no form.
    """
    return Remembered(at=at, form=packed(state))
