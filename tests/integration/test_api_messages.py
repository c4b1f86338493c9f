"""Message log and meter values: both databases, then over HTTP and the bus."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from api import service
from api.domain.message_log import Direction, FrameKind, MessageFilter
from api.storage import forgetting
from api.storage import messages as messages_module
from api.storage import meter_values as meter_values_module
from api.storage.bulk import bulk_transaction
from api.storage.messages import MessageStore
from api.storage.meter_values import MeterValueStore
from api.storage.tables import messages, meter_values
from shared.contracts.ocpp import LogRow, MessagesLogged
from shared.contracts.session import MeterRow, MeterValuesRecorded, SessionStarted
from shared.errors import StoreUnavailable
from shared.store import Database, open_database
from tests.conditions import eventually
from tests.integration.test_api import RunningApi, running
from tests.postgres import Postgres, postgres  # noqa: F401 - a fixture
from tests.wire import Wire

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOSTILE = (
    "\x00" * 10,
    "nul \x00 within",
    "half \ud83d of a pair",
    "\udfff\ud800",
    "x" * 65_536,
    "ü" * 65_536,
    "\U0010ffff" * 100,
    "'; DROP TABLE messages; --",
    "\\x00 \\. \t \n \r",
    "%_/",
    "",
)


def frame(number: int = 0, **changes: Any) -> LogRow:
    at = (NOON + timedelta(seconds=number)).timestamp()
    said = f'[2,"{number}","Heartbeat",{{}}]'
    row = LogRow("Box-1", at, True, 2, str(number), "Heartbeat", said, None, "")
    return row._replace(**changes)


def value(number: int = 0, **changes: Any) -> MeterRow:
    at = (NOON + timedelta(seconds=number)).timestamp()
    named = ("Box-1", 1, "bay/1", 7, at, at + 1, "Sample.Periodic")
    row = MeterRow(f"Box-1/{number}", *named, 1000.0 + number, *repeat(None, 10))
    return row._replace(**changes)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'bulk.sqlite3'}"
    url: str = request.getfixturevalue("postgres").new_database()
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await open_database(database_url, service="api", migrations=service.MIGRATIONS)
    yield opened
    await opened.close()


async def count(database: Database, table: Any) -> int:
    async with database.transaction() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


async def numbers(store: MessageStore, which: MessageFilter, *, limit: int) -> list[list[str]]:
    """Return the message ids of every page."""
    pages, before = [], None
    while True:
        page = await store.page(which, before=before, limit=limit)
        pages.append([message.message_id for message in page.items])
        if page.next is None:
            return pages
        before = page.next


async def test_frames_are_read_newest_first_page_by_page(database: Database) -> None:
    store = MessageStore(database)
    await store.add([frame(number) for number in range(5)])
    assert await numbers(store, MessageFilter(), limit=2) == [["4", "3"], ["2", "1"], ["0"]]


async def test_frames_of_one_moment_keep_their_order_and_none_is_shown_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MessageStore(database)
    rows = [frame(0, message_id=str(number)) for number in range(10)]
    await store.add(rows)
    newest_first = [str(number) for number in reversed(range(10))]
    for scanned in (1, 3, 4, 100):
        monkeypatch.setattr(messages_module, "SCANNED", scanned)
        for which in (MessageFilter(), MessageFilter(action="Heartbeat")):
            pages = await numbers(store, which, limit=4)
            assert [number for page in pages for number in page] == newest_first


async def test_a_rare_frame_is_found_although_no_page_looks_through_everything(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages_module, "SCANNED", 10)
    store = MessageStore(database)
    await store.add([frame(n, action="Rare" if n == 3 else "Heartbeat") for n in range(35)])
    pages = await numbers(store, MessageFilter(action="Rare"), limit=5)
    assert pages == [[], [], [], ["3"]]
    found = [page async for page in store.every(MessageFilter(action="Rare"), most=100)]
    assert [message.message_id for page in found for message in page] == ["3"]


@pytest.mark.parametrize(
    ("which", "wanted"),
    [
        (MessageFilter(station_id="Box-2"), ["3"]),
        (MessageFilter(action="Authorize"), ["2"]),
        (MessageFilter(direction=Direction.OUT), ["1"]),
        (MessageFilter(direction=Direction.IN, kind=FrameKind.CALL), ["3", "2", "0"]),
        (MessageFilter(kind=FrameKind.ERROR), ["1"]),
        (MessageFilter(text="TAG%1"), ["2"]),
        (MessageFilter(text="tag_1"), []),
        (MessageFilter(text="größe Ü"), ["3"]),
        (MessageFilter(text="größe ü"), []),
        (
            MessageFilter(since=NOON + timedelta(seconds=1), until=NOON + timedelta(seconds=3)),
            ["2", "1"],
        ),
        (MessageFilter(station_id="Box-1", text="heartbeat", since=NOON), ["1", "0"]),
    ],
)
async def test_filters(database: Database, which: MessageFilter, wanted: list[str]) -> None:
    store = MessageStore(database)
    rows = [
        frame(0),
        frame(1, inbound=False, kind=4, latency_ms=2.5, repairs="case"),
        frame(2, action="Authorize", text='[2,"2","Authorize",{"idTag":"tag%1"}]'),
        frame(3, station_id="Box-2", text="GRößE Ü"),
    ]
    await store.add(rows)
    page = await store.page(which, limit=10)
    assert [message.message_id for message in page.items] == wanted


async def test_hostile_frames_are_stored_and_lose_no_neighbour(database: Database) -> None:
    store = MessageStore(database)
    rows = [
        frame(n, text=said, action=said, message_id=said, station_id=said, repairs=said)
        for n, said in enumerate(HOSTILE)
    ]
    odd = [frame(90, at=1e300), frame(91, kind=-5), frame(92, latency_ms=float("inf"))]
    await store.add([*rows, *odd])
    page = await store.page(MessageFilter(), limit=100)
    assert len(page.items) == len(rows) + len(odd)
    texts = {message.text for message in page.items}
    assert {"x" * 65_536, "ü" * 65_536, "\U0010ffff" * 100, "nul ␀ within"} <= texts
    json.dumps([message.text for message in page.items]).encode("ascii")


async def test_only_the_newest_rows_are_kept(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages_module, "STEP", 10)
    store = MessageStore(database)
    await store.add([frame(number) for number in range(45)])
    assert [await store.forget_beyond(20) for _ in range(4)] == [10, 10, 5, 0]
    page = await store.page(MessageFilter(), limit=100)
    assert [message.message_id for message in page.items] == [str(n) for n in range(44, 24, -1)]
    assert (await store.page(MessageFilter(), before=1, limit=5)).items == [], "it was deleted"


async def test_frames_and_values_go_when_they_are_old(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, values = MessageStore(database), MeterValueStore(database)
    monkeypatch.setattr(forgetting, "STEP", 10)
    await log.add([frame(number) for number in range(25)])
    await values.add([value(number) for number in range(25)])
    moment = NOON + timedelta(seconds=15)
    assert [await log.forget_before(moment) for _ in range(3)] == [10, 5, 0]
    moment += timedelta(seconds=1)  # a value is received a second after it was sampled
    assert [await values.forget_before(moment) for _ in range(3)] == [10, 5, 0]
    left = await values.of_transaction("Box-1", 7, limit=100)
    assert [one.energy_wh for one in left] == [1000.0 + number for number in range(15, 25)]


async def test_a_value_that_is_repeated_is_counted_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter_values_module, "STEP", 3)
    store = MeterValueStore(database)
    await store.add([value(1), value(2), value(1)])
    await store.add([value(2, energy_wh=9.0), *(value(number) for number in range(3, 12))])
    found = await store.of_transaction("Box-1", 7, limit=100)
    assert [one.value_id for one in found] == [f"Box-1/{number}" for number in range(1, 12)]
    assert found[1].energy_wh == 1002.0, "the first word counts"


async def test_a_value_comes_back_as_it_was_told(database: Database) -> None:
    store = MeterValueStore(database)
    told = MeterRow(
        *("id", "Box-1", 2, None, 2**40, None, NOON.timestamp(), None),
        *(1.5, 0.0, -3.0, 6.0, 7.0, 8.0, 230.0, 231.0, 232.0, 55.0, 16.0),
    )
    await store.add([told])
    (found,) = await store.of_transaction("Box-1", 2**40, limit=1)
    assert (found.sampled_at, found.received_at) == (None, NOON)
    names = MeterRow._fields[8:]
    assert [getattr(found, name) for name in names] == list(told[8:])
    assert (found.connector, found.evse_id, found.context) == (2, None, None)


async def test_hostile_values_are_stored_and_lose_no_neighbour(database: Database) -> None:
    store = MeterValueStore(database)
    rows = [
        value(n, value_id=f"{n}{said}", station_id=said, evse_id=said, context=said)
        for n, said in enumerate(HOSTILE)
    ]
    odd = [
        value(90, connector=2**40, transaction_id=2**70),
        value(91, connector=-(2**40), sampled_at=float("nan"), received_at=float("inf")),
        value(92, energy_wh=float("nan"), power_w=float("-inf")),
    ]
    await store.add([*rows, *odd])
    assert await count(database, meter_values) == len(rows) + len(odd)


async def test_nothing_to_add_is_no_error(database: Database) -> None:
    await MessageStore(database).add([])
    await MeterValueStore(database).add([])
    assert await count(database, messages) == 0


@pytest.mark.postgres
async def test_rows_wait_while_postgresql_is_away_and_are_whole_afterwards(
    postgres: Postgres,  # noqa: F811 - the fixture
) -> None:
    url = make_url(postgres.new_database())
    async with Wire("127.0.0.1", postgres.port) as wire:
        through = url.set(port=wire.port).render_as_string(hide_password=False)
        database = await open_database(through, service="api", migrations=service.MIGRATIONS)
        log, values = MessageStore(database), MeterValueStore(database)
        rows, frames = [value(n) for n in range(5_000)], [frame(n) for n in range(5_000)]
        for cut_after in (200_000, 1):
            wire.cut(after_bytes=cut_after)
            with pytest.raises(StoreUnavailable):
                await values.add(rows)
            wire.cut(after_bytes=cut_after)
            with pytest.raises(StoreUnavailable):
                await log.add(frames)
        wire.unplug()
        with pytest.raises(StoreUnavailable):
            await values.add(rows)
        wire.plug()
        assert await count(database, meter_values) == await count(database, messages) == 0
        await values.add(rows)
        await log.add(frames)
        assert await count(database, meter_values) == await count(database, messages) == 5_000
        await database.close()


@pytest.mark.postgres
async def test_a_postgresql_that_shuts_down_is_away(
    postgres: Postgres,  # noqa: F811 - the fixture
) -> None:
    database = await open_database(
        postgres.new_database(), service="api", migrations=service.MIGRATIONS
    )
    others = await open_database(
        str(database.engine.url), service="api", migrations=service.MIGRATIONS
    )
    store = MeterValueStore(database)
    async with others.engine.connect() as holder:
        await holder.execute(text("LOCK TABLE meter_values"))
        adding = asyncio.create_task(store.add([value()]))
        waiting = text(
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND datname = current_database()"
        )
        pid = await eventually(lambda: holder.scalar(waiting))
        await holder.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        with pytest.raises(StoreUnavailable):
            await adding
    await store.add([value()])
    assert await count(database, meter_values) == 1
    await database.close()
    await others.close()


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (asyncpg.InterfaceError("connection is closed"), StoreUnavailable),
        (asyncpg.ConnectionDoesNotExistError("closed in mid-operation"), StoreUnavailable),
        (asyncpg.AdminShutdownError("by administrator"), StoreUnavailable),
        (asyncpg.CannotConnectNowError("starting up"), StoreUnavailable),
        (asyncpg.ReadOnlySQLTransactionError("standby"), StoreUnavailable),
        (asyncpg.DeadlockDetectedError("deadlock"), StoreUnavailable),
        (asyncpg.DiskFullError("no space left"), StoreUnavailable),
        (asyncpg.CharacterNotInRepertoireError("0x00"), asyncpg.CharacterNotInRepertoireError),
        (asyncpg.UndefinedTableError("messages"), asyncpg.UndefinedTableError),
    ],
)
async def test_only_errors_that_say_nothing_against_the_rows_are_tried_again(
    tmp_path: Path, error: Exception, raised: type[Exception]
) -> None:
    database = Database(create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'any.sqlite3'}"))
    with pytest.raises(raised):
        async with bulk_transaction(database):
            raise error
    await database.close()


async def test_a_full_disk_keeps_rows_in_their_queue(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'full.sqlite3'}"
    database = await open_database(url, service="api", migrations=service.MIGRATIONS)
    async with database.engine.connect() as connection:
        used = await connection.scalar(text("PRAGMA page_count"))
        await connection.execute(text(f"PRAGMA max_page_count = {used + 5}"))
    with pytest.raises(StoreUnavailable):
        await MessageStore(database).add([frame(n, text="x" * 60_000) for n in range(50)])
    assert await count(database, messages) == 0
    await database.close()


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running(tmp_path, database_url) as started:
        await started.put_site()
        yield started


async def log_of(api: RunningApi, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = await api.client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_the_log_is_read_over_http(api: RunningApi) -> None:
    rows = (
        frame(0),
        frame(1, inbound=False, kind=3, latency_ms=0.5, repairs="case blank"),
        frame(2, station_id="garage/Box 9", action="Authorize"),
    )
    await api.bus.publish(MessagesLogged(instance="o", rows=rows))
    await eventually(lambda: log_of(api, "/messages", action="Authorize"))
    newest, second, first = await log_of(api, "/messages")
    assert second == {
        "id": second["id"],
        "at": "2026-03-01T12:00:01+00:00",
        "station_id": "Box-1",
        "direction": "out",
        "kind": "result",
        "message_id": "1",
        "action": "Heartbeat",
        "text": '[2,"1","Heartbeat",{}]',
        "latency_ms": 0.5,
        "repairs": ["case", "blank"],
    }
    assert [m["message_id"] for m in await log_of(api, "/stations/box-1/messages")] == ["1", "0"]
    assert await log_of(api, "/stations/garage/Box 9/messages") == [newest]
    assert await log_of(api, "/messages", station="BOX-1", direction="in") == [first]
    span = {"from": "2026-03-01T12:00:01Z", "to": "2026-03-01T12:00:02Z"}
    assert await log_of(api, "/messages", **span) == [second]
    assert await log_of(api, "/messages", kind="result", text="heart") == [second]
    page = (await api.client.get("/messages", params={"limit": 1})).json()
    assert (page["items"], page["next"]) == ([newest], newest["id"])
    assert await log_of(api, "/messages", before=page["next"]) == [second, first]


async def test_the_log_is_downloaded_as_text_one_frame_a_line(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages_module, "DOWNLOADED", 7)
    rows = [frame(number, text=f"line\n{number}") for number in range(20)]
    await api.bus.publish(MessagesLogged(instance="o", rows=tuple(rows)))
    await eventually(lambda: log_of(api, "/messages"))
    answer = await api.client.get("/stations/Box-1/messages", params={"format": "text"})
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert len(lines) == 20
    assert lines[0] == (
        "2026-03-01T12:00:19.000000Z\tBox-1\tin\tcall\tHeartbeat\t\t\tline\\u000a19"
    )
    some = await api.client.get("/messages", params={"format": "text", "limit": 9})
    assert some.text.splitlines() == lines[:9]


@pytest.mark.parametrize(
    "query",
    [
        {"direction": "up"},
        {"kind": "2"},
        {"before": -1},
        {"before": 2**64},
        {"limit": 0},
        {"from": "2026-03-01T12:00:00"},
        {"to": "9999-12-31T23:59:59-12:00"},
        {"text": ""},
        {"format": "pdf"},
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    api: RunningApi, query: dict[str, Any]
) -> None:
    for path in ("/messages", "/stations/Box-1/messages"):
        answer = await api.client.get(path, params=query)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_question_in_hostile_letters_finds_nothing(api: RunningApi) -> None:
    for query in ({"text": "\x00"}, {"action": "\x00"}, {"station": "\x00"}, {"before": 2**62}):
        assert await log_of(api, "/messages", **query) == []
    answer = await api.client.get("/stations/%00%ff/messages")
    assert (answer.status_code, answer.json()) == (200, {"items": [], "next": None})


async def test_the_log_needs_a_token(api: RunningApi) -> None:
    async with httpx.AsyncClient(base_url=api.client.base_url) as stranger:
        for path in ("/messages", "/stations/Box-1/messages"):
            for place in (path, f"{path}/follow"):
                assert (await stranger.get(place)).status_code == 401
        assert (await stranger.get("/sessions/s/meter-values")).status_code == 401


async def test_frames_are_followed_as_they_go(api: RunningApi) -> None:
    async with httpx.AsyncClient(base_url=api.client.base_url, timeout=20) as browser:
        query = {"access_token": "a-token-for-these-tests", "action": "Heartbeat"}
        path = "/stations/box-1/messages/follow"
        async with browser.stream("GET", path, params=query) as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == ": connected"
            rows = (
                frame(0, action="Authorize"),
                frame(1, station_id="Box-2"),
                frame(2, kind=3, inbound=False, latency_ms=1.25, repairs="case", text="\ud800\x00"),
            )
            # As ocpp-server does: what is quick is not checked.
            event = MessagesLogged.model_construct(instance="o", rows=rows)
            await api.bus.publish(event)
            async with asyncio.timeout(10):
                data = await anext(line async for line in lines if line.startswith("data: "))
            told = json.loads(data.removeprefix("data: "))
    assert told["message_id"] == "2"
    assert (told["direction"], told["kind"], told["latency_ms"]) == ("out", "result", 1.25)
    assert (told["repairs"], told["text"], told["id"]) == (["case"], "\\ud800␀", None)


async def test_a_session_shows_what_was_measured_in_its_transaction(api: RunningApi) -> None:
    place = {"evse_id": "bay/1", "station_id": "Box-1", "connector": 1, "started_at": NOON}
    for session_id, transaction_id in (("a/1", 7), ("a/2", 8), ("a/3", None)):
        started = SessionStarted(session_id=session_id, transaction_id=transaction_id, **place)
        await api.bus.publish(started)
    rows = tuple(value(number, l1_a=16.0) for number in (2, 1, 3))
    await api.bus.publish(MeterValuesRecorded(instance="o", rows=rows))
    await api.bus.publish(MeterValuesRecorded(instance="o", rows=rows[:2]))
    answer = await api.client.get("/sessions/a/1/meter-values", params={"limit": 2})
    found = answer.json()
    assert [one["energy_wh"] for one in found] == [1001.0, 1002.0]
    assert found[0]["sampled_at"] == "2026-03-01T12:00:01Z"
    assert found[0]["current_a"] == {"l1": 16.0, "l2": None, "l3": None}
    assert len((await api.client.get("/sessions/a/1/meter-values")).json()) == 3
    for session_id in ("a/2", "a/3"):
        assert (await api.client.get(f"/sessions/{session_id}/meter-values")).json() == []
    assert (await api.client.get("/sessions/none/meter-values")).status_code == 404
    assert (await api.client.get("/sessions/a/1")).json()["session_id"] == "a/1"
    assert (await api.client.get("/stations/Box-1")).json()["id"] == "Box-1"
