"""Frames of OCPP stations on their way to their backends: kept first, told by the uplink (S13-S15).

Texts are kept as the station wrote them. The only number replaced here is the connector's, where
the backend counts it differently; transaction ids are replaced when the text goes out.
"""

import logging
from collections.abc import Callable, Sequence

from gateway.domain.payloads import Payload, from_text
from gateway.domain.roster import PlannedConnector, UplinkPlan
from gateway.outbox import Batch, Outbox, Outgoing, Transaction
from shared.bus.port import Delivery
from shared.contracts.ocpp import FrameReceived
from shared.splice import splice_integer

logger = logging.getLogger(__name__)

BOOT = "boot"
"""The name under which a station's BootNotification is kept."""
NOT_PASSED_ON = frozenset({"Heartbeat"})
"""The gateway beats itself, at the backend's interval."""


class FrameIntake:
    """Puts frames into the outbox. Returning means they are safe."""

    def __init__(self, outbox: Outbox, plans: Callable[[], Sequence[UplinkPlan]]) -> None:
        self._outbox = outbox
        self._plans = plans

    async def take(self, frames: Sequence[Delivery[FrameReceived]]) -> None:
        """Keep a batch of frames, in order; repetitions change nothing."""
        async with self._outbox.writing() as batch:
            for frame in frames:
                await self._take_one(frame.message, batch)

    async def _take_one(self, frame: FrameReceived, batch: Batch) -> None:
        plans = [plan for plan in self._plans() if plan.of_station(frame.station_id)]
        if not plans or frame.action in NOT_PASSED_ON:
            return
        payload = _json(frame.payload_text)
        match frame.action:
            case "BootNotification":
                for plan in plans:
                    await batch.keep(plan.uplink_id, BOOT, frame.payload_text)
            case "StatusNotification":
                await _keep_status(frame, payload, plans, batch)
            case _:
                await _keep_message(frame, payload, plans, batch)


async def _keep_status(
    frame: FrameReceived, payload: Payload, plans: Sequence[UplinkPlan], batch: Batch
) -> None:
    for plan in plans:
        number = _number_at(plan, frame, payload)
        if number is not None:
            text = _renumbered(frame.payload_text, payload, number)
            await batch.replace(
                plan.uplink_id, f"status/{number}", action=frame.action, payload_text=text
            )


async def _keep_message(
    frame: FrameReceived, payload: Payload, plans: Sequence[UplinkPlan], batch: Batch
) -> None:
    transaction = await _transaction_of(frame, payload, batch)
    plan = _plan_for(frame, payload, plans, transaction)
    number = _number_at(plan, frame, payload)
    key = transaction.key if transaction else _unknown_key(frame, payload)
    if frame.action == "StartTransaction":
        begun = _begun(frame, payload, plan, number)
        await batch.begin(begun)
        key = begun.key
    if frame.action == "StopTransaction" and transaction is not None:
        await batch.end(transaction.key, now=frame.received_at)
    await batch.put(
        Outgoing(
            uplink=transaction.uplink if transaction else plan.uplink_id,
            frame_id=frame.frame_id,
            station_id=frame.station_id,
            action=frame.action,
            payload_text=_renumbered(frame.payload_text, payload, number),
            created_at=frame.received_at,
            transaction_key=key,
            wants_answer=frame.wants_answer,
        )
    )


async def _transaction_of(
    frame: FrameReceived, payload: Payload, batch: Batch
) -> Transaction | None:
    local_id = _local_id(frame, payload)
    if frame.action == "StartTransaction" or local_id is None:
        return None
    return await batch.of_station(frame.station_id, local_id)


def _local_id(frame: FrameReceived, payload: Payload) -> int | None:
    named = payload.get("transactionId")
    return frame.transaction_id or (named if isinstance(named, int) else None)


def _unknown_key(frame: FrameReceived, payload: Payload) -> str | None:
    """A transaction that is not known cannot be named to the backend; the message must say so."""
    local_id = _local_id(frame, payload)
    return None if local_id is None else f"{frame.station_id} {local_id}"


def _plan_for(
    frame: FrameReceived,
    payload: Payload,
    plans: Sequence[UplinkPlan],
    transaction: Transaction | None,
) -> UplinkPlan:
    """Return the one backend that gets a message; without a connector, that of the first EVSE."""
    for plan in plans:
        if transaction is not None and transaction.uplink == plan.uplink_id:
            return plan
        if transaction is None and _outlet(plan, frame, payload) is not None:
            return plan
    return plans[0]


def _begun(
    frame: FrameReceived, payload: Payload, plan: UplinkPlan, number: int | None
) -> Transaction:
    outlet = plan.connector(number)
    meter_start = payload.get("meterStart")
    return Transaction(
        key=f"{frame.station_id} {_local_id(frame, payload) or frame.frame_id}"[:200],
        uplink=plan.uplink_id,
        evse_id=outlet.evse.id if outlet else "",
        connector=number or 0,
        station_id=frame.station_id,
        local_id=frame.transaction_id,
        token=str(payload.get("idTag", ""))[:64],
        meter_start_wh=round(meter_start) if isinstance(meter_start, int | float) else 0,
        started_at=frame.received_at,
    )


def _outlet(plan: UplinkPlan, frame: FrameReceived, payload: Payload) -> PlannedConnector | None:
    connector = frame.connector if frame.connector is not None else payload.get("connectorId")
    return next(
        (c for c in plan.of_station(frame.station_id) if c.evse.connector == connector), None
    )


def _number_at(plan: UplinkPlan, frame: FrameReceived, payload: Payload) -> int | None:
    """Return how a backend counts the connector; 0 is the whole station for everybody."""
    if payload.get("connectorId") == 0:
        return 0
    outlet = _outlet(plan, frame, payload)
    return outlet.number if outlet else None


def _renumbered(text: str, payload: Payload, number: int | None) -> str:
    if number is None or payload.get("connectorId") in {None, number}:
        return text
    try:
        return splice_integer(text, "connectorId", number)
    except ValueError:
        return text  # not a number in the station's text; the backend reads it as it is


def _json(text: str) -> Payload:
    try:
        return from_text(text)
    except ValueError:
        logger.warning("a frame's payload is no JSON object; it is passed on as it is")
        return {}
