"""Reservations: the last word counts, and time ends what nobody has ended."""

from datetime import UTC, datetime, timedelta
from typing import Any

from api.domain.reservations import EXPIRED, ReservationRecord, folded
from shared.contracts.station import ReservationChanged, ReservationStatus

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def reserved(**values: Any) -> ReservationChanged:
    told: dict[str, Any] = {
        "station_id": "CP1",
        "reservation_id": 7,
        "status": ReservationStatus.ACTIVE,
        "connector": 1,
        "token": "GOOD",
        "parent": "FAMILY",
        "expires_at": NOON + HOUR,
        "changed_at": NOON,
    }
    return ReservationChanged(**(told | values))


def end(status: ReservationStatus, at: datetime = NOON, **values: Any) -> ReservationChanged:
    return ReservationChanged(
        station_id="CP1", reservation_id=7, status=status, changed_at=at, **values
    )


def after(*facts: ReservationChanged) -> ReservationRecord:
    record: ReservationRecord | None = None
    for fact in facts:
        record = folded(record, fact) or record
    assert record is not None
    return record


def test_a_reservation_is_active_until_its_time_is_over() -> None:
    record = after(reserved())
    assert record.status_at(NOON + HOUR - timedelta(seconds=1)) == "active"
    assert record.status_at(NOON + HOUR) == EXPIRED


def test_a_used_reservation_keeps_what_was_reserved_and_does_not_expire() -> None:
    used = end(ReservationStatus.USED, NOON + HOUR / 2, connector=2, transaction_id=5)
    record = after(reserved(connector=0), used)
    assert (record.connector, record.token, record.parent) == (2, "GOOD", "FAMILY")
    assert (record.transaction_id, record.status_at(NOON + 2 * HOUR)) == (5, "used")


def test_a_cancelled_reservation_keeps_its_connector() -> None:
    record = after(reserved(), end(ReservationStatus.CANCELLED, NOON + HOUR / 2))
    assert (record.status_at(NOON + HOUR), record.connector) == ("cancelled", 1)


def test_old_facts_and_repetitions_change_nothing() -> None:
    record = after(reserved(), end(ReservationStatus.USED, NOON + HOUR))
    assert folded(record, reserved()) is None
    assert folded(record, end(ReservationStatus.USED, NOON + HOUR)) is None


def test_at_one_moment_the_end_comes_after_the_beginning() -> None:
    cancelled = end(ReservationStatus.CANCELLED)
    assert after(reserved(), cancelled) == after(reserved(), cancelled, reserved())


def test_the_same_id_again_replaces_what_it_stood_for() -> None:
    again = reserved(changed_at=NOON + HOUR, token="OTHER", parent=None)
    record = after(reserved(), end(ReservationStatus.CANCELLED, NOON + HOUR / 2), again)
    assert (record.status_at(NOON), record.token, record.parent) == ("active", "OTHER", None)
    assert record.reserved_at == NOON + HOUR


def test_a_transaction_that_names_an_unknown_reservation_is_kept() -> None:
    record = after(end(ReservationStatus.USED, token="CARD", transaction_id=5))
    assert (record.token, record.reserved_at) == ("CARD", None)
