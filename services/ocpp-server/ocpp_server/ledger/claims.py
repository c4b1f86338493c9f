"""Taking stations over: a new epoch for each, and what runs there.

Many at once, because after a restart a whole garage comes back within seconds.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ocpp_server.ledger.records import Transaction, transaction_of
from ocpp_server.ledger.tables import stations, transactions
from shared.store import Database


@dataclass(frozen=True, slots=True)
class Claim:
    """A connection that has become the newest one of its station."""

    epoch: int
    running: Sequence[Transaction]
    """Oldest first."""


async def epochs_for(
    database: Database, connection: AsyncConnection, station_ids: Sequence[str]
) -> list[int]:
    """Give each of them an epoch, in their order; a station that is named twice gets two."""
    counts = Counter(sorted(station_ids))  # sorted, so that two replicas never wait for each other
    claiming = database.insert(stations).values(
        [{"station_id": station_id, "epoch": count} for station_id, count in counts.items()]
    )
    statement = claiming.on_conflict_do_update(
        index_elements=["station_id"],
        set_={"epoch": stations.c.epoch + claiming.excluded.epoch},
    ).returning(stations.c.station_id, stations.c.epoch)
    last = {row.station_id: row.epoch for row in await connection.execute(statement)}
    epochs = []
    for station_id in station_ids:
        counts[station_id] -= 1
        epochs.append(last[station_id] - counts[station_id])
    return epochs


async def running_at(
    connection: AsyncConnection, station_ids: Sequence[str]
) -> dict[str, list[Transaction]]:
    """Return the open transactions of stations, oldest first; a station without any is missing."""
    query = (
        select(transactions)
        .where(transactions.c.station_id.in_(station_ids))
        .where(transactions.c.stop_received_at.is_(None))
        .order_by(transactions.c.id)
    )
    found: dict[str, list[Transaction]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.station_id, []).append(transaction_of(row))
    return found
