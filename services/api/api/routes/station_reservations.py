"""Reservations: of an EVSE, of any outlet of a station, and their end (OCPP 1.6, 5.13 and 5.2)."""

import secrets
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field

from api.deps import Parts, PartsDep
from api.domain.reservations import ReservationRecord
from api.problems import not_found
from api.routes.ordering import known_station, ocpp_station, send_call
from api.routes.station_jobs import ocpp_moment
from api.routes.stations import CallAnswer

router = APIRouter(tags=["stations"])


class ReservationBody(BaseModel):
    """For whom, and until when."""

    token: Annotated[str, Field(min_length=1)]
    expires_at: AwareDatetime
    parent: str | None = None
    """Any token of this group may use it; when left out, the group that the site lists."""
    reservation_id: int | None = None
    """One that is in use is replaced; ``null`` = a new one."""


class ReservationAnswer(CallAnswer):
    """What became of a reservation."""

    reservation_id: int


class ReservationView(BaseModel):
    """One reservation; null = not known."""

    reservation_id: int
    status: str
    """active, used, cancelled or expired."""
    connector: int | None
    """0 = any of the station."""
    token: str | None
    parent: str | None
    expires_at: datetime | None
    transaction_id: int | None
    reserved_at: datetime | None
    changed_at: datetime


@router.get("/stations/{station_id:path}/reservations", summary="List reservations")
async def list_reservations(
    station_id: str, parts: PartsDep, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> list[ReservationView]:
    """Newest first, those that are over included."""
    station = known_station(parts, station_id)
    now = parts.clock.now()
    found = await parts.station_records.reservations(station, limit=limit)
    return [_view(record, now) for record in found]


@router.post("/stations/{station_id:path}/reservations", summary="Reserve any outlet of a station")
async def reserve_station(
    station_id: str, body: ReservationBody, parts: PartsDep
) -> ReservationAnswer:
    """ReserveNow with connector 0; possible where ReserveConnectorZeroSupported is true."""
    return await _reserve(parts, ocpp_station(parts, station_id), connector=0, body=body)


@router.post("/evses/{evse_id:path}/reservations", summary="Reserve an EVSE", tags=["evses"])
async def reserve_evse(evse_id: str, body: ReservationBody, parts: PartsDep) -> ReservationAnswer:
    """ReserveNow with the connector of the EVSE."""
    evse = parts.configuration.current.evse(evse_id)
    if evse is None:
        raise not_found("EVSE", evse_id)
    station = ocpp_station(parts, evse.station)
    return await _reserve(parts, station, connector=evse.connector, body=body)


@router.delete(
    "/stations/{station_id:path}/reservations/{reservation_id}", summary="Cancel a reservation"
)
async def cancel_reservation(
    station_id: str, reservation_id: int, parts: PartsDep
) -> ReservationAnswer:
    """CancelReservation. An unknown id is sent too: the station may know it."""
    station = ocpp_station(parts, station_id)
    payload = {"reservationId": reservation_id}
    answer = await send_call(parts, station, action="CancelReservation", payload=payload)
    return ReservationAnswer(**answer.model_dump(), reservation_id=reservation_id)


async def _reserve(
    parts: Parts, station_id: str, *, connector: int, body: ReservationBody
) -> ReservationAnswer:
    reservation_id = body.reservation_id
    if reservation_id is None:
        reservation_id = secrets.randbelow(2**31 - 1) + 1
    payload = {
        "connectorId": connector,
        "expiryDate": ocpp_moment(body.expires_at),
        "idTag": body.token,
        "parentIdTag": _parent(parts, body),
        "reservationId": reservation_id,
    }
    answer = await send_call(parts, station_id, action="ReserveNow", payload=payload)
    return ReservationAnswer(**answer.model_dump(), reservation_id=reservation_id)


def _parent(parts: Parts, body: ReservationBody) -> str | None:
    if "parent" in body.model_fields_set:
        return body.parent
    token = parts.configuration.current.token(body.token)
    return None if token is None else token.parent


def _view(record: ReservationRecord, now: datetime) -> ReservationView:
    return ReservationView(
        reservation_id=record.reservation_id,
        status=record.status_at(now),
        connector=record.connector,
        token=record.token,
        parent=record.parent,
        expires_at=record.expires_at,
        transaction_id=record.transaction_id,
        reserved_at=record.reserved_at,
        changed_at=record.changed_at,
    )
