"""What is in the databases of a deployment, read past all services."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import MetaData, Select, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from api.storage import tables as of_api
from ocpp_server.ledger import tables as of_ledger

Entry = tuple[Any, ...]
SCHEMAS: dict[MetaData, str] = {of_api.metadata: "api", of_ledger.metadata: "ocpp_server"}


@dataclass(frozen=True)
class Books:
    """``url_of`` returns the SQLAlchemy URL of a service's database."""

    url_of: Callable[[str], str]

    async def transactions(self) -> "Counter[Entry]":
        """(id, station, meter at start, meter at stop) of the ledger; open ones have no stop."""
        t = of_ledger.transactions.c
        return await self._entries(
            select(t.id, t.station_id, t.meter_start, t.meter_stop), of_ledger.transactions
        )

    async def sessions(self) -> "Counter[Entry]":
        """(session, transaction, station, energy at start, energy at stop, ended) of the api."""
        s = of_api.sessions.c
        ended = s.ended_at.is_not(None)
        columns = (s.transaction_id, s.station_id, s.energy_start_wh, s.energy_stop_wh, ended)
        return await self._entries(select(s.session_id, *columns), of_api.sessions)

    async def meter_values(self) -> "Counter[Entry]":
        """(station, transaction, milliseconds since 1970, energy) of every row of the api."""
        v = of_api.meter_values.c
        return await self._entries(
            select(v.station_id, v.transaction_id, v.sampled_at, v.energy_wh), of_api.meter_values
        )

    async def orphan_stops(self) -> int:
        """How many stops belong to no transaction."""
        return await self._count(of_ledger.orphan_stops)

    async def undelivered(self) -> int:
        """How many facts the bus has not confirmed yet."""
        return await self._count(of_ledger.outbox)

    async def _count(self, table: Table) -> int:
        counted = await self._entries(select(func.count()).select_from(table), table)
        ((number,),) = counted
        return int(number)

    async def _entries(self, wanted: Select[Any], table: Table) -> "Counter[Entry]":
        schema = SCHEMAS[table.metadata]
        engine = create_async_engine(self.url_of(schema.replace("_", "-")))
        try:
            async with _connection(engine, schema) as connection:
                rows = (await connection.execute(wanted)).all()
        finally:
            await engine.dispose()
        return Counter(tuple(_plain(value) for value in row) for row in rows)


def _connection(engine: AsyncEngine, schema: str) -> AsyncConnection:
    if engine.dialect.name == "sqlite":
        return engine.connect()
    return engine.execution_options(schema_translate_map={None: schema}).connect()


def _plain(value: Any) -> Any:
    """Moments in whole milliseconds since 1970: some of them travelled as floating point."""
    return milliseconds(value) if isinstance(value, datetime) else value


def milliseconds(moment: datetime) -> int:
    """Return a moment as stations tell it, to the millisecond."""
    return round(moment.timestamp() * 1_000)
