"""OCPP beyond its station: raw calls by an operator or backend, and frames for the gateway."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from shared.contracts.message import Command, Event, Reply, Request


class CallResult(StrEnum):
    """What became of a call to a station."""

    ANSWERED = "answered"
    ERROR = "error"
    """The station answered with a CALLERROR."""
    OFFLINE = "offline"
    TIMEOUT = "timeout"


class CallOutcome(Reply):
    """The answer of a station, as it sent it."""

    outcome: CallResult
    payload: dict[str, Any] | None = None
    payload_text: str | None = None
    """The same, byte for byte, for those who pass it on."""
    error_code: str | None = None
    error_description: str | None = None


class CallStation(Request[CallOutcome]):
    """Send any OCPP call with any payload. Shape is checked, plausibility is not."""

    topic: ClassVar[str] = "ocpp.call.v1"
    reply: ClassVar[type[Reply]] = CallOutcome

    station_id: str
    action: str
    payload_text: str
    """A JSON object."""
    timeout_s: float | None = None


class FrameReceived(Event):
    """A call of a station that its backend has to receive. Safe before the station is answered."""

    topic: ClassVar[str] = "ocpp.frame_received.v1"
    expires_after_s: ClassVar[float | None] = None
    durable: ClassVar[bool] = True

    frame_id: str
    """The same for every repetition of the frame, so that it is passed on once."""
    station_id: str
    epoch: int
    action: str
    payload_text: str
    """The payload as the station wrote it, byte for byte."""
    received_at: datetime
    transaction_id: int | None = None
    """Our id of the transaction that the frame starts or belongs to."""
    connector: int | None = None
    wants_answer: bool = False
    """The station waits for the backend's answer; send it as ``AnswerFrame`` to the station."""


class AnswerFrame(Command):
    """The backend's answer to a frame, for whoever holds the station."""

    topic: ClassVar[str] = "ocpp.answer_frame.v1"

    station_id: str
    frame_id: str
    payload_text: str | None = None
    error_code: str | None = None
    error_description: str | None = None


class UplinkChanged(Event):
    """The connection to a backend came or went. Repeated when facts are requested."""

    topic: ClassVar[str] = "gateway.uplink_changed.v1"
    address_space: ClassVar[str] = "uplink"
    address_field: ClassVar[str] = "uplink_id"

    uplink_id: str
    """``<url> <client id>``"""
    evse_ids: tuple[str, ...]
    online: bool
    changed_at: datetime
    detail: str = ""
    outbox: int = 0
    """How many messages the backend still has to receive."""
