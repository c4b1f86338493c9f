"""OCPP beyond its station: raw calls by an operator or backend, and frames for the gateway."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

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


class LogRow(NamedTuple):
    """One frame between a station and the server, as it went over the wire.

    A tuple, because many travel in one message (facts/performance.md, 3).
    """

    station_id: str
    at: float
    """Seconds since 1970, UTC."""
    inbound: bool
    """From the station to the server."""
    kind: int
    """2 call, 3 result, 4 error; 0 what could not be read."""
    message_id: str
    action: str
    """Of the call; an answer has that of its call."""
    text: str
    """The frame. Id tags are pseudonyms unless the operator asked for them; signed values are not
    touched. What is longer than 64 KiB is cut."""
    latency_ms: float | None
    """Of an answer: since its call."""
    repairs: str
    """What was wrong with a payload that was served all the same, separated by blanks."""


class MessagesLogged(Event):
    """Frames of stations, in the order they went. Many travel together; old ones may be lost."""

    topic: ClassVar[str] = "ocpp.messages_logged.v1"
    address_space: ClassVar[str] = "service"
    address_field: ClassVar[str] = "instance"
    expires_after_s: ClassVar[float | None] = None

    instance: str
    rows: tuple[LogRow, ...]
