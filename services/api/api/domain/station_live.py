"""What is known of a station's connection, folded from events. Old epochs are ignored."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

from api.domain.refusals import RefusalRecord
from shared.contracts.station import StationBooted, StationConnected, StationDisconnected


class StationState(StrEnum):
    """How a station is connected."""

    CONNECTED = "connected"
    UNKNOWN = "unknown"
    """Connected, and not configured."""
    REFUSED = "refused"
    """Its last attempt to connect was turned away."""
    OFFLINE = "offline"
    """Configured, and not connected."""


@dataclass(frozen=True, kw_only=True)
class StationLive:
    """The last word about a station."""

    station_id: str
    epoch: int = -1
    online: bool = False
    known: bool = True
    protocol: Literal["ocpp", "modbus"] | None = None
    peer: str = ""
    subprotocol: str | None = None
    tls: bool = False
    security_profile: int = 0
    """OCPP security profile that the connection fulfils."""
    certificate_name: str | None = None
    certificate_fingerprint: str | None = None
    """Of its client certificate."""
    connected_at: datetime | None = None
    disconnected_at: datetime | None = None
    reason: str = ""
    """Why the connection ended."""
    vendor: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""


@dataclass(frozen=True, kw_only=True)
class StationView:
    """A station as operators see it: its connection, or the reason why it has none."""

    id: str
    state: StationState
    configured: bool
    live: StationLive | None = None
    oddities: list[str] = field(default_factory=list)
    """What should be looked at although it is served, in sentences."""
    refused_at: datetime | None = None
    """When it was refused last."""
    first_refused_at: datetime | None = None
    refusals: int = 0
    """How often it was refused for this reason from this address since then."""
    refusal: str = ""
    """What to change in the wallbox, when it was refused."""
    refusal_reason: str = ""
    peer: str = ""
    path: str = ""
    """What it asked for, when it was refused."""
    subprotocols: list[str] = field(default_factory=list)
    """What it offered then."""
    user: str | None = None
    """Of its HTTP Basic header then."""
    tls: bool = False
    tls_alert: str = ""
    """What TLS itself said, when it could not be made."""


def connected(known: StationLive | None, fact: StationConnected) -> StationLive:
    """Return the station after it connected; what it said of itself before is kept."""
    before = known or StationLive(station_id=fact.station_id)
    if fact.epoch < before.epoch:
        return before
    return replace(
        before,
        station_id=fact.station_id,
        epoch=fact.epoch,
        online=True,
        known=fact.known,
        protocol=fact.protocol,
        peer=fact.peer,
        subprotocol=fact.subprotocol,
        tls=fact.tls,
        security_profile=fact.security_profile,
        certificate_name=fact.certificate_name,
        certificate_fingerprint=fact.certificate_fingerprint,
        connected_at=fact.connected_at,
        reason="",
    )


def booted(known: StationLive | None, fact: StationBooted) -> StationLive:
    """Return the station after it told what it is."""
    before = known or StationLive(station_id=fact.station_id)
    if fact.epoch < before.epoch:
        return before
    return replace(
        before,
        vendor=fact.vendor,
        model=fact.model,
        serial=fact.serial,
        firmware=fact.firmware,
    )


def disconnected(known: StationLive | None, fact: StationDisconnected) -> StationLive:
    """Return the station after that connection ended; a newer connection stays."""
    before = known or StationLive(station_id=fact.station_id)
    if fact.epoch < before.epoch:
        return before
    return replace(
        before,
        epoch=fact.epoch,
        online=False,
        disconnected_at=fact.disconnected_at,
        reason=fact.reason,
    )


def refused_view(record: RefusalRecord, *, configured: bool) -> StationView:
    """Return a refusal as operators see it."""
    return StationView(
        id=record.station_id,
        state=StationState.REFUSED,
        configured=configured,
        refused_at=record.last_at,
        first_refused_at=record.first_at,
        refusals=record.count,
        refusal=record.detail,
        refusal_reason=record.reason,
        peer=record.peer,
        path=record.path,
        subprotocols=list(record.subprotocols),
        user=record.user,
        tls=record.tls,
        tls_alert=record.tls_alert,
    )
