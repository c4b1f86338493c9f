"""How stations are set: their OCPP keys, what they are to be, and their local list."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel

from api.deps import Parts, PartsDep
from api.domain.station_configuration import (
    Drift,
    drift,
    ocpp_text,
    shown_entries,
    shown_wanted,
)
from api.problems import ApiProblem
from api.routes.ordering import (
    ActionAnswer,
    known_station,
    ocpp_station,
    send_call,
    send_order,
)
from api.routes.stations import CallAnswer
from shared.contracts.ocpp import CallResult
from shared.contracts.station import ConfigurationEntry, ReadConfiguration, SendLocalList

router = APIRouter(tags=["stations"])
MOST_KEYS = 100
READING_S = 60.0
"""Some stations tell four keys at a time (field notes 5.4, 27)."""
SENDING_S = 60.0
"""A long list goes out in parts."""
UNREACHED = frozenset({CallResult.OFFLINE, CallResult.TIMEOUT})


class ConfigurationView(BaseModel):
    """What a station is set to. ``read_at`` null = it was not read yet."""

    station_id: str
    read_at: datetime | None = None
    complete: bool = False
    """False: it answers for some keys only, or not at all."""
    model: str = ""
    """The file of habits that is used for it; empty = none fits."""
    entries: list[ConfigurationEntry] = []
    unknown: list[str] = []
    """Keys that were asked for and that it does not know."""
    wanted: dict[str, str] = {}
    """What it is to be set to: by its model, by its configuration, by the server."""
    drift: list[Drift] = []
    """Where it is not as wanted."""


class LocalListView(BaseModel):
    """What is known of a station's local list. ``changed_at`` null = nothing yet."""

    station_id: str
    version: int | None = None
    """As the station tells it; -1 = it has no lists; null = it did not tell."""
    wanted: int | None = None
    """The version of the site's tokens; null = not to be kept there."""
    detail: str = ""
    changed_at: datetime | None = None


@router.get("/stations/{station_id:path}/configuration", summary="Show what a station is set to")
async def read_configuration(station_id: str, parts: PartsDep) -> ConfigurationView:
    """As it was read last: after its boot, or when it was asked for."""
    station = known_station(parts, station_id)
    read = parts.live.configurations.configuration(station)
    if read is None:
        return ConfigurationView(station_id=station)
    return ConfigurationView(
        station_id=station,
        read_at=read.read_at,
        complete=read.complete,
        model=read.model,
        entries=shown_entries(read.entries),
        unknown=sorted(read.unknown),
        wanted=shown_wanted(read.wanted),
        drift=drift(read),
    )


@router.post("/stations/{station_id:path}/configuration/read", summary="Read the keys again")
async def read_again(station_id: str, parts: PartsDep) -> ActionAnswer:
    """GetConfiguration; the result is at ``configuration`` then."""
    station = ocpp_station(parts, station_id)
    return await send_order(parts, ReadConfiguration(station_id=station), patience_s=READING_S)


@router.put("/stations/{station_id:path}/configuration", summary="Set keys of a station")
async def change_configuration(
    station_id: str,
    body: Annotated[dict[str, str | bool | int | float], Body()],
    parts: PartsDep,
) -> dict[str, CallAnswer]:
    """ChangeConfiguration for each key, in this order; each has its own result.

    It holds until the station is reset or set otherwise: what it is always to have belongs into
    ``configuration`` of the station. After one call that does not reach it, no more are sent.
    """
    if not 0 < len(body) <= MOST_KEYS:
        raise ApiProblem(422, f"give 1 to {MOST_KEYS} keys with their values")
    station = ocpp_station(parts, station_id)
    results: dict[str, CallAnswer] = {}
    last: CallAnswer | None = None
    for key, value in body.items():
        if last is not None and last.outcome in UNREACHED:
            results[key] = CallAnswer(outcome=last.outcome, error_description="not sent")
            continue
        last = results[key] = await _change(parts, station, key=key, value=ocpp_text(value))
    return results


@router.get("/stations/{station_id:path}/local-list", summary="Show the state of its local list")
async def read_local_list(station_id: str, parts: PartsDep) -> LocalListView:
    """Which version it has, and which it is to have."""
    station = known_station(parts, station_id)
    known = parts.live.configurations.local_list(station)
    if known is None:
        return LocalListView(station_id=station)
    return LocalListView(
        station_id=station,
        version=known.version,
        wanted=known.wanted,
        detail=known.detail,
        changed_at=known.changed_at,
    )


@router.post("/stations/{station_id:path}/local-list", summary="Send the local list now")
async def send_local_list(station_id: str, parts: PartsDep) -> ActionAnswer:
    """Bring its list to the tokens of the site, whatever it has."""
    station = ocpp_station(parts, station_id)
    return await send_order(parts, SendLocalList(station_id=station), patience_s=SENDING_S)


async def _change(parts: Parts, station_id: str, *, key: str, value: str) -> CallAnswer:
    payload = {"key": key, "value": value}
    return await send_call(parts, station_id, action="ChangeConfiguration", payload=payload)
