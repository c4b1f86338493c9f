"""Databases: one for each service, SQLite embedded or PostgreSQL, migrated before they are used."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from alembic import command
from alembic.config import Config
from sqlalchemy import ColumnElement, Connection, Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as ConnectionsExhausted
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from shared.errors import ConfigError, StoreUnavailable

logger = logging.getLogger(__name__)

_MIGRATION_LOCK = 727_110_016
"""PostgreSQL advisory lock: replicas of a service start together and migrate one after another."""


_migrating: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
"""Alembic keeps what it works on in module globals, so one process migrates one database at a time.
"""


class Database:
    """An engine with the tables of one service in it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @property
    def is_sqlite(self) -> bool:
        """The embedded kind."""
        return self.engine.dialect.name == "sqlite"

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """Return an INSERT that knows ``ON CONFLICT``, which standard SQL does not."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end, rolled back by an error.

        Raises ``StoreUnavailable`` when the database does not answer (another try is worth it);
        errors of the statements themselves pass unchanged.
        """
        try:
            async with self.engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            if error.connection_invalidated or "locked" in str(error.orig):
                raise StoreUnavailable(f"database: {type(error.orig).__name__}") from error
            raise
        except (OSError, TimeoutError, ConnectionsExhausted) as error:
            raise StoreUnavailable(f"database: {error}") from error

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def replacing(
    statement: sqlite.Insert | postgresql.Insert,
    *,
    kept: Collection[str] = (),
    **merged: ColumnElement[Any],
) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that overwrites a row whose primary key is there already.

    All columns but the key take the new values, except those that are ``kept``, and those that are
    ``merged``: they become what is given, made of the old row and ``statement.excluded``.
    """
    table = statement.table
    key = [column.name for column in table.primary_key]
    values: dict[str, ColumnElement[Any]] = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if column.name not in {*key, *kept}
    }
    return statement.on_conflict_do_update(index_elements=key, set_={**values, **merged})


async def open_database(url: str, *, service: str, migrations: Path) -> Database:
    """Open a service's database and bring its tables up to date.

    ``service`` names the schema in PostgreSQL. ``migrations`` is the service's alembic directory.
    Raises ``ConfigError`` saying what to change when the database cannot be opened.
    """
    parsed = make_url(url)
    schema = re.sub(r"\W", "_", service)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        _make_folder(Path(parsed.database))
    engine = _engine(url, schema)
    try:
        await _uninterrupted(_open(engine, schema, migrations))
    except asyncio.CancelledError:
        await engine.dispose()
        raise
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        await engine.dispose()
        shown = parsed.render_as_string(hide_password=True)
        cause = str(getattr(error, "orig", None) or error).splitlines() or ["no answer"]
        raise ConfigError(
            f"database {shown} cannot be opened ({cause[0]}): check PARKADE_DATABASE_URL and "
            "PARKADE_DATA_DIR, that the server runs and that this user may write there"
        ) from error
    return Database(engine)


async def _open(engine: AsyncEngine, schema: str, migrations: Path) -> None:
    async with asyncio.timeout(60), engine.begin() as connection:
        await _prepare(connection, schema, migrations)


async def _uninterrupted(opening: Coroutine[Any, Any, None]) -> None:
    """Finish opening even when cancelled: aiosqlite hangs when cancelled in mid-connect."""
    task = asyncio.get_running_loop().create_task(opening)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _make_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"folder {file.parent} cannot be made ({error.strerror}): set PARKADE_DATA_DIR to a "
            "folder that this user may write"
        ) from error


def _engine(url: str, schema: str) -> AsyncEngine:
    if url.startswith("sqlite"):
        engine = create_async_engine(url, connect_args={"timeout": 10})
        event.listen(engine.sync_engine, "connect", _tune_sqlite)
        return engine
    return create_async_engine(
        url,
        pool_pre_ping=True,
        pool_size=5,
        connect_args={
            "server_settings": {"search_path": schema},
            "timeout": 10,
            "command_timeout": 30,
        },
    )


def _tune_sqlite(connection: object, _entry: ConnectionPoolEntry) -> None:
    """Survive ``kill -9`` and power loss: write-ahead log, synced at every commit."""
    cursor = connection.cursor()  # type: ignore[attr-defined]  # DBAPI connection
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def _prepare(connection: AsyncConnection, schema: str, migrations: Path) -> None:
    if connection.dialect.name == "postgresql":
        lock = text("SELECT pg_advisory_xact_lock(:lock)")
        await connection.execute(lock, {"lock": _MIGRATION_LOCK})
        await connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
    one_at_a_time = _migrating.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    async with one_at_a_time:
        await connection.run_sync(_migrate, migrations)


def _migrate(connection: Connection, migrations: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
