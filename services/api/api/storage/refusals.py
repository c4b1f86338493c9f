"""Refused connections: one row for each station, address and reason."""

from collections.abc import Mapping
from dataclasses import asdict

from sqlalchemy import Executable, Row, case, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from api.domain.refusals import RefusalKey, RefusalRecord
from api.storage.rows import values_of
from api.storage.tables import refusals
from shared.store import Database, replacing

_KEY = ("station_key", "address", "reason")
_DELETED_AT_ONCE = 200


class RefusalStore:
    """The table ``refusals``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[RefusalRecord]:
        """Return every record, oldest first."""
        async with self._database.transaction() as connection:
            rows = await connection.execute(select(refusals).order_by(refusals.c.last_at))
            return [_record(row) for row in rows]

    async def save(self, changes: Mapping[RefusalKey, RefusalRecord | None]) -> None:
        """Write records, and delete those that are ``None``.

        Each replica has counted the same events, so the higher count is right, not the sum.
        """
        rows = [_row(record) for record in changes.values() if record is not None]
        gone = [key for key, record in changes.items() if record is None]
        async with self._database.transaction() as connection:
            if rows:
                await connection.execute(self._upsert(), rows)
            await _delete(connection, gone)

    def _upsert(self) -> Executable:
        statement = self._database.insert(refusals)
        new = statement.excluded
        more = case((new["count"] > refusals.c["count"], new["count"]), else_=refusals.c["count"])
        return replacing(statement, kept={"first_at"}, count=more)


async def _delete(connection: AsyncConnection, keys: list[RefusalKey]) -> None:
    columns = tuple_(*(refusals.c[name] for name in _KEY))
    for start in range(0, len(keys), _DELETED_AT_ONCE):
        some = keys[start : start + _DELETED_AT_ONCE]
        await connection.execute(delete(refusals).where(columns.in_(some)))


def _row(record: RefusalRecord) -> dict[str, object]:
    return {
        **asdict(record),
        "station_key": record.key[0],
        "subprotocols": list(record.subprotocols),
    }


def _record(row: Row[tuple[object, ...]]) -> RefusalRecord:
    values = values_of(row)
    del values["station_key"]
    return RefusalRecord(**{**values, "subprotocols": tuple(values["subprotocols"])})
