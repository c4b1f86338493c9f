"""Stations coming, going and being refused, whatever they speak."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field

from shared.contracts.message import ActionOutcome, Contract, Event, Reply, Request


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
    security_profile: int = 0
    """The OCPP security profile that this connection fulfils."""
    used_next_password: bool = False
    """It came with ``next_password_hash`` of its configuration."""
    certificate_name: str | None = None
    """Common name of its client certificate."""
    certificate_fingerprint: str | None = None
    """SHA-256 of its client certificate."""


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
    CERTIFICATE = "certificate"
    """Its client certificate is missing, or is that of another station."""
    RATE = "rate"
    """Too many connections or wrong passwords of its address."""


class StationRefused(Event):
    """A connection was refused; the detail says what to change in the wallbox."""

    topic: ClassVar[str] = "station.refused.v1"

    station_id: str
    """What the path said, as far as it said anything; may be empty."""
    refused_at: datetime
    peer: str
    reason: RefusalReason
    detail: str
    """What to change in the wallbox, in a sentence."""
    path: str = ""
    subprotocols: tuple[str, ...] = ()
    """What it offered."""
    user: str | None = None
    """Of its HTTP Basic header."""
    tls: bool = False
    tls_alert: str = ""
    """What TLS itself said, when it could not be made."""


class ConfigurationEntry(Contract):
    """One key of a station. ``value`` is None for keys that can only be written."""

    key: str
    value: str | None = None
    readonly: bool = False


class StationConfigurationRead(Event):
    """What a station is set to (GetConfiguration), read when it has booted and when asked."""

    topic: ClassVar[str] = "station.configuration_read.v1"

    station_id: str
    epoch: int
    read_at: datetime
    entries: tuple[ConfigurationEntry, ...]
    unknown: tuple[str, ...] = ()
    """Keys that were asked for and that it does not know."""
    complete: bool = True
    """False: it answers for some keys only, or not at all."""
    wanted: dict[str, str] = Field(default_factory=dict)
    """What it is to be set to: by its model, by its configuration, by the server."""
    model: str = ""
    """The file of habits that is used for it; empty = none fits."""


class ReadConfiguration(Request[ActionOutcome]):
    """Read a station's configuration again; the result comes as ``StationConfigurationRead``."""

    topic: ClassVar[str] = "station.read_configuration.v1"
    reply: ClassVar[type[Reply]] = ActionOutcome

    station_id: str


class LocalListChanged(Event):
    """What is known of a station's local authorization list."""

    topic: ClassVar[str] = "station.local_list_changed.v1"

    station_id: str
    version: int | None
    """As the station tells it; -1 = it has no lists; ``None`` = it did not answer."""
    wanted: int | None = None
    """The version of the site's tokens; ``None`` = not to be kept there."""
    detail: str = ""
    changed_at: datetime


class SendLocalList(Request[ActionOutcome]):
    """Bring a station's local list to the site's tokens now, whatever it has."""

    topic: ClassVar[str] = "station.send_local_list.v1"
    reply: ClassVar[type[Reply]] = ActionOutcome

    station_id: str


class JobKind(StrEnum):
    """Work that a station does by itself and reports on."""

    FIRMWARE = "firmware"
    SIGNED_FIRMWARE = "signed_firmware"
    DIAGNOSTICS = "diagnostics"
    LOG = "log"
    CERTIFICATE = "certificate"
    """A new client certificate: asked for, signed, handed over."""


class StationJobChanged(Event):
    """A job was ordered, or the station told how far it is."""

    topic: ClassVar[str] = "station.job_changed.v1"
    durable: ClassVar[bool] = True
    expires_after_s: ClassVar[float | None] = None

    station_id: str
    kind: JobKind
    request_id: int | None = None
    """As ordered (GetLog, SignedUpdateFirmware); older messages have none."""
    ordered: bool = False
    """The station has taken an order: a new job begins."""
    status: str
    """The station's own word, e.g. ``Downloading``."""
    finished: bool = False
    location: str = ""
    file_name: str = ""
    detail: str = ""
    changed_at: datetime


class ReservationStatus(StrEnum):
    """What became of a reservation."""

    ACTIVE = "active"
    USED = "used"
    CANCELLED = "cancelled"


class ReservationChanged(Event):
    """A connector was reserved, or is so no longer. One that has expired is told by nobody."""

    topic: ClassVar[str] = "station.reservation_changed.v1"
    durable: ClassVar[bool] = True
    expires_after_s: ClassVar[float | None] = None

    station_id: str
    reservation_id: int
    status: ReservationStatus
    connector: int | None = None
    """0 = any of the station."""
    token: str | None = None
    parent: str | None = None
    expires_at: datetime | None = None
    transaction_id: int | None = None
    """What used it."""
    changed_at: datetime


class SecurityEventReported(Event):
    """A station told of something that concerns its security."""

    topic: ClassVar[str] = "station.security_event.v1"
    durable: ClassVar[bool] = True
    expires_after_s: ClassVar[float | None] = None

    event_id: str
    """The same for every repetition."""
    station_id: str
    type: str
    """OCPP's word, or any other."""
    critical: bool
    tech_info: str = ""
    told_at: str = ""
    """The station's own timestamp, as it wrote it."""
    received_at: datetime


class FactsRequested(Event):
    """Somebody started with an empty memory: every holder of stations publishes what it knows."""

    topic: ClassVar[str] = "facts.requested.v1"
    address_space: ClassVar[str] = "service"
    address_field: ClassVar[str] = "asker"

    asker: str
