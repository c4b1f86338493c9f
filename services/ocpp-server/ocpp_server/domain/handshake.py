"""What a station shows before it is let in, and what it is told."""

from dataclasses import dataclass
from urllib.parse import unquote

from shared.contracts.station import RefusalReason


@dataclass(frozen=True, kw_only=True)
class Handshake:
    """An upgrade request, as far as it matters. ``identity`` is the last path segment, decoded."""

    path: str
    identity: str
    peer: str
    tls: bool
    subprotocols: tuple[str, ...] = ()
    user: str | None = None
    password: bytes | None = None
    """From HTTP Basic; bytes, because some stations send binary keys (field notes 5.1, 4)."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a connection is refused, for the wire (status) and for the operator (detail)."""

    reason: RefusalReason
    status: int
    detail: str


@dataclass(frozen=True, kw_only=True)
class Admission:
    """The station may talk. ``known`` is False for one that the site does not list: it is held."""

    station_id: str
    """As configured; as sent, when unknown."""
    subprotocol: str | None
    known: bool


def identity_of(path: str) -> str:
    """Return the station's identity: the last segment of the path, decoded once.

    A ``+`` stays a plus, trailing slashes and a query are ignored (field notes 5.1, 3). Empty when
    the path names nobody.
    """
    segment = path.split("?", 1)[0].rstrip("/").rsplit("/", 1)[-1]
    return unquote(segment)
