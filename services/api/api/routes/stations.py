"""``/stations``: who is connected, unknown, refused or offline; and raw OCPP calls to them."""

import logging
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Response
from fastapi.requests import Request
from pydantic import BaseModel

from api.deps import Parts, PartsDep
from api.domain.station_live import StationState, StationView
from api.problems import ApiProblem, not_found
from api.routes.bodies import body_schema, body_text
from shared.contracts.ocpp import CallOutcome, CallResult, CallStation
from shared.errors import Refused, ReplyTimeout, Unroutable

ANSWER_MARGIN_S = 5.0
"""The holder of the station times the call; we wait a little longer for its word."""

logger = logging.getLogger(__name__)
router = APIRouter(tags=["stations"])


class CallAnswer(BaseModel):
    """What became of a call."""

    outcome: CallResult
    payload: dict[str, Any] | None = None
    error_code: str | None = None
    error_description: str | None = None


@router.get("/stations", summary="List stations and refused connections")
async def list_stations(
    parts: PartsDep, state: Annotated[StationState | None, Query()] = None
) -> list[StationView]:
    """Without ``state``: every station that is configured or connected, then refusals."""
    stations = parts.live.stations
    views = [*stations.views(), *stations.refusals()]
    return [view for view in views if state is None or view.state is state]


@router.post(
    "/stations/{station_id:path}/calls/{action}",
    summary="Send any OCPP call with any payload",
    response_model=CallAnswer,
    openapi_extra=body_schema({"type": "object"}),
)
async def call_station(
    station_id: str,
    action: str,
    request: Request,
    parts: PartsDep,
    timeout_s: Annotated[float | None, Query(alias="timeout", gt=0, le=300)] = None,
) -> Response:
    """The body goes to the station as it is. 200 whatever became of it: see ``outcome``."""
    station = parts.live.stations.view(station_id)
    if station is None:
        raise not_found("station", station_id)
    call = CallStation(
        station_id=station.id,
        action=action,
        payload_text=_object_text(await body_text(request)),
        timeout_s=timeout_s,
    )
    return _answer(await ask_station(parts, call))


@router.get("/stations/{station_id:path}", summary="Read one station")
async def read_station(station_id: str, parts: PartsDep) -> StationView:
    """A station that is configured or connected."""
    station = parts.live.stations.view(station_id)
    if station is None:
        raise not_found("station", station_id)
    return station


async def ask_station(parts: Parts, call: CallStation) -> CallOutcome:
    """Return what became of a call; a station that nobody holds is offline."""
    logger.info("operator sends %s to station %s", call.action, call.station_id)
    patience_s = call.timeout_s or parts.configuration.current.ocpp_server.call_timeout_s
    try:
        return await parts.bus.ask(call, timeout_s=patience_s + ANSWER_MARGIN_S)
    except Unroutable:
        return CallOutcome(outcome=CallResult.OFFLINE)
    except ReplyTimeout:
        return CallOutcome(outcome=CallResult.TIMEOUT)
    except Refused as error:
        return CallOutcome(outcome=CallResult.ERROR, error_description=str(error))


def _object_text(text: str) -> str:
    """Return the payload as it was written, after a look whether it is a JSON object."""
    text = text.strip() or "{}"
    try:
        is_object = isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError as error:
        raise ApiProblem(400, f"the body is no JSON: {error}") from error
    if not is_object:
        raise ApiProblem(400, "the body must be a JSON object: the payload of the call")
    return text


def _answer(outcome: CallOutcome) -> Response:
    """Numbers and order stay as the station wrote them, where its text is known."""
    payload: Any = outcome.payload
    if outcome.payload_text is not None:
        payload = orjson.Fragment(outcome.payload_text)
    body = {
        "outcome": outcome.outcome.value,
        "payload": payload,
        "error_code": outcome.error_code,
        "error_description": outcome.error_description,
    }
    return Response(orjson.dumps(body), media_type="application/json")
