"""Revisions of the site: every one kept as a whole document, the newest in force."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from api.storage.tables import site_revisions
from shared.store import Database

KEPT_REVISIONS = 200
"""Older ones are deleted, so that adding a thousand tokens one by one does not fill the disk."""


@dataclass(frozen=True)
class StoredSite:
    """A document and the number it was saved under."""

    revision: int
    document: dict[str, Any]


class SiteStore:
    """The table ``site_revisions``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest_revision(self) -> int | None:
        """Return the number of the newest revision, if there is one."""
        async with self._database.transaction() as connection:
            newest: int | None = await connection.scalar(
                select(func.max(site_revisions.c.revision))
            )
            return newest

    async def newest(self) -> StoredSite | None:
        """Return the newest revision, if there is one."""
        statement = (
            select(site_revisions.c.revision, site_revisions.c.document)
            .order_by(site_revisions.c.revision.desc())
            .limit(1)
        )
        async with self._database.transaction() as connection:
            row = (await connection.execute(statement)).first()
        return None if row is None else StoredSite(row.revision, row.document)

    async def add(self, site: StoredSite, *, author: str, now: datetime) -> bool:
        """Store a new revision; False when somebody else has taken its number."""
        row = {
            "revision": site.revision,
            "document": site.document,
            "created_at": now,
            "author": author,
        }
        old = site_revisions.c.revision <= site.revision - KEPT_REVISIONS
        try:
            async with self._database.transaction() as connection:
                await connection.execute(insert(site_revisions), row)
                await connection.execute(delete(site_revisions).where(old))
        except IntegrityError:
            return False
        return True
