"""Meter values: appended in bulk, each once whatever is repeated, and kept for billing."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select

from api.domain.meter_record import MeterValue, record_of
from api.storage.bulk import bulk_transaction, copy_new_rows, insert_new_rows
from api.storage.forgetting import forget_some
from api.storage.rows import values_of
from api.storage.tables import meter_values
from shared.contracts.session import MeterRow
from shared.store import Database

COLUMNS = MeterRow._fields
STEP = 2_000
"""Rows appended at a time: some ten milliseconds."""
_moment = func.coalesce(meter_values.c.sampled_at, meter_values.c.received_at)


class MeterValueStore:
    """The table ``meter_values``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, rows: Sequence[MeterRow]) -> None:
        """Commit rows, all or none; one that is there already changes nothing.

        Raises ``StoreUnavailable`` when they may not be committed; adding them again is right.
        """
        append = insert_new_rows if self._database.is_sqlite else copy_new_rows
        chunks = (
            [record_of(row) for row in rows[start : start + STEP]]
            for start in range(0, len(rows), STEP)
        )
        async with bulk_transaction(self._database) as connection:
            await append(connection, meter_values, COLUMNS, chunks)

    async def of_transaction(
        self, station_id: str, transaction_id: int, *, limit: int
    ) -> list[MeterValue]:
        """Return the first ``limit`` values of a transaction, in the order they were measured."""
        wanted = (
            select(meter_values)
            .where(
                meter_values.c.station_id == station_id,
                meter_values.c.transaction_id == transaction_id,
            )
            .order_by(_moment, meter_values.c.value_id)
            .limit(limit)
        )
        async with self._database.transaction() as connection:
            rows = await connection.execute(wanted)
            return [MeterValue(**values_of(row)) for row in rows]

    async def forget_before(self, moment: datetime) -> int:
        """Delete some of what came earlier, and return how many; 0 = that was all."""
        return await forget_some(self._database, meter_values.c.received_at, before=moment)
