"""Rows per second into the api's bulk stores: ``python -m tests.bench.bulk``.

One process writes to each database what the api gets from its queues, batch by batch, and looks
afterwards whether every row is there. The databases sync as they do for an operator, but for
PostgreSQL, which ``tests.postgres`` starts without; without its programs that part is left out.
"""

import argparse
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import uvloop
from sqlalchemy import func, select

from api import service
from api.storage.messages import MessageStore
from api.storage.meter_values import MeterValueStore
from api.storage.tables import messages, meter_values
from shared.contracts.ocpp import LogRow
from shared.contracts.session import MeterRow
from shared.store import Database, open_database
from tests.bench.markdown import table
from tests.postgres import Postgres, find_programs

BATCHES = (100, 1_000, 5_000)
STATIONS = 500
START_S = 1_770_000_000.0
FRAME = '[2,"{}","MeterValues",{{"connectorId":1,"transactionId":7,"meterValue":[{}]}}]'
SAMPLE = '{"value":"230.1","measurand":"Voltage","phase":"L1-N","unit":"V"}'


@dataclass(frozen=True, kw_only=True)
class Stored:
    """How fast one store of one database was."""

    database: str
    store: str
    batch: int
    per_second: float
    per_cpu_second: float
    """Rows for each second of CPU time of the api; the database's own is not in it."""


def frames(first: int, count: int) -> list[LogRow]:
    """Return frames of about 700 characters, as MeterValues are."""
    text = FRAME.format(first, ",".join([SAMPLE] * 9))
    return [
        LogRow(
            f"station-{number % STATIONS}",
            START_S + number / 1000,
            True,
            2,
            str(number),
            "MeterValues",
            text,
            None,
            "",
        )
        for number in range(first, first + count)
    ]


def values(first: int, count: int) -> list[MeterRow]:
    """Return values with three phases, each with an id of its own."""
    return [
        MeterRow(
            f"station-{number % STATIONS}/{hash(number * 7919) & 0xFFFFFFFF:024x}/{number}",
            f"station-{number % STATIONS}",
            1,
            f"bay-{number % STATIONS}",
            number % STATIONS,
            START_S + number / 1000,
            START_S + number / 1000 + 0.1,
            "Sample.Periodic",
            1_000.0 + number,
            None,
            11_000.0,
            *repeat(16.0, 3),
            *repeat(230.0, 3),
            55.0,
            None,
        )
        for number in range(first, first + count)
    ]


async def measure(database: Database, name: str, *, rows: int) -> list[Stored]:
    """Fill both stores with batches of every size."""
    results: list[Stored] = []
    stores: tuple[
        tuple[str, Callable[..., Sequence[Any]], Callable[..., Awaitable[None]], Any], ...
    ]
    stores = (
        ("message log", frames, MessageStore(database).add, messages),
        ("meter values", values, MeterValueStore(database).add, meter_values),
    )
    for store, make, add, stored_in in stores:
        first = 0
        for batch in BATCHES:
            batches = [make(first + start, batch) for start in range(0, rows, batch)]
            first += len(batches) * batch
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            for one in batches:
                await add(one)
            wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
            count = len(batches) * batch
            results.append(
                Stored(
                    database=name,
                    store=store,
                    batch=batch,
                    per_second=count / wall_s,
                    per_cpu_second=count / cpu_s,
                )
            )
        async with database.transaction() as connection:
            stored = await connection.scalar(select(func.count()).select_from(stored_in))
        if stored != first:
            raise RuntimeError(f"{name}: {stored} of {first} rows in the {store}")
    return results


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """Open the api's database for a while."""
    database = await open_database(url, service="api", migrations=service.MIGRATIONS)
    try:
        yield database
    finally:
        await database.close()


async def measure_both(*, rows: int) -> list[Stored]:
    """Measure SQLite, and PostgreSQL where its programs are."""
    with tempfile.TemporaryDirectory() as folder:
        async with opened(f"sqlite+aiosqlite:///{Path(folder) / 'api.sqlite3'}") as database:
            results = await measure(database, "SQLite", rows=rows)
    programs = find_programs()
    if programs is None:
        return results
    server = Postgres(programs)
    try:
        server.start()
        async with opened(server.new_database()) as database:
            return results + await measure(database, "PostgreSQL", rows=rows)
    finally:
        server.stop()


def table_of(results: Sequence[Stored]) -> str:
    """Return the figures as Markdown."""
    head = ("Database", "Store", "Rows at a time", "Rows/s", "Rows per CPU s of the api")
    lines = [
        (
            one.database,
            one.store,
            f"{one.batch:,}",
            f"{one.per_second:,.0f}",
            f"{one.per_cpu_second:,.0f}",
        )
        for one in results
    ]
    return table(head, lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bulk", description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000, help="of each store and batch size")
    parser.add_argument("--json", action="store_true", help="print figures for a program")
    options = parser.parse_args()
    results = uvloop.run(measure_both(rows=options.rows))
    print(json.dumps([asdict(one) for one in results]) if options.json else table_of(results))


if __name__ == "__main__":
    main()
