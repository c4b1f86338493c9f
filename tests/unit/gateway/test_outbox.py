"""The outbox on SQLite, and on PostgreSQL where its server is installed."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.outbox import Counts, Outbox, Outgoing, State, Transaction, box, open_outbox
from tests.postgres import Postgres, need_programs

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
UP = "ws://host CP"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres(need_programs())
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'gateway.sqlite3'}"
    return str(request.getfixturevalue("postgres").new_database())


@pytest.fixture
async def outbox(url: str) -> AsyncIterator[Outbox]:
    opened = await open_outbox(url)
    yield opened
    await opened.close()


def message(frame_id: str, **fields: Any) -> Outgoing:
    values = {"uplink": UP, "action": "DataTransfer", "payload_text": "{}", "created_at": NOW}
    return Outgoing(frame_id=frame_id, **{**values, **fields})


def transaction(**fields: Any) -> Transaction:
    values = {
        "key": "bay-1 now",
        "uplink": UP,
        "evse_id": "bay-1",
        "connector": 1,
        "token": "T",
        "meter_start_wh": 5,
        "started_at": NOW,
    }
    return Transaction(**{**values, **fields})


async def put(outbox: Outbox, *messages: Outgoing) -> None:
    async with outbox.writing() as batch:
        for one in messages:
            await batch.put(one)


async def take_all(outbox: Outbox, uplink: str = UP) -> list[str]:
    taken = []
    while (first := await outbox.first_waiting(uplink)) is not None:
        taken.append(first.frame_id)
        async with outbox.writing() as batch:
            await batch.settle(first, State.ANSWERED, now=NOW)
    return taken


async def test_messages_leave_in_the_order_they_came(outbox: Outbox) -> None:
    await put(outbox, *(message(f"m{n}") for n in (3, 1, 2)), message("x", uplink="other"))
    assert await take_all(outbox) == ["m3", "m1", "m2"]
    assert await take_all(outbox, "other") == ["x"]


async def test_repetition_is_kept_once_even_after_it_was_answered(outbox: Outbox) -> None:
    await put(outbox, message("m"), message("m"), message("m", uplink="other"))
    assert await take_all(outbox) == ["m"]
    await put(outbox, message("m"))
    assert await take_all(outbox) == []
    assert await outbox.counts("other") == Counts(waiting=1, failed=0)


async def test_text_comes_back_byte_for_byte(outbox: Outbox) -> None:
    text = '{ "ä":"\\u0000 \\/ \\ud83d😀" ,\t"n":1.50 }' + "x" * 100_000
    await put(outbox, message("m", payload_text=text))
    first = await outbox.first_waiting(UP)
    assert first is not None
    assert first.payload_text == text
    assert first.created_at == NOW


async def test_failed_message_is_kept_and_counted(outbox: Outbox) -> None:
    await put(outbox, message("m"))
    first = await outbox.first_waiting(UP)
    assert first is not None
    async with outbox.writing() as batch:
        await batch.count_attempt(first, reason="no")
        await batch.settle(first, State.FAILED, now=NOW, reason="no")
    assert await outbox.counts(UP) == Counts(waiting=0, failed=1)
    await outbox.prune(before=NOW + timedelta(days=400))
    assert await outbox.counts(UP) == Counts(waiting=0, failed=1)


async def test_answered_messages_are_forgotten_after_a_while(outbox: Outbox) -> None:
    await put(outbox, message("m"))
    await take_all(outbox)
    await outbox.prune(before=NOW)
    await put(outbox, message("m"))
    assert await take_all(outbox) == [], "not old enough"
    await outbox.prune(before=NOW + timedelta(seconds=1))
    await put(outbox, message("m"))
    assert await take_all(outbox) == ["m"]


async def test_forgetting_goes_step_by_step(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(box, "PRUNED_AT_ONCE", 2)
    names = [f"m{number}" for number in range(5)]
    for name in names:
        await put(outbox, message(name))
    await take_all(outbox)
    later = NOW + timedelta(seconds=1)
    assert [await outbox.prune(before=later) for _ in range(4)] == [2, 2, 1, 0]


async def test_nothing_of_a_broken_batch_is_kept(outbox: Outbox) -> None:
    async def broken() -> None:
        async with outbox.writing() as batch:
            await batch.put(message("m"))
            raise RuntimeError("killed here")

    with pytest.raises(RuntimeError, match="killed here"):
        await broken()
    assert await outbox.first_waiting(UP) is None


async def test_what_was_kept_is_there_without_a_clean_end(url: str) -> None:
    killed = await open_outbox(url)
    async with killed.writing() as batch:
        await batch.begin(transaction())
        await batch.put(message("m", transaction_key="bay-1 now"))
        await batch.keep(UP, "boot", "{}")
    after = await open_outbox(url)
    try:
        assert await after.open_transactions() == (transaction(),)
        assert await after.settings(UP) == {"boot": "{}"}
        assert await take_all(after) == ["m"]
    finally:
        await after.close()
        await killed.close()


async def test_transaction_is_found_by_every_name(outbox: Outbox) -> None:
    begun = transaction(station_id="S", local_id=3)
    async with outbox.writing() as batch:
        await batch.begin(begun)
        await batch.begin(transaction(token="a repetition changes nothing"))
        await batch.map_transaction(begun.key, 2**31 - 1)
        found = await batch.of_station("S", 3)
    known = transaction(station_id="S", local_id=3, backend_id=2**31 - 1)
    assert found == known
    assert await outbox.transaction(begun.key) == known
    assert await outbox.by_backend_id(UP, 2**31 - 1) == known
    assert await outbox.by_backend_id("other", 2**31 - 1) is None
    async with outbox.writing() as batch:
        await batch.end(begun.key, now=NOW)
    assert await outbox.open_transactions() == ()


async def test_only_the_last_state_is_kept_in_its_place_among_messages(outbox: Outbox) -> None:
    async with outbox.writing() as batch:
        await batch.replace(UP, "status/1", action="S", payload_text="old")
        await batch.put(message("m"))
        await batch.replace(UP, "status/1", action="S", payload_text="new")
        await batch.replace(UP, "status/2", action="S", payload_text="two")
    first = await outbox.first_waiting(UP)
    one, two = await outbox.slots(UP)
    assert first is not None
    assert (one.payload_text, one.version, one.after_id) == ("new", 2, first.id)
    async with outbox.writing() as batch:
        await batch.repeat(UP, "status/2")
        assert await batch.drop(UP, "status/1")
        assert not await batch.drop(UP, "status/1")
    (kept,) = await outbox.slots(UP)
    assert (kept.name, kept.version) == ("status/2", two.version + 1)


async def test_setting_is_overwritten(outbox: Outbox) -> None:
    async with outbox.writing() as batch:
        await batch.keep(UP, "config/X", "1")
        await batch.keep(UP, "config/X", "2")
    assert await outbox.settings(UP) == {"config/X": "2"}


async def test_bell_rings_for_the_uplink_that_got_something(outbox: Outbox) -> None:
    await put(outbox, message("m"))
    assert outbox.bell(UP).is_set()
    assert not outbox.bell("other").is_set()


async def test_message_id_is_the_same_each_time_and_fits(outbox: Outbox) -> None:
    await put(outbox, message("m"), message("n"))
    first = await outbox.first_waiting(UP)
    again = await outbox.first_waiting(UP)
    assert first is not None
    assert again is not None
    assert first.message_id == again.message_id
    assert len(first.message_id) == 36
