"""Samples: bulk rows, written in batches and read thinned."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select

from api.domain.samples import Sample
from api.storage.forgetting import forget_some
from api.storage.rows import values_of
from api.storage.tables import samples
from shared.store import Database


@dataclass(frozen=True, kw_only=True)
class Span:
    """The samples of one source in a time span; ``until`` is excluded."""

    kind: str
    source: str
    since: datetime
    until: datetime


class SampleStore:
    """The table ``samples``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, batch: Sequence[Sample]) -> None:
        """Store rows; one that is there already (another replica heard it too) is left alone."""
        statement = self._database.insert(samples).on_conflict_do_nothing()
        async with self._database.transaction() as connection:
            await connection.execute(statement, [asdict(sample) for sample in batch])

    async def forget_before(self, moment: datetime) -> int:
        """Delete some of what is older, and return how many; 0 = that was all."""
        return await forget_some(self._database, samples.c.at, before=moment)

    async def read(self, span: Span, *, most: int) -> list[Sample]:
        """Return at most some ``most`` rows, evenly chosen, the last one always among them.

        The database chooses, so that a quarter of a year is not loaded to draw one line. One
        statement counts and reads: what is written between two would be read without being counted.
        """
        here = _condition(span)
        number = func.row_number().over(order_by=samples.c.at.desc()).label("number")
        numbered = select(samples, number).where(here).subquery()
        total = select(func.count()).select_from(samples).where(here).scalar_subquery()
        chosen = (numbered.c.number - 1) % ((total + most - 1) // most) == 0
        columns = [numbered.c[column.name] for column in samples.c]
        wanted = select(*columns).where(chosen).order_by(numbered.c.at)
        async with self._database.transaction() as connection:
            return [Sample(**values_of(row)) for row in await connection.execute(wanted)]


def _condition(span: Span) -> ColumnElement[bool]:
    return (
        (samples.c.kind == span.kind)
        & (samples.c.source == span.source)
        & (samples.c.at >= span.since)
        & (samples.c.at < span.until)
    )
