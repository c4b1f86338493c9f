"""Certificates and keys. Every change counts a revision up in the same transaction.

The counter's row is written first, so that changes of several replicas run one after another.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from api.domain.certificate_chain import Use
from api.domain.certificates import CertificateRecord, free_id
from api.storage.tables import certificates, certificates_revision
from shared.store import Database

# Whatever a log is set to: at DEBUG aiosqlite writes statements with their values, keys included.
logging.getLogger("aiosqlite").setLevel(logging.INFO)


class CertificateStore:
    """The tables ``certificates`` and ``certificates_revision``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def revision(self) -> int:
        """Return the number of the last change; 0 = none yet."""
        async with self._database.transaction() as connection:
            return await _revision(connection)

    async def all(self) -> tuple[list[CertificateRecord], int]:
        """Return every record, oldest first, and a revision.

        The revision is read first: records may be newer than it, never older, so whoever hears of
        a newer one and asks again misses nothing.
        """
        order = (certificates.c.created_at, certificates.c.id)
        async with self._database.transaction() as connection:
            revision = await _revision(connection)
            found = await connection.execute(select(certificates).order_by(*order))
            return [_record(row) for row in found.mappings()], revision

    async def get(self, certificate_id: str) -> CertificateRecord | None:
        """Return one record."""
        wanted = select(certificates).where(certificates.c.id == certificate_id)
        async with self._database.transaction() as connection:
            row = (await connection.execute(wanted)).mappings().first()
        return None if row is None else _record(row)

    async def add(self, records: Sequence[CertificateRecord]) -> list[CertificateRecord]:
        """Store records and return them; an id that is taken gets a number behind it."""
        stored: list[CertificateRecord] = []
        async with self._change() as connection:
            taken = set(await connection.scalars(select(certificates.c.id)))
            for record in records:
                named = replace(record, id=free_id(record.id, taken))
                taken.add(named.id)
                stored.append(named)
            await connection.execute(insert(certificates), [asdict(one) for one in stored])
        return stored

    async def complete(self, record: CertificateRecord) -> bool:
        """Put the signed certificate in place of its request; False when that is gone."""
        waiting = (certificates.c.id == record.id) & certificates.c.certificate_pem.is_(None)
        async with self._change() as connection:
            values = asdict(record)
            done = await connection.execute(update(certificates).where(waiting).values(values))
            if done.rowcount == 1:
                return True
            await connection.rollback()
        return False

    async def remove(self, certificate_id: str) -> bool:
        """Delete a record with its key; False when there is none."""
        gone = delete(certificates).where(certificates.c.id == certificate_id)
        async with self._change() as connection:
            if (await connection.execute(gone)).rowcount == 1:
                return True
            await connection.rollback()
        return False

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[AsyncConnection]:
        counted = update(certificates_revision).values(
            revision=certificates_revision.c.revision + 1
        )
        async with self._database.transaction() as connection:
            await connection.execute(counted)
            yield connection


async def _revision(connection: AsyncConnection) -> int:
    found: int | None = await connection.scalar(select(certificates_revision.c.revision))
    return found or 0


def _record(row: RowMapping) -> CertificateRecord:
    return CertificateRecord(**{**row, "use": Use(row["use"])})
