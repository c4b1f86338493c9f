"""Limits that others have set for circuits and groups, and those that were lifted a while ago."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, select

from api.storage.bulk import bulk_transaction
from api.storage.rows import values_of
from api.storage.tables import external_limits
from shared.contracts.charging import LimitChanged, LimitScope
from shared.store import Database, replacing
from shared.units import PhaseAmps

_KEY = ("scope", "target", "source")


class ExternalLimitStore:
    """The table ``external_limits``: the last word of each source about each circuit or group."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, word: LimitChanged) -> None:
        """Keep a word; an older one of the same source about the same is replaced."""
        statement = self._database.insert(external_limits).values(_row(word))
        async with bulk_transaction(self._database) as connection:
            await connection.execute(replacing(statement))

    async def all(self) -> list[LimitChanged]:
        """Return every word, by circuit or group and source."""
        order = (external_limits.c[name] for name in _KEY)
        async with bulk_transaction(self._database) as connection:
            rows = await connection.execute(select(external_limits).order_by(*order))
            return [_word(row) for row in rows]

    async def forget_over_before(self, moment: datetime) -> None:
        """Delete what was lifted or has expired before a moment.

        A control box that is silent counts (section 14a EnWG), so its word stays until it is taken
        out: then it ends with the moment it was said.
        """
        columns = external_limits.c
        limits = (columns.l1_a, columns.l2_a, columns.l3_a, columns.limit_w)
        is_lifted = and_(*(limit.is_(None) for limit in limits))
        is_over = (is_lifted & (columns.changed_at < moment)) | (columns.expires_at < moment)
        counts_on = (columns.scope == LimitScope.DIMMING.value) & (
            columns.expires_at.is_(None) | (columns.expires_at > columns.changed_at)
        )
        async with bulk_transaction(self._database) as connection:
            await connection.execute(delete(external_limits).where(is_over & ~counts_on))


def _row(word: LimitChanged) -> dict[str, Any]:
    amps = word.limit_a or PhaseAmps()
    return {
        "scope": word.scope.value,
        "target": word.target,
        "source": word.source,
        "l1_a": amps.l1,
        "l2_a": amps.l2,
        "l3_a": amps.l3,
        "limit_w": word.limit_w,
        "expires_at": word.expires_at,
        "changed_at": word.changed_at,
    }


def _word(row: Row[Any]) -> LimitChanged:
    values = values_of(row)
    amps = PhaseAmps(l1=values.pop("l1_a"), l2=values.pop("l2_a"), l3=values.pop("l3_a"))
    limit_a = amps if amps.known else None
    return LimitChanged(**{**values, "scope": LimitScope(row.scope), "limit_a": limit_a})
