"""Sessions: the billed facts."""

from datetime import datetime
from typing import ClassVar, NamedTuple

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


class MeterRow(NamedTuple):
    """One MeterValue of a station: everything that was sampled at one moment, in SI units.

    A tuple, because many travel in one message (facts/performance.md, 3). ``None`` = not told.
    Times are seconds since 1970, UTC.
    """

    value_id: str
    """The same for every repetition of the value, so that it is counted once."""
    station_id: str
    connector: int
    evse_id: str | None
    transaction_id: int | None
    """As the station told it."""
    sampled_at: float | None
    """By the station's clock."""
    received_at: float
    context: str | None
    energy_wh: float | None
    energy_export_wh: float | None
    power_w: float | None
    l1_a: float | None
    l2_a: float | None
    l3_a: float | None
    l1_v: float | None
    l2_v: float | None
    l3_v: float | None
    soc_percent: float | None
    offered_a: float | None


class MeterValuesRecorded(Event):
    """What stations measured, as they told it. Safe before they are answered.

    Many values of many stations travel together; the address is the replica that gathered them.
    """

    topic: ClassVar[str] = "session.metered.v1"
    address_space: ClassVar[str] = "service"
    address_field: ClassVar[str] = "instance"
    expires_after_s: ClassVar[float | None] = None
    durable: ClassVar[bool] = True

    instance: str
    rows: tuple[MeterRow, ...]


class SignedValueReceived(Event):
    """A value that a calibrated meter has signed, byte for byte (S14)."""

    topic: ClassVar[str] = "session.signed_value.v1"
    expires_after_s: ClassVar[float | None] = None
    durable: ClassVar[bool] = True

    station_id: str
    connector: int
    session_id: str | None = None
    transaction_id: int | None = None
    context: str | None = None
    raw: str
    sha256: str
    """Of ``raw`` in UTF-8, in hexadecimal."""
    received_at: datetime
