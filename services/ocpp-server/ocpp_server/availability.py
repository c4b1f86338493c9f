"""ChangeAvailability as a station can take it: connector by connector where 0 is not for it.

Some refuse connector 0 (lbbrhzn/ocpp #1787), and a model may even hang on it (field notes 5.4, 31).
"""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from ocpp_server.answers import StationReply
from ocpp_server.domain.jobs import whole_number
from ocpp_server.station import Station
from shared.contracts.ocpp import CallResult

logger = logging.getLogger(__name__)

_ACTION = "ChangeAvailability"
_TAKEN = frozenset({"Accepted", "Scheduled"})
"""Scheduled is success: it happens when the transaction has ended (OCPP 1.6, 5.2)."""
_MOST_CONNECTORS = 64
_NOBODY = StationReply(
    outcome=CallResult.ANSWERED,
    payload={"status": "Rejected"},
    text='[3,"",{"status":"Rejected"}]',
)
"""For a station without any connector that is known, and that must not be asked for 0."""


async def call_as_taken(
    station: Station, action: str, payload_text: str, *, timeout_s: float | None
) -> StationReply:
    """Send a call as it is written, unless it is for all connectors of a station that cannot so."""
    payload = orjson.loads(payload_text) if action == _ACTION else {}
    if whole_number(payload, "connectorId") != 0:
        return await station.call_text(action, payload_text, timeout_s=timeout_s)
    replies = []
    if station.model.takes_availability_of_all:
        reply = await station.call_text(action, payload_text, timeout_s=timeout_s)
        if not _is_refused(reply):
            return reply
        logger.info("%s refuses %s of connector 0: %s", station.id, _ACTION, reply.summary)
        replies = [reply]
    return _worst(await _one_by_one(station, payload, timeout_s=timeout_s) or replies)


async def _one_by_one(
    station: Station, payload: Mapping[str, Any], *, timeout_s: float | None
) -> list[StationReply]:
    """Call for each connector, and stop at silence."""
    replies = []
    for number in _connectors(station):
        text = json.dumps({**payload, "connectorId": number})
        replies.append(await station.call_text(_ACTION, text, timeout_s=timeout_s))
        if not _is_told(replies[-1]):
            break
    return replies


def _connectors(station: Station) -> Sequence[int]:
    """The connectors that the site lists, and those that the station says it has."""
    told = min(station.driver.setup.connectors or 0, _MOST_CONNECTORS)
    return sorted({*station.evses, *range(1, told + 1)})


def _worst(replies: Sequence[StationReply]) -> StationReply:
    """The answer for all: that of the first that is not taken, else Scheduled before Accepted."""
    if not replies:
        return _NOBODY
    not_taken = (reply for reply in replies if reply.status not in _TAKEN)
    scheduled = (reply for reply in replies if reply.status == "Scheduled")
    return next(not_taken, None) or next(scheduled, replies[-1])


def _is_refused(reply: StationReply) -> bool:
    return _is_told(reply) and reply.status not in _TAKEN


def _is_told(reply: StationReply) -> bool:
    """The station said something; one that is silent is not asked on and on."""
    return reply.outcome in {CallResult.ANSWERED, CallResult.ERROR}
