"""Stops that named no transaction of ours: kept as they came, and found by a start that follows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ocpp_server.domain.stop_matching import EarlyStop, Stop
from ocpp_server.ledger.records import StopText, moment_of, row_of_stop, storable
from ocpp_server.ledger.tables import orphan_stops

_SHARED = ("stopped_text", "stopped_at", "meter_stop", "stop_id_tag", "reason")
"""Columns that a stop without transaction shares with a transaction."""


def row_of_orphan(stop: StopText, *, ended: int | None) -> dict[str, Any]:
    """Return what is kept of a stop; ``ended`` is the transaction that it was found to end."""
    told = row_of_stop(stop)
    return {column: told[column] for column in _SHARED} | {
        "station_id": stop.station_id,
        "fingerprint": stop.fingerprint,
        "frame": storable(stop.frame),
        "received_at": stop.received_at,
        "transaction_id": ended,
    }


async def was_seen(connection: AsyncConnection, stop: StopText) -> bool:
    """A repeated stop must not end a transaction that began after it was first seen."""
    kept = select(orphan_stops.c.id).where(orphan_stops.c.fingerprint == stop.fingerprint)
    return (await connection.execute(kept)).first() is not None


async def early_stops(
    connection: AsyncConnection, station_id: str, *, since: datetime
) -> Sequence[EarlyStop]:
    """Return the stops of a station that have ended nothing yet, oldest first."""
    columns = orphan_stops.c
    query = (
        select(orphan_stops)
        .where(columns.station_id == station_id)
        .where(columns.received_at >= since)
        .where(columns.transaction_id.is_(None))
        .order_by(columns.id)
    )
    return [_early_stop(row) for row in await connection.execute(query)]


async def take(connection: AsyncConnection, early: EarlyStop, transaction_id: int) -> Row[Any]:
    """Mark that an early stop has ended a transaction, and return its row."""
    statement = (
        update(orphan_stops)
        .where(orphan_stops.c.id == early.id)
        .values(transaction_id=transaction_id)
        .returning(*orphan_stops.c)
    )
    return (await connection.execute(statement)).one()


def stop_columns(row: Row[Any]) -> dict[str, Any]:
    """Return what a kept stop makes of its transaction."""
    return {column: getattr(row, column) for column in _SHARED} | {
        "stop_received_at": row.received_at,
        "stop_frame": row.frame,
    }


def _early_stop(row: Row[Any]) -> EarlyStop:
    told = Stop(
        stopped_at=moment_of(row.stopped_at),
        meter_stop=row.meter_stop,
        id_tag=row.stop_id_tag,
    )
    return EarlyStop(id=row.id, stop=told, frame=row.frame)
