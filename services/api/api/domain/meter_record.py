"""Meter values as they are stored: one wide row for everything that was sampled at one moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from math import isfinite

from api.domain.storable import LONGEST_NAME, moment_of, storable_name
from shared.contracts.session import MeterRow

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LARGEST_CONNECTOR = 2**31 - 1
LARGEST_TRANSACTION = 2**63 - 1
MeterRecord = tuple[object, ...]
"""The columns of the table, in the order of ``MeterRow``."""


@dataclass(frozen=True, kw_only=True)
class MeterValue:
    """What a station measured at one moment, in SI units. ``None`` = not told."""

    value_id: str
    station_id: str
    connector: int
    evse_id: str | None
    transaction_id: int | None
    sampled_at: datetime | None
    """By the station's clock."""
    received_at: datetime
    context: str | None
    energy_wh: float | None
    energy_export_wh: float | None
    power_w: float | None
    l1_a: float | None
    l2_a: float | None
    l3_a: float | None
    l1_v: float | None
    l2_v: float | None
    l3_v: float | None
    soc_percent: float | None
    offered_a: float | None


def record_of(row: MeterRow) -> MeterRecord:
    """Return what is stored of a row.

    Nothing in it can make a database refuse it, because the other rows of the batch are billed too.
    """
    return (
        _value_id(row.value_id),
        storable_name(row.station_id),
        min(max(row.connector, 0), LARGEST_CONNECTOR),
        _name(row.evse_id),
        _transaction_id(row.transaction_id),
        moment_of(row.sampled_at),
        moment_of(row.received_at) or EPOCH,
        _name(row.context),
        *_finite(row[8:]),
    )


def _finite(values: Sequence[float | None]) -> Sequence[float | None]:
    """What is no number was not told. The sum tells at once for nearly every row."""
    if isfinite(sum(filter(None, values))):
        return values
    return [value if value is not None and isfinite(value) else None for value in values]


def _value_id(text: str) -> str:
    """An index takes no text of any length; the digest of a long one is as unique."""
    if len(text) > LONGEST_NAME:
        return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return storable_name(text)


def _name(text: str | None) -> str | None:
    return None if text is None else storable_name(text)


def _transaction_id(told: int | None) -> int | None:
    """A station may tell any number; what fits no column is none of ours."""
    is_storable = told is not None and -LARGEST_TRANSACTION <= told <= LARGEST_TRANSACTION
    return told if is_storable else None
