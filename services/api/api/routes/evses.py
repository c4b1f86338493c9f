"""``/evses``: configuration and present of each outlet, and what an operator can do there."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, Field, create_model

from api.configuration import document_of
from api.deps import Parts, PartsDep, etag
from api.domain.evse_view import EvseLive
from api.domain.site_secrets import hidden
from api.problems import ApiProblem, not_found
from api.routes.ordering import ActionAnswer, send_order
from api.routes.stations import ask_station
from shared.contracts.charging import ClearProfiles, StartCharging, StopCharging
from shared.contracts.ocpp import CallOutcome, CallResult, CallStation
from shared.contracts.site import Evse, SiteConfig

router = APIRouter(tags=["evses"])
EvseView = create_model("EvseView", __base__=Evse, live=(EvseLive, ...))


class StartBody(BaseModel):
    """For whom charging starts."""

    token: Annotated[str, Field(min_length=1, max_length=64)]


@router.get(
    "/evses", summary="List the EVSEs with what is seen there", response_model=list[EvseView]
)
async def list_evses(response: Response, parts: PartsDep) -> list[dict[str, Any]]:
    """Configuration, and below ``live`` state, currents, offer, reason, session and station."""
    site = await parts.configuration.refresh()
    response.headers.update(etag(site.revision))
    return _views(parts, site)


@router.post("/evses/{evse_id:path}/start", summary="Start charging")
async def start(evse_id: str, parts: PartsDep, body: Annotated[StartBody, Body()]) -> ActionAnswer:
    """Start for a token, as if it had been presented."""
    evse = _evse(parts, evse_id)
    order = StartCharging(station_id=evse.station, connector=evse.connector, token=body.token)
    return await send_order(parts, order)


@router.post("/evses/{evse_id:path}/stop", summary="Stop charging")
async def stop(evse_id: str, parts: PartsDep) -> ActionAnswer:
    """Stop the running transaction or session."""
    evse = _evse(parts, evse_id)
    return await send_order(parts, StopCharging(station_id=evse.station, connector=evse.connector))


@router.post("/evses/{evse_id:path}/clear-profiles", summary="Delete all charging profiles (S11)")
async def clear_profiles(evse_id: str, parts: PartsDep) -> ActionAnswer:
    """Delete every charging profile in the station, and verify that they are gone."""
    evse = _evse(parts, evse_id)
    return await send_order(parts, ClearProfiles(station_id=evse.station, connector=evse.connector))


@router.post("/evses/{evse_id:path}/unlock", summary="Unlock the connector")
async def unlock(evse_id: str, parts: PartsDep) -> ActionAnswer:
    """OCPP UnlockConnector; a station without OCPP has no such order."""
    evse = _evse(parts, evse_id)
    station = parts.configuration.current.station(evse.station)
    if station is None or station.protocol != "ocpp":
        raise ApiProblem(
            409, f"EVSE {evse_id!r} speaks no OCPP, so it cannot be unlocked from here"
        )
    call = CallStation(
        station_id=evse.station,
        action="UnlockConnector",
        payload_text=f'{{"connectorId":{evse.connector}}}',
    )
    return _unlocked(await ask_station(parts, call))


@router.get(
    "/evses/{evse_id:path}",
    summary="Read one EVSE with what is seen there",
    response_model=EvseView,
)
async def read_evse(evse_id: str, response: Response, parts: PartsDep) -> dict[str, Any]:
    """The configuration, and below ``live`` the present."""
    site = await parts.configuration.refresh()
    response.headers.update(etag(site.revision))
    for view in _views(parts, site):
        if view["id"] == evse_id:
            return view
    raise not_found("EVSE", evse_id)


def _views(parts: Parts, site: SiteConfig) -> list[dict[str, Any]]:
    configured = hidden(document_of(site))["evses"]
    return [{**evse, "live": parts.live.evse(evse["id"])} for evse in configured]


def _evse(parts: Parts, evse_id: str) -> Evse:
    evse = parts.configuration.current.evse(evse_id)
    if evse is None:
        raise not_found("EVSE", evse_id)
    return evse


def _unlocked(outcome: CallOutcome) -> ActionAnswer:
    if outcome.outcome is not CallResult.ANSWERED:
        words = {CallResult.ERROR: "refused"}
        detail = outcome.error_description or outcome.error_code or ""
        return ActionAnswer(outcome=words.get(outcome.outcome, outcome.outcome), detail=detail)
    status = str((outcome.payload or {}).get("status", ""))
    return ActionAnswer(outcome="done" if status == "Unlocked" else "refused", detail=status)
