"""A service's database: what is the same on both kinds."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, delete, select
from sqlalchemy.ext.asyncio import create_async_engine

from shared.store import Database, replacing
from tests.postgres import postgres  # noqa: F401 - a fixture

metadata = MetaData()
shelves = Table(
    "shelves",
    metadata,
    Column("name", String(8), primary_key=True),
    Column("books", Integer, nullable=False),
)
boxes = Table(
    "boxes",
    metadata,
    Column("room", String(8), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("colour", String(8), nullable=False),
    Column("weight", Integer, nullable=False),
)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'shelves.sqlite3'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").new_database()
    opened = Database(create_async_engine(url))
    async with opened.transaction() as connection:
        await connection.run_sync(metadata.create_all)
    yield opened
    await opened.close()


async def rows(database: Database) -> list[tuple[str, int]]:
    async with database.transaction() as connection:
        return [tuple(row) for row in await connection.execute(select(shelves))]


async def test_a_row_that_is_there_is_left_alone(database: Database) -> None:
    adding = database.insert(shelves).on_conflict_do_nothing()
    async with database.transaction() as connection:
        for books in (1, 2):
            await connection.execute(adding, [{"name": "left", "books": books}])
    assert await rows(database) == [("left", 1)]


async def test_a_row_that_is_there_is_replaced_kept_or_merged(database: Database) -> None:
    adding = database.insert(boxes)
    more = boxes.c.weight + adding.excluded.weight
    found = []
    for way in (
        replacing(adding),
        replacing(adding, kept={"weight"}),
        replacing(adding, weight=more),
    ):
        async with database.transaction() as connection:
            first = [{"room": "a", "number": 1, "colour": "red", "weight": 1}]
            await connection.execute(replacing(adding), first)
            await connection.execute(way, [{**first[0], "colour": "blue", "weight": 2}])
            await connection.execute(way, [{**first[0], "number": 2}])
            found += (await connection.execute(select(boxes).order_by(boxes.c.number))).all()
            await connection.execute(delete(boxes))
    other = ("a", 2, "red", 1)
    assert found == [
        *[("a", 1, "blue", 2), other],
        *[("a", 1, "blue", 1), other],
        *[("a", 1, "blue", 3), other],
    ]


async def test_a_row_that_is_there_is_changed(database: Database) -> None:
    adding = database.insert(shelves)
    changing = adding.on_conflict_do_update(
        index_elements=["name"], set_={"books": shelves.c.books + adding.excluded.books}
    )
    async with database.transaction() as connection:
        for books in (1, 2):
            await connection.execute(changing, [{"name": "left", "books": books}])
    assert await rows(database) == [("left", 3)]
