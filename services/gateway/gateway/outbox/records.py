"""What the outbox keeps, as values."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """What became of a message."""

    WAITING = "waiting"
    ANSWERED = "answered"
    FAILED = "failed"
    """The backend refused it, or it cannot be sent; the reason says why."""
    EXPIRED = "expired"
    """Its answer was wanted at once, and the backend was away."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A message that a backend has to receive."""

    uplink: str
    frame_id: str
    action: str
    payload_text: str
    created_at: datetime
    station_id: str | None = None
    transaction_key: str | None = None
    wants_answer: bool = False


@dataclass(frozen=True, kw_only=True)
class Queued(Outgoing):
    """A message in its place."""

    id: int
    attempts: int

    @property
    def message_id(self) -> str:
        """The OCPP message id: the same each time, so that a backend sees a repetition."""
        return hashlib.sha256(f"{self.uplink}\n{self.frame_id}".encode()).hexdigest()[:36]


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """A transaction, and what each side calls it."""

    key: str
    uplink: str
    evse_id: str
    connector: int
    """At the backend."""
    token: str
    meter_start_wh: int
    started_at: datetime
    station_id: str | None = None
    """``None`` for a virtual charge point."""
    local_id: int | None = None
    """What the station calls it."""
    backend_id: int | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Slot:
    """A message of which only the last one matters."""

    name: str
    action: str
    payload_text: str
    version: int
    after_id: int


@dataclass(frozen=True)
class Counts:
    """How much of each kind there is for one backend."""

    waiting: int
    failed: int
