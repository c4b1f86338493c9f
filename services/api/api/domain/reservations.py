"""Folding reservations: the last word counts, and time ends what nobody has ended."""

from dataclasses import dataclass
from datetime import datetime

from shared.contracts.station import ReservationChanged, ReservationStatus

EXPIRED = "expired"
"""Shown of an active reservation whose time is over; nobody tells so (OCPP 1.6, 3.13)."""


@dataclass(frozen=True, kw_only=True)
class ReservationRecord:
    """One reservation as it is stored. ``None`` = not known."""

    station_id: str
    reservation_id: int
    status: ReservationStatus
    connector: int | None
    """0 = any of the station."""
    token: str | None
    parent: str | None
    expires_at: datetime | None
    transaction_id: int | None
    reserved_at: datetime | None
    changed_at: datetime

    def status_at(self, now: datetime) -> str:
        """Return its status, ``expired`` included."""
        is_over = self.expires_at is not None and self.expires_at <= now
        if self.status is ReservationStatus.ACTIVE and is_over:
            return EXPIRED
        return self.status.value


def folded(known: ReservationRecord | None, fact: ReservationChanged) -> ReservationRecord | None:
    """Return the reservation after a fact; ``None`` where the fact is old or a repetition.

    An id that is reserved again replaces what it stood for (OCPP 1.6, 5.13). Where two facts have
    one time, the end of a reservation is the later one.
    """
    if known is not None and not _is_later(known, fact):
        return None
    if fact.status is ReservationStatus.ACTIVE:
        return _record(fact, None)
    return _record(fact, known)


def _is_later(known: ReservationRecord, fact: ReservationChanged) -> bool:
    if fact.changed_at != known.changed_at:
        return fact.changed_at > known.changed_at
    return known.status is ReservationStatus.ACTIVE and fact.status is not known.status


def _record(fact: ReservationChanged, known: ReservationRecord | None) -> ReservationRecord:
    """What an end does not tell stays as it was; where the car really is counts more."""
    is_new = fact.status is ReservationStatus.ACTIVE
    return ReservationRecord(
        station_id=fact.station_id,
        reservation_id=fact.reservation_id,
        status=fact.status,
        connector=fact.connector if known is None or fact.connector else known.connector,
        token=fact.token if known is None else known.token or fact.token,
        parent=fact.parent if known is None else known.parent,
        expires_at=fact.expires_at if known is None else known.expires_at,
        transaction_id=fact.transaction_id,
        reserved_at=fact.changed_at if is_new else known.reserved_at if known else None,
        changed_at=fact.changed_at,
    )
