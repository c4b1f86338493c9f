"""What follows from a call that somebody sent to a station and that it has taken: one table.

Whoever sent it - operator, backend or conformance test - and however it is worded: the payload is
looked at as far as it can be read, and never judged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from ocpp_server.answers import StationReply
from ocpp_server.domain.jobs import order_taken, whole_number
from ocpp_server.domain.timestamps import parse_timestamp
from ocpp_server.station import Station
from shared.contracts.message import Event
from shared.contracts.ocpp import CallResult
from shared.contracts.station import (
    ReservationChanged,
    ReservationStatus,
    StationJobChanged,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenCall:
    """A call and what the station answered."""

    station_id: str
    action: str
    payload: Mapping[str, Any]
    answer: Mapping[str, Any]
    at: datetime

    @property
    def status(self) -> object:
        """The ``status`` of the answer."""
        return self.answer.get("status")

    def number(self, key: str) -> int | None:
        """Return a whole number of the payload, if it is one."""
        return whole_number(self.payload, key)

    def text(self, key: str) -> str | None:
        """Return a text of the payload, if it is one."""
        told = self.payload.get(key)
        return told if isinstance(told, str) else None


def events_of_call(
    station: Station, action: str, payload_text: str, reply: StationReply
) -> Sequence[Event]:
    """Return the durable facts that follow from a call; none where the station did not answer."""
    observe = _OBSERVED.get(action)
    if observe is None or not station.known or reply.outcome is not CallResult.ANSWERED:
        return ()
    call = TakenCall(
        station_id=station.id,
        action=action,
        payload=orjson.loads(payload_text),
        answer=reply.payload or {},
        at=station.facilities.clock.now(),
    )
    return observe(call)


def _job(call: TakenCall) -> Sequence[Event]:
    order = order_taken(call.action, call.payload, call.answer)
    if order is None:
        return ()
    return (
        StationJobChanged(
            station_id=call.station_id,
            kind=order.kind,
            request_id=order.request_id,
            ordered=True,
            status=order.status,
            finished=order.finished,
            location=order.location,
            file_name=order.file_name,
            detail=order.detail,
            changed_at=call.at,
        ),
    )


def _reserved(call: TakenCall) -> Sequence[Event]:
    """OCPP 1.6, 5.13: the same id again replaces the reservation."""
    reservation_id = call.number("reservationId")
    if call.status != "Accepted" or reservation_id is None:
        return ()
    return (
        ReservationChanged(
            station_id=call.station_id,
            reservation_id=reservation_id,
            status=ReservationStatus.ACTIVE,
            connector=call.number("connectorId"),
            token=call.text("idTag"),
            parent=call.text("parentIdTag"),
            expires_at=parse_timestamp(call.text("expiryDate")),
            changed_at=call.at,
        ),
    )


def _cancelled(call: TakenCall) -> Sequence[Event]:
    reservation_id = call.number("reservationId")
    if call.status != "Accepted" or reservation_id is None:
        return ()
    return (
        ReservationChanged(
            station_id=call.station_id,
            reservation_id=reservation_id,
            status=ReservationStatus.CANCELLED,
            changed_at=call.at,
        ),
    )


_OBSERVED: dict[str, Callable[[TakenCall], Sequence[Event]]] = {
    "CancelReservation": _cancelled,
    "GetDiagnostics": _job,
    "GetLog": _job,
    "ReserveNow": _reserved,
    "SignedUpdateFirmware": _job,
    "UpdateFirmware": _job,
}
