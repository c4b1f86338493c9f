"""Sessions: the billed facts."""

from datetime import datetime
from typing import ClassVar

from shared.contracts.message import Event


class SessionStarted(Event):
    """Energy is counted from here: an OCPP transaction, or plug-in at a box without OCPP."""

    topic: ClassVar[str] = "session.started.v1"
    address_space: ClassVar[str] = "evse"
    address_field: ClassVar[str] = "evse_id"
    expires_after_s: ClassVar[float | None] = None
    durable: ClassVar[bool] = True

    session_id: str
    """The same for every repetition of the fact, so that it is counted once."""
    evse_id: str
    station_id: str
    connector: int
    started_at: datetime
    token: str | None = None
    energy_start_wh: float | None = None
    transaction_id: int | None = None


class SessionEnded(Event):
    """Energy is counted up to here."""

    topic: ClassVar[str] = "session.ended.v1"
    address_space: ClassVar[str] = "evse"
    address_field: ClassVar[str] = "evse_id"
    expires_after_s: ClassVar[float | None] = None
    durable: ClassVar[bool] = True

    session_id: str
    evse_id: str
    station_id: str
    connector: int
    ended_at: datetime
    energy_stop_wh: float | None = None
    reason: str = ""
    token: str | None = None
    transaction_id: int | None = None
