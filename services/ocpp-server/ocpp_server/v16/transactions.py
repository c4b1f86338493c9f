"""Start and stop of transactions: recorded first, then told, then answered."""

import logging
from collections.abc import Sequence

from ocpp_server.answers import Answer
from ocpp_server.domain.frames import Call, parse
from ocpp_server.domain.jobs import whole_number
from ocpp_server.domain.stop_matching import EarlyStop
from ocpp_server.ledger import Start, StopText, StoredEvent, Transaction
from ocpp_server.station import Station
from ocpp_server.station_time import time_reader
from ocpp_server.v16.reading import check
from ocpp_server.v16.relaying import (
    answer_of,
    backend_answer,
    billed_evse,
    frame_of,
    with_own_transaction_id,
)
from ocpp_server.v16.signed import keep_signed_values_of_stop
from shared.contracts.message import Event
from shared.contracts.ocpp import FrameReceived
from shared.contracts.session import SessionEnded, SessionStarted
from shared.contracts.site import Evse
from shared.contracts.station import ReservationChanged, ReservationStatus
from shared.ids import pseudonym

logger = logging.getLogger(__name__)


async def start_transaction(station: Station, call: Call) -> Answer:
    """OCPP 1.6, 4.8. The id is ours, whatever a backend calls it; the transaction exists even when
    its token is refused (field notes 5.3, 22)."""
    start = _start(station, call)
    evse = station.evses.get(start.connector)

    def events_of(transaction: Transaction) -> Sequence[Event]:
        started = () if evse is None else (_session_started(transaction, evse),)
        used = _reservation_used(station, call, transaction)
        return (*started, *used, *_frames(station, call, transaction, kind="start"))

    transaction, stored = await station.facilities.ledger.record_start(start, events_of)
    logger.info(
        "%s: transaction %s started by %s", station.id, transaction.id, pseudonym(start.id_tag)
    )
    transaction, ending = await _ended_early(station, transaction)
    station.transaction_started(transaction)
    answer = await _told(station, call, transaction, stored, kind="start")
    if ending:
        await station.facilities.postman.deliver(ending)
    if isinstance(answer, str):
        answer = with_own_transaction_id(answer, transaction.id)
    return answer or {
        "transactionId": transaction.id,
        "idTagInfo": station.token_info(start.id_tag),
    }


async def stop_transaction(station: Station, call: Call) -> Answer:
    """OCPP 1.6, 4.10. Always accepted: a CALLERROR makes a station repeat it for ever (5.3, 20)."""
    stop = _stop(station, call)

    def events_of(transaction: Transaction) -> Sequence[Event]:
        return _end_of(station, call, transaction)

    transaction, stored = await station.facilities.ledger.record_stop(stop, events_of)
    await keep_signed_values_of_stop(station, call, transaction)
    if transaction is None:
        logger.warning("%s: stop of unknown transaction %s", station.id, stop.claimed_id)
        answer = await backend_answer(station, call)
    else:
        logger.info("%s: transaction %s stopped: %.60r", station.id, transaction.id, stop.reason)
        station.transaction_stopped(transaction)
        answer = await _told(station, call, transaction, stored, kind="stop")
    if answer is not None:
        return answer
    return {} if stop.id_tag is None else {"idTagInfo": station.token_info(stop.id_tag)}


async def _ended_early(
    station: Station, transaction: Transaction
) -> tuple[Transaction, Sequence[StoredEvent]]:
    """End a transaction whose stop came before its start (field notes 5.3, 21).

    Its station was answered then, so nobody waits for what a backend says to the stop.
    """

    def events_of(ended: Transaction, early: EarlyStop) -> Sequence[Event]:
        return _end_of(station, _early_call(early), ended, wants_answer=False)

    facilities = station.facilities
    joined = await facilities.ledger.end_early(transaction, events_of, now=facilities.clock.now())
    if joined is None:
        return transaction, ()
    ended, early, stored = joined
    logger.info("%s: transaction %s was stopped before it was told", station.id, ended.id)
    await keep_signed_values_of_stop(station, _early_call(early), ended)
    return ended, stored


def _early_call(early: EarlyStop) -> Call:
    """Return a kept stop as the call that it was, mended again where it was mended."""
    text = f'[2,"early","StopTransaction",{early.frame}]'
    call = parse(text)
    if isinstance(call, Call) and check(call) is None:
        return call
    return Call("early", "StopTransaction", {}, text)  # readable when it came; billed all the same


def _start(station: Station, call: Call) -> Start:
    payload = call.payload
    connector = payload["connectorId"]
    evse = station.evses.get(connector)
    return Start(
        station_id=station.id,
        station_known=station.known,
        evse_id=None if evse is None else evse.id,
        connector=connector,
        id_tag=payload["idTag"],
        started_text=payload.get("timestamp"),
        started_at=time_reader(station)(payload.get("timestamp")),
        meter_start=payload.get("meterStart"),
        received_at=station.facilities.clock.now(),
        frame=call.payload_text,
    )


def _stop(station: Station, call: Call) -> StopText:
    payload = call.payload
    return StopText(
        station_id=station.id,
        claimed_id=payload.get("transactionId"),
        stopped_text=payload.get("timestamp"),
        stopped_at=time_reader(station)(payload.get("timestamp")),
        meter_stop=payload.get("meterStop"),
        id_tag=payload.get("idTag"),
        reason=payload.get("reason") or "Local",  # OCPP 1.6, 6.51: a missing reason is Local
        received_at=station.facilities.clock.now(),
        frame=call.payload_text,
    )


def _end_of(
    station: Station, call: Call, transaction: Transaction, *, wants_answer: bool = True
) -> Sequence[Event]:
    """Return what follows from the end of a transaction."""
    ended = () if transaction.evse_id is None else (_session_ended(transaction),)
    frames = _frames(station, call, transaction, kind="stop", wants_answer=wants_answer)
    return (*ended, *frames)


def _session_started(transaction: Transaction, evse: Evse) -> SessionStarted:
    return SessionStarted(
        session_id=transaction.session_id,
        evse_id=evse.id,
        station_id=transaction.station_id,
        connector=transaction.connector,
        started_at=transaction.started_at or transaction.start_received_at,
        token=transaction.id_tag,
        energy_start_wh=transaction.meter_start,
        transaction_id=transaction.id,
    )


def _reservation_used(
    station: Station, call: Call, transaction: Transaction
) -> tuple[ReservationChanged, ...]:
    """OCPP 1.6, 4.8: the transaction ends a reservation when it names one."""
    reservation_id = whole_number(call.payload, "reservationId")
    if not station.known or reservation_id is None:
        return ()
    used = ReservationChanged(
        station_id=station.id,
        reservation_id=reservation_id,
        status=ReservationStatus.USED,
        connector=transaction.connector,
        token=transaction.id_tag,
        transaction_id=transaction.id,
        changed_at=transaction.start_received_at,
    )
    return (used,)


def _session_ended(transaction: Transaction) -> SessionEnded:
    received_at = transaction.stop_received_at or transaction.start_received_at
    return SessionEnded(
        session_id=transaction.session_id,
        evse_id=transaction.evse_id or "",
        station_id=transaction.station_id,
        connector=transaction.connector,
        ended_at=transaction.stopped_at or received_at,
        energy_stop_wh=transaction.meter_stop,
        reason=transaction.reason or "",
        token=transaction.id_tag,
        transaction_id=transaction.id,
    )


def _frames(
    station: Station,
    call: Call,
    transaction: Transaction,
    *,
    kind: str,
    wants_answer: bool = True,
) -> tuple[FrameReceived, ...]:
    """The frame for the backend that bills this transaction, if one does."""
    if billed_evse(station, transaction.connector) is None:
        return ()
    frame = frame_of(
        station,
        call,
        frame_id=f"{kind}-{transaction.id}",
        connector=transaction.connector,
        transaction_id=transaction.id,
        wants_answer=wants_answer,
    )
    return (frame,)


async def _told(
    station: Station,
    call: Call,
    transaction: Transaction,
    stored: Sequence[StoredEvent],
    *,
    kind: str,
) -> Answer | None:
    """Tell what was recorded, and return the backend's answer; None when we answer."""
    facilities = station.facilities
    evse = billed_evse(station, transaction.connector)
    if evse is None:
        await facilities.postman.deliver(stored)
        return None
    timeout_s = station.view.site.ocpp_server.backend_answer_timeout_s
    with facilities.relay.expecting(f"{kind}-{transaction.id}") as waiting:
        if stored:
            is_safe = await facilities.postman.deliver(stored)
        else:  # a repetition: the backend is asked again, and knows the frame by its id
            (frame,) = _frames(station, call, transaction, kind=kind)
            is_safe = await facilities.postman.publish(station.id, frame)
        if not is_safe:
            return None
        answer = await facilities.relay.wait_for(waiting, evse, timeout_s=timeout_s)
    return None if answer is None else answer_of(answer)
