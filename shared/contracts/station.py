"""Stations coming, going and being refused, whatever they speak."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal

from shared.contracts.message import Event


class StationConnected(Event):
    """A replica now holds this station. ``epoch`` grows with every connection of it."""

    topic: ClassVar[str] = "station.connected.v1"

    station_id: str
    epoch: int
    protocol: Literal["ocpp", "modbus"]
    connected_at: datetime
    peer: str = ""
    known: bool = True
    """False: not configured; held and answered ``Pending`` until the operator decides."""
    subprotocol: str | None = None
    tls: bool = False


class StationBooted(Event):
    """A station told what it is (OCPP BootNotification, Modbus identity registers)."""

    topic: ClassVar[str] = "station.booted.v1"

    station_id: str
    epoch: int
    booted_at: datetime
    vendor: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""


class StationDisconnected(Event):
    """The connection of that epoch is gone."""

    topic: ClassVar[str] = "station.disconnected.v1"

    station_id: str
    epoch: int
    disconnected_at: datetime
    reason: str = ""


class RefusalReason(StrEnum):
    """Why a connection was not admitted."""

    PASSWORD = "password"  # noqa: S105 - a reason, not a secret
    SECURITY_PROFILE = "security_profile"
    PATH = "path"
    SUBPROTOCOL = "subprotocol"
    HANDSHAKE = "handshake"
    TLS = "tls"
    RATE = "rate"


class StationRefused(Event):
    """A connection was refused; the detail says what to change in the wallbox."""

    topic: ClassVar[str] = "station.refused.v1"

    station_id: str
    """What the path said, as far as it said anything; may be empty."""
    refused_at: datetime
    peer: str
    reason: RefusalReason
    detail: str


class FactsRequested(Event):
    """Somebody started with an empty memory: every holder of stations publishes what it knows."""

    topic: ClassVar[str] = "facts.requested.v1"
    address_space: ClassVar[str] = "service"
    address_field: ClassVar[str] = "asker"

    asker: str
