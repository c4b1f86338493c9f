"""Old rows go in small steps, each a transaction of its own, so that nobody waits for it."""

from datetime import datetime

from sqlalchemy import Column, ColumnElement, Table, delete, select, tuple_

from api.storage.bulk import bulk_transaction
from shared.store import Database

STEP = 2_000
"""Rows deleted in one transaction: some ten milliseconds."""


async def forget_some(
    database: Database,
    at: Column[datetime],
    *also: ColumnElement[bool],
    before: datetime,
) -> int:
    """Delete up to ``STEP`` of the oldest rows, and return how many; 0 = no more are old enough.

    ``at`` tells a row's age and belongs to an index; ``also`` has to hold, too. What another
    replica is deleting is passed over. Raises ``StoreUnavailable``.
    """
    table: Table = at.table
    key = tuple(table.primary_key)
    oldest = select(*key).where(at < before, *also).order_by(at).limit(STEP)
    some = tuple_(*key).in_(oldest.with_for_update(skip_locked=True))
    async with bulk_transaction(database) as connection:
        gone = await connection.execute(delete(table).where(some))
        return int(gone.rowcount)
