"""What effects become in the outbox."""

from datetime import datetime

from gateway.domain.effects import Begin, End, Keep, OpenTransaction, Sample, Status
from gateway.domain.payloads import Payload, to_text
from gateway.domain.roster import UplinkPlan
from gateway.outbox import Batch, Outgoing, Transaction

FINISHED = "finished/"
"""Prefix of: the transaction here has ended, and the vehicle is still plugged in."""

Deed = Begin | Sample | End | Status | Keep


async def write_down(deed: Deed, batch: Batch, *, plan: UplinkPlan, now: datetime) -> None:
    """Put a fact into the outbox. Doing it again changes nothing."""
    match deed:
        case Begin(transaction, payload):
            await batch.begin(_kept(transaction, plan))
            await batch.put(
                _message("StartTransaction", "start", transaction, payload, plan=plan, now=now)
            )
        case Sample(transaction, payload):
            name = f"meter {payload['meterValue'][0]['timestamp']}"
            await batch.put(_message("MeterValues", name, transaction, payload, plan=plan, now=now))
        case End(transaction, payload, still_plugged):
            await batch.end(transaction.key, now=now)
            await batch.put(
                _message("StopTransaction", "stop", transaction, payload, plan=plan, now=now)
            )
            name = f"{FINISHED}{transaction.connector}"
            await batch.keep(plan.uplink_id, name, "yes" if still_plugged else "")
        case Status(connector, payload):
            await batch.replace(
                plan.uplink_id,
                f"status/{connector}",
                action="StatusNotification",
                payload_text=to_text(payload),
            )
        case Keep(name, value):
            await batch.keep(plan.uplink_id, name, value)


def _message(
    action: str,
    name: str,
    transaction: OpenTransaction,
    payload: Payload,
    *,
    plan: UplinkPlan,
    now: datetime,
) -> Outgoing:
    return Outgoing(
        uplink=plan.uplink_id,
        frame_id=f"{transaction.key} {name}",
        action=action,
        payload_text=to_text(payload),
        created_at=now,
        transaction_key=transaction.key,
    )


def _kept(transaction: OpenTransaction, plan: UplinkPlan) -> Transaction:
    connector = plan.connector(transaction.connector)
    return Transaction(
        key=transaction.key,
        uplink=plan.uplink_id,
        evse_id=connector.evse.id if connector else "",
        connector=transaction.connector,
        token=transaction.token,
        meter_start_wh=transaction.meter_start_wh,
        started_at=transaction.started_at,
    )
