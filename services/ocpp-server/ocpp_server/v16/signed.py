"""Signed values: kept in the ledger and told, before the station is answered (S14)."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from ocpp_server.domain.frames import Call
from ocpp_server.domain.jobs import whole_number
from ocpp_server.domain.signed_values import (
    SignedValue,
    may_have_signed_values,
    signed_values,
)
from ocpp_server.ledger import Transaction
from ocpp_server.station import Station
from shared.contracts.session import SignedValueReceived


def has_signed_values(call: Call) -> bool:
    """A cheap look for signed values, which have to be kept before the station is answered."""
    return may_have_signed_values(call.text)


async def keep_signed_values(station: Station, call: Call) -> None:
    """Keep the signed values of MeterValues.req, and tell them.

    Returns when they are safe; raises ``StoreUnavailable`` when they cannot be kept.
    """
    payload = call.payload
    await _keep(
        station,
        payload["connectorId"],
        transaction_id=whole_number(payload, "transactionId"),
        entries=payload["meterValue"],
    )


async def keep_signed_values_of_stop(
    station: Station, call: Call, transaction: Transaction | None
) -> None:
    """Keep the signed values of StopTransaction.req; its transaction is the one that it ended."""
    await _keep(
        station,
        0 if transaction is None else transaction.connector,
        transaction_id=None if transaction is None else transaction.id,
        entries=call.payload.get("transactionData") or (),
    )


async def _keep(
    station: Station,
    connector: int,
    *,
    transaction_id: int | None,
    entries: Sequence[Mapping[str, Any]],
) -> None:
    values = signed_values(entries)
    if not values:
        return
    now = station.facilities.clock.now()

    def events_of(
        transaction: Transaction | None, new: Sequence[SignedValue]
    ) -> list[SignedValueReceived]:
        if not station.known:
            return []
        place = SignedValueReceived(
            station_id=station.id,
            connector=connector,
            session_id=_session_id(transaction),
            transaction_id=transaction_id,
            raw="",
            sha256="",
            received_at=now,
        )
        return [_told(place, value) for value in new]

    stored = await station.facilities.ledger.keep_signed(
        station.id,
        connector,
        transaction_id=transaction_id,
        values=values,
        received_at=now,
        events_of=events_of,
    )
    await station.facilities.postman.deliver(stored)


def _session_id(transaction: Transaction | None) -> str | None:
    """Only a transaction at an EVSE has a session."""
    return None if transaction is None or transaction.evse_id is None else transaction.session_id


def _told(place: SignedValueReceived, value: SignedValue) -> SignedValueReceived:
    return place.model_copy(
        update={
            "context": value.context,
            "raw": value.text,
            "sha256": hashlib.sha256(value.text.encode()).hexdigest(),
        }
    )
