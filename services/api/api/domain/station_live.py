"""What is known of a station's connection, folded from events. Old epochs are ignored."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

from shared.contracts.station import (
    StationBooted,
    StationConnected,
    StationDisconnected,
    StationRefused,
)


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
    refused_at: datetime | None = None
    refusal: str = ""
    """What to change in the wallbox, when it was refused."""
    refusal_reason: str = ""
    peer: str = ""


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


def refused_view(fact: StationRefused, *, configured: bool) -> StationView:
    """Return a refusal as operators see it."""
    return StationView(
        id=fact.station_id,
        state=StationState.REFUSED,
        configured=configured,
        refused_at=fact.refused_at,
        refusal=fact.detail,
        refusal_reason=fact.reason.value,
        peer=fact.peer,
    )
