"""What a station shows before it is let in, and what it is told."""

from dataclasses import dataclass, field
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
    limited_as: str | None = None
    """What its address is counted as (``domain.rates``); ``None`` = it is not limited."""
    certificate_name: str | None = None
    """Common name of its client certificate, which TLS has verified (S21)."""
    certificate_serial_name: str | None = None
    """The attribute serialNumber of its subject, where some makers put the serial number."""
    certificate_organisation: str | None = None
    certificate_fingerprint: str | None = None
    """SHA-256, hexadecimal; ``None`` = it showed no client certificate."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a connection is refused, for the wire (status) and for the operator (detail)."""

    reason: RefusalReason
    status: int
    detail: str
    tls_alert: str = ""
    """OpenSSL's reason, when TLS could not be made."""
    retry_after_s: int | None = None
    """When it may try again, where that is known."""


@dataclass(frozen=True, kw_only=True)
class Admission:
    """The station may talk. ``known`` is False for one that the site does not list: it is held."""

    station_id: str
    """As configured; as sent, when unknown."""
    subprotocol: str | None
    known: bool
    used_next_password: bool = False
    """It came with the password that it was given last, and that is not confirmed yet."""
    password_hash: str | None = field(default=None, compare=False, repr=False)
    """The hash that its password fitted; ``None`` = none was demanded."""
    security_profile: int = 0
    """The OCPP security profile that the connection fulfils."""


def identity_of(path: str) -> str:
    """Return the station's identity: the last segment of the path, decoded once.

    A ``+`` stays a plus, trailing slashes and a query are ignored (field notes 5.1, 3). Empty when
    the path names nobody.
    """
    segment = path.split("?", 1)[0].rstrip("/").rsplit("/", 1)[-1]
    return unquote(segment)
