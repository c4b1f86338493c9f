"""Frames for a backend: what is relayed, what is copied, and what its answer is worth."""

import hashlib
import logging
from typing import Any

import orjson

from ocpp_server.answers import Answer, Fault
from ocpp_server.domain.frames import Call
from ocpp_server.station import Station
from shared.contracts.ocpp import AnswerFrame, FrameReceived
from shared.contracts.site import Evse
from shared.splice import splice_integer

logger = logging.getLogger(__name__)

_ERRORS_PASS = frozenset({"DataTransfer", "SecurityEventNotification"})
"""A backend's CALLERROR to these is the answer; to others, which decide about charging, we answer
by ourselves, because a CALLERROR makes a station repeat for ever."""


def billed_evse(station: Station, connector: Any) -> Evse | None:
    """Return the EVSE whose backend a frame concerns; None when no backend does."""
    evse = station.evses.get(connector) if isinstance(connector, int) else None
    if evse is not None:
        return evse if evse.backend is not None else None
    return station.backend_evse if not connector else None


async def copy_to_backend(station: Station, call: Call) -> None:
    """Let the backend have a copy of a frame that we answer. Safe, or kept, when it returns."""
    connector = call.payload.get("connectorId")
    if billed_evse(station, connector) is not None:
        frame = frame_of(
            station,
            call,
            frame_id=unique_frame_id(station, call),
            connector=connector,
            transaction_id=call.payload.get("transactionId"),
        )
        await station.facilities.relay.observe(frame)


async def backend_answer(station: Station, call: Call) -> Answer | None:
    """Relay a frame that names no connector; None when we have to answer by ourselves."""
    evse = station.backend_evse
    if evse is None:
        return None
    frame = frame_of(station, call, frame_id=unique_frame_id(station, call), wants_answer=True)
    timeout_s = station.view.site.ocpp_server.backend_answer_timeout_s
    answer = await station.facilities.relay.ask(frame, evse, timeout_s=timeout_s)
    return None if answer is None else answer_of(answer, passes_errors=call.action in _ERRORS_PASS)


def answer_of(answer: AnswerFrame, *, passes_errors: bool = False) -> Answer | None:
    """Return what a backend's answer tells the station, byte for byte; None when it is useless."""
    if answer.payload_text is not None:
        return answer.payload_text if _is_object(answer.payload_text) else None
    if passes_errors and answer.error_code:
        return Fault(answer.error_code, answer.error_description or "")
    return None


def with_own_transaction_id(text: str, transaction_id: int) -> str | None:
    """Put our transaction id into a StartTransaction.conf; None when it has no place for it."""
    try:
        return splice_integer(text, "transactionId", transaction_id)
    except ValueError:
        logger.warning("a backend answered StartTransaction without a transaction id")
        return None


def frame_of(
    station: Station,
    call: Call,
    *,
    frame_id: str,
    connector: int | None = None,
    transaction_id: int | None = None,
    wants_answer: bool = False,
) -> FrameReceived:
    """Return a call as the gateway gets it: the payload as the station wrote it."""
    return FrameReceived(
        frame_id=frame_id,
        station_id=station.id,
        epoch=station.epoch,
        action=call.action,
        payload_text=call.payload_text,
        received_at=station.facilities.clock.now(),
        transaction_id=transaction_id,
        connector=connector,
        wants_answer=wants_answer,
    )


def unique_frame_id(station: Station, call: Call) -> str:
    """Return the id of one frame. Repetitions are recognised before they come here."""
    serial = next(station.relayed)
    parts = (station.id, str(station.epoch), str(serial), str(call.message_id), call.payload_text)
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except ValueError:
        return False
