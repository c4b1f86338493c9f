"""What a state machine wants done. Its driver does it, in order, and tells it what came of it."""

from dataclasses import dataclass
from datetime import datetime

from gateway.domain.payloads import Payload


@dataclass(frozen=True, kw_only=True)
class OpenTransaction:
    """A transaction of a virtual charge point, as it is kept."""

    key: str
    """Made of the EVSE and the moment of start, so a repetition is the same transaction."""
    connector: int
    token: str
    meter_start_wh: int
    started_at: datetime
    backend_id: int | None = None


@dataclass(frozen=True)
class AskAuthorization:
    """Ask whether a token may charge; the answer goes to ``Connector.authorised``."""

    connector: int
    token: str


@dataclass(frozen=True)
class Begin:
    """Record that a transaction began."""

    transaction: OpenTransaction
    payload: Payload


@dataclass(frozen=True)
class Sample:
    """Record meter values of a transaction."""

    transaction: OpenTransaction
    payload: Payload


@dataclass(frozen=True)
class End:
    """Record that a transaction ended."""

    transaction: OpenTransaction
    payload: Payload
    still_plugged: bool


@dataclass(frozen=True)
class Vacated:
    """Nobody uses the outlet any more: what was meant for one vehicle is void."""

    connector: int


@dataclass(frozen=True)
class Status:
    """The status of a connector; only the last one matters."""

    connector: int
    payload: Payload


@dataclass(frozen=True)
class Tell:
    """Send a message now, or never: triggered Heartbeat, Boot and meter values."""

    action: str
    payload: Payload


@dataclass(frozen=True)
class Keep:
    """Remember a setting over restarts."""

    name: str
    value: str


@dataclass(frozen=True)
class Reconnect:
    """Close the connection and boot again."""


Effect = AskAuthorization | Begin | Sample | End | Vacated | Status | Tell | Keep | Reconnect
