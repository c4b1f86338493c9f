"""Orders and calls to stations, as routes send them: what became of it is the answer."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from api.deps import Parts
from api.problems import ApiProblem, not_found
from api.routes.stations import ANSWER_MARGIN_S, CallAnswer, ask_station
from shared.contracts.message import ActionOutcome, Request
from shared.contracts.ocpp import CallStation
from shared.errors import Refused, ReplyTimeout, Unroutable

logger = logging.getLogger(__name__)
Operation = Request[ActionOutcome]


class ActionAnswer(BaseModel):
    """What became of an order: done, refused, offline or timeout."""

    outcome: str
    detail: str = ""


async def send_order(parts: Parts, order: Operation, *, patience_s: float = 0.0) -> ActionAnswer:
    """Return what became of an order; it may take ``patience_s`` longer than one call."""
    logger.info("operator sends %s to %s", type(order).__name__, order.address)
    call_s = parts.configuration.current.ocpp_server.call_timeout_s
    try:
        outcome = await parts.bus.ask(order, timeout_s=call_s + ANSWER_MARGIN_S + patience_s)
    except Unroutable:
        return ActionAnswer(outcome="offline", detail="the station is not connected")
    except ReplyTimeout:
        return ActionAnswer(outcome="timeout", detail="the station did not answer in time")
    except Refused as error:
        return ActionAnswer(outcome="refused", detail=str(error))
    return ActionAnswer(outcome="done" if outcome.done else "refused", detail=outcome.detail)


async def send_call(
    parts: Parts, station_id: str, *, action: str, payload: Mapping[str, Any]
) -> CallAnswer:
    """Send an OCPP call whose payload we made; what is None in it is left out.

    Values are not judged: a station, or a test of it, has to refuse what makes no sense.
    """
    told = {key: value for key, value in payload.items() if value is not None}
    outcome = await ask_station(
        parts,
        CallStation(station_id=station_id, action=action, payload_text=json.dumps(told)),
    )
    return CallAnswer(
        outcome=outcome.outcome,
        payload=outcome.payload,
        error_code=outcome.error_code,
        error_description=outcome.error_description,
    )


def known_station(parts: Parts, station_id: str) -> str:
    """Return how a configured or connected station is written, or raise a 404 problem."""
    station = parts.live.stations.view(station_id)
    if station is None:
        raise not_found("station", station_id)
    return station.id


def ocpp_station(parts: Parts, station_id: str) -> str:
    """The same for a station that must speak OCPP; a 409 problem says that it does not."""
    known = known_station(parts, station_id)
    configured = parts.configuration.current.station(known)
    if configured is not None and configured.protocol != "ocpp":
        raise ApiProblem(409, f"station {known!r} speaks no OCPP, so there is no such order to it")
    return known
