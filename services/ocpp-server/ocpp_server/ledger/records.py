"""Rows of the ledger as values."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ocpp_server.domain.stop_matching import OpenTransaction, Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A StartTransaction.req, as it is recorded."""

    station_id: str
    station_known: bool
    evse_id: str | None
    connector: int
    id_tag: str
    started_text: str | None
    started_at: datetime | None
    meter_start: float | None
    received_at: datetime
    frame: str

    @property
    def fingerprint(self) -> str:
        """The same for every repetition of the same start (field notes 5.3, 19)."""
        parts = [
            self.station_id,
            self.connector,
            self.id_tag,
            self.started_text,
            self.meter_start,
        ]
        return fingerprint_of(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopText:
    """A StopTransaction.req, as it is recorded."""

    station_id: str
    claimed_id: int | None
    """The transaction id that the station gives, whatever it is worth."""
    stopped_text: str | None
    stopped_at: datetime | None
    meter_stop: float | None
    id_tag: str | None
    reason: str
    received_at: datetime
    frame: str

    @property
    def stop(self) -> Stop:
        """The part that helps to find its transaction."""
        return Stop(stopped_at=self.stopped_at, meter_stop=self.meter_stop, id_tag=self.id_tag)

    @property
    def fingerprint(self) -> str:
        """The same for every repetition of the same stop."""
        parts = [
            self.station_id,
            self.claimed_id,
            self.stopped_text,
            self.meter_stop,
            self.id_tag,
        ]
        return fingerprint_of(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """An OCPP transaction. ``stop_received_at`` is None while it runs."""

    id: int
    station_id: str
    station_known: bool
    evse_id: str | None
    connector: int
    id_tag: str
    started_at: datetime | None
    start_received_at: datetime
    meter_start: float | None
    stopped_at: datetime | None
    stop_received_at: datetime | None
    meter_stop: float | None
    reason: str | None

    @property
    def session_id(self) -> str:
        """The same for every repetition of the facts of this transaction."""
        return f"ocpp-{self.station_id}-{self.id}"

    @property
    def is_open(self) -> bool:
        """It has not been stopped."""
        return self.stop_received_at is None

    @property
    def as_open(self) -> OpenTransaction:
        """The part that helps to find a stop's transaction."""
        return OpenTransaction(
            transaction_id=self.id,
            connector=self.connector,
            id_tag=self.id_tag,
            started_at=self.started_at,
            meter_start=self.meter_start,
        )


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A durable event in the outbox."""

    id: int
    station_id: str
    topic: str
    body: str


def transaction_of(row: Any) -> Transaction:
    """Return a row of ``transactions`` as a value."""
    return Transaction(
        id=row.id,
        station_id=row.station_id,
        station_known=row.station_known,
        evse_id=row.evse_id,
        connector=row.connector,
        id_tag=row.id_tag,
        started_at=moment_of(row.started_at),
        start_received_at=_certain(row.start_received_at),
        meter_start=row.meter_start,
        stopped_at=moment_of(row.stopped_at),
        stop_received_at=moment_of(row.stop_received_at),
        meter_stop=row.meter_stop,
        reason=row.reason,
    )


def row_of_start(start: Start, fingerprint: str) -> dict[str, Any]:
    """Return the columns of ``transactions`` that a start fills."""
    return {
        "fingerprint": fingerprint,
        "station_id": start.station_id,
        "station_known": start.station_known,
        "evse_id": start.evse_id,
        "connector": start.connector,
        "id_tag": storable(start.id_tag),
        "started_text": None if start.started_text is None else storable(start.started_text),
        "started_at": start.started_at,
        "start_received_at": start.received_at,
        "meter_start": start.meter_start,
        "start_frame": storable(start.frame),
    }


def row_of_stop(stop: StopText) -> dict[str, Any]:
    """Return the columns of ``transactions`` that a stop fills."""
    return {
        "stopped_text": None if stop.stopped_text is None else storable(stop.stopped_text),
        "stopped_at": stop.stopped_at,
        "stop_received_at": stop.received_at,
        "meter_stop": stop.meter_stop,
        "stop_id_tag": None if stop.id_tag is None else storable(stop.id_tag),
        "reason": storable(stop.reason),
        "stop_frame": storable(stop.frame),
    }


def fingerprint_of(parts: list[Any]) -> str:
    """Return a digest that two lists share only when they are equal."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def storable(text: str) -> str:
    """Return text that every database takes: PostgreSQL knows no NUL character."""
    return text.replace("\x00", "\ufffd")


def _certain(moment: datetime) -> datetime:
    # SQLite forgets the zone; everything was stored in UTC.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def moment_of(moment: datetime | None) -> datetime | None:
    """Return a stored moment with its zone."""
    return None if moment is None else _certain(moment)
