"""Meter values as they are recorded for billing: one wide row of each moment."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

from ocpp_server.domain.meter_values import offered_a
from ocpp_server.domain.sampled_values import CURRENT, ENERGY, EXPORT, POWER, SOC, VOLTAGE, Sampled
from shared.contracts.session import MeterRow

_LARGEST_ID = 2**31 - 1


def rows_of(
    payload: Mapping[str, Any],
    sampled: Sequence[Sampled],
    *,
    text: str,
    station_id: str,
    evse_id: str | None,
    received_at: datetime,
) -> list[MeterRow]:
    """Return the rows of a MeterValues.req; ``text`` is what the station sent.

    The same values sent again have the same ids, whatever their message id is: stations repeat what
    they heard no answer to (field notes 5.2, 13). Values without a time of their own are told apart
    by their arrival, because a box without a clock may well measure the same twice.
    """
    arrival = received_at.timestamp()
    connector = payload["connectorId"]
    told = text.partition('"MeterValues"')[2] or text  # without the message id
    digest = blake2b(told.encode(), digest_size=12).hexdigest()
    rows = []
    for number, one in enumerate(sampled):
        sampled_at = None if one.at is None else one.at.timestamp()
        suffix = f"{number}" if sampled_at is not None else f"{number}@{arrival}"
        rows.append(
            MeterRow(
                f"{station_id}/{digest}/{suffix}",
                station_id,
                connector,
                evse_id,
                _usable(payload.get("transactionId")),
                sampled_at,
                arrival,
                one.context,
                one.total(ENERGY),
                one.total(EXPORT),
                one.total(POWER),
                *one.line(CURRENT),
                *one.line(VOLTAGE),
                one.values[SOC],
                offered_a(one),
            )
        )
    return rows


def _usable(transaction_id: Any) -> int | None:
    is_id = isinstance(transaction_id, int) and 0 < transaction_id <= _LARGEST_ID
    return transaction_id if is_id else None
