"""Area Reservation."""

from datetime import datetime, timedelta
from typing import Any

from shared.clock import SYSTEM_CLOCK
from tests.conformance.bench import (
    Bench,
    authorize,
    charge,
    plug_in_and_charge,
    status,
    stop_and_leave,
    timestamp,
)
from tests.conformance.charge_point import ChargePoint
from tests.conformance.site import PARENT, SIBLING, VALID

RESERVATION = 4711


async def _reserve(
    bench: Bench,
    station: ChargePoint,
    *,
    connector: int = 1,
    until: datetime | None = None,
    word: str = "Accepted",
) -> None:
    """Reserve for the valid tag and its group; the station answers with a word."""
    until = until or SYSTEM_CLOCK.now() + timedelta(minutes=5)
    where = f"evses/{bench.evse}" if connector else bench.operator.here
    wish = {"token": VALID, "expires_at": until.isoformat(), "reservation_id": RESERVATION}
    station.answer("ReserveNow", {"status": word})
    outcome = await bench.operator.post(f"{where}/reservations", wish)
    assert (outcome["outcome"], outcome["payload"]) == ("answered", {"status": word})
    assert station.received("ReserveNow") == [
        {
            "connectorId": connector,
            "expiryDate": timestamp(until),
            "idTag": VALID,
            "parentIdTag": PARENT,
            "reservationId": RESERVATION,
        }
    ]


async def _cancel(bench: Bench, reservation: int) -> Any:
    path = f"{bench.operator.here}/reservations/{reservation}"
    return (await bench.operator.delete(path))["payload"]


async def _shown(bench: Bench, word: str, **fields: Any) -> None:
    await bench.operator.until_listed(
        "reservations", reservation_id=RESERVATION, status=word, **fields
    )


async def test_tc_046_reservation_of_a_connector_transaction(bench: Bench) -> None:
    """Reservation of a Connector - Transaction"""
    async with bench.booted() as station:
        await _reserve(bench, station)
        await status(station, "Reserved")
        await _shown(bench, "active", connector=1, token=VALID)
        assert (await authorize(station))["status"] == "Accepted"
        await status(station, "Preparing")
        transaction = await charge(station, reservationId=RESERVATION)
        await _shown(bench, "used", transaction_id=transaction)
        await stop_and_leave(station, transaction, "Local")


async def test_tc_047_reservation_of_a_connector_expire(bench: Bench) -> None:
    """Reservation of a Connector - Expire"""
    async with bench.booted() as station:
        until = SYSTEM_CLOCK.now().replace(microsecond=0) + timedelta(seconds=2)
        await _reserve(bench, station, until=until)
        await status(station, "Reserved")
        await _shown(bench, "expired")
        assert SYSTEM_CLOCK.now() >= until
        await status(station, "Available")


async def test_tc_048_1_reservation_faulted(bench: Bench) -> None:
    """Reservation of a Connector - Faulted"""
    async with bench.booted() as station:
        await status(station, "Faulted", error="GroundFailure")
        await _reserve(bench, station, word="Faulted")


async def test_tc_048_2_reservation_occupied(bench: Bench) -> None:
    """Reservation of a Connector - Occupied"""
    async with bench.booted() as station:
        transaction = await plug_in_and_charge(station)
        await _reserve(bench, station, word="Occupied")
        await stop_and_leave(station, transaction, "Local")


async def test_tc_048_3_reservation_unavailable(bench: Bench) -> None:
    """Reservation of a Connector - Unavailable"""
    order = {"connectorId": 1, "type": "Inoperative"}
    async with bench.booted() as station:
        answer = await bench.operator.call("ChangeAvailability", order)
        assert answer == {"status": "Accepted"}
        assert station.received("ChangeAvailability") == [order]
        await status(station, "Unavailable")
        await _reserve(bench, station, word="Unavailable")


async def test_tc_048_4_reservation_rejected(bench: Bench) -> None:
    """Reservation of a Connector - Rejected"""
    async with bench.booted() as station:
        await _reserve(bench, station, word="Rejected")
        assert await bench.operator.get(f"{bench.operator.here}/reservations") == []


async def test_tc_049_reservation_of_a_charge_point_transaction(bench: Bench) -> None:
    """Reservation of a Charge Point - Transaction"""
    async with bench.booted() as station:
        await _reserve(bench, station, connector=0)
        await _shown(bench, "active", connector=0)
        await status(station, "Preparing")
        assert (await authorize(station))["status"] == "Accepted"
        transaction = await charge(station, reservationId=RESERVATION)
        await _shown(bench, "used", transaction_id=transaction)
        await stop_and_leave(station, transaction, "Local")


async def test_tc_051_cancel_reservation(bench: Bench) -> None:
    """Cancel Reservation"""
    async with bench.booted() as station:
        await _reserve(bench, station)
        await status(station, "Reserved")
        await _shown(bench, "active")
        assert await _cancel(bench, RESERVATION) == {"status": "Accepted"}
        assert station.received("CancelReservation") == [{"reservationId": RESERVATION}]
        await status(station, "Available")
        await _shown(bench, "cancelled")


async def test_tc_052_cancel_reservation_rejected(bench: Bench) -> None:
    """Cancel Reservation - Rejected"""
    unknown = RESERVATION + 1
    async with bench.booted() as station:
        await _reserve(bench, station)
        await status(station, "Reserved")
        station.answer("CancelReservation", {"status": "Rejected"}, reservationId=unknown)
        assert await _cancel(bench, unknown) == {"status": "Rejected"}
        assert station.received("CancelReservation") == [{"reservationId": unknown}]
        await _shown(bench, "active")


async def test_tc_053_use_a_reserved_connector_with_parent_id_tag(bench: Bench) -> None:
    """Use a reserved Connector with parentIdTag"""
    async with bench.booted() as station:
        await _reserve(bench, station)
        await status(station, "Reserved")
        info = await authorize(station, SIBLING)
        reserved_for = station.received("ReserveNow")[0]["parentIdTag"]
        assert info == {"status": "Accepted", "parentIdTag": reserved_for}
        await status(station, "Preparing")
        transaction = await charge(station, SIBLING, reservationId=RESERVATION)
        await _shown(bench, "used", transaction_id=transaction)
        await stop_and_leave(station, transaction, "Local")
