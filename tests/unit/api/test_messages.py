"""Message log and meter values outside of the database: rows, lines, followers."""

import asyncio
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.bulk_intake import BulkIntake
from api.domain.message_log import (
    MOST_TEXT,
    Direction,
    FrameKind,
    LoggedMessage,
    MessageFilter,
    as_line,
    logged,
)
from api.domain.meter_record import record_of
from api.domain.storable import moment_of, storable, storable_name
from api.message_feed import MOST_CHARACTERS, MOST_WAITING, MessageFeed, MessageFollower
from api.storage.messages import MessageStore
from api.storage.meter_values import MeterValueStore
from shared.bus.memory import MemoryBus
from shared.contracts.ocpp import LogRow, MessagesLogged
from shared.contracts.session import MeterRow, MeterValuesRecorded
from shared.errors import NotSafe, StoreUnavailable
from tests.conditions import eventually

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CALL = LogRow(
    "Box-1", NOON.timestamp(), True, 2, "1", "Heartbeat", '[2,"1","Heartbeat",{}]', None, ""
)
VALUE = MeterRow(
    "v1", "Box-1", 1, "bay", 7, NOON.timestamp(), NOON.timestamp(), None, *repeat(None, 11)
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ('{"idTag":"ä"}', '{"idTag":"ä"}'),
        ("a\x00b", "a␀b"),
        ("half \ud83d of a pair", "half \\ud83d of a pair"),
        ("whole 😀 pair", "whole 😀 pair"),
        ("x" * 31, "x" * 30),
    ],
)
def test_a_text_is_stored_as_it_is_as_far_as_databases_can(text: str, stored: str) -> None:
    assert storable(text, most=30) == stored


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_whatever_a_station_sends_can_be_stored(text: str) -> None:
    stored = storable(text, most=50)
    assert "\x00" not in stored
    assert stored.encode("utf-8").decode("utf-8") == stored
    if "\x00" not in text and text.isprintable():
        assert stored == text[:50]


def test_an_id_is_stored_as_other_tables_have_it() -> None:
    assert storable_name("\x00tag\x00") == "tag"
    assert len(storable_name("x" * 5000)) == 255


@pytest.mark.parametrize("seconds", [None, math.nan, math.inf, -math.inf, 1e300, -1e18])
def test_what_is_no_moment_is_not_known(seconds: float | None) -> None:
    assert moment_of(seconds) is None


def test_a_frame_is_kept_with_direction_kind_latency_and_repairs() -> None:
    row = CALL._replace(inbound=False, kind=3, latency_ms=1.5, repairs="case trailing")
    assert logged(row) == LoggedMessage(
        id=None,
        at=NOON,
        station_id="Box-1",
        direction=Direction.OUT,
        kind=FrameKind.RESULT,
        message_id="1",
        action="Heartbeat",
        text='[2,"1","Heartbeat",{}]',
        latency_ms=1.5,
        repairs="case trailing",
    )


def test_what_could_not_be_read_is_kept_too_and_no_frame_without_end() -> None:
    message = logged(CALL._replace(kind=77, text="x" * 100_000, latency_ms=math.nan))
    assert message.kind is FrameKind.UNREADABLE
    assert len(message.text) == MOST_TEXT
    assert message.latency_ms is None


@pytest.mark.parametrize(
    ("which", "fits"),
    [
        (MessageFilter(), True),
        (MessageFilter(station_id="Box-1", action="Heartbeat", text="HEARTBEAT"), True),
        (MessageFilter(station_id="Box-2"), False),
        (MessageFilter(action="Authorize"), False),
        (MessageFilter(direction=Direction.OUT), False),
        (MessageFilter(kind=FrameKind.ERROR), False),
        (MessageFilter(text="tag"), False),
        (MessageFilter(text="ÄHEARTBEAT"), False),
    ],
)
def test_filter(which: MessageFilter, fits: bool) -> None:
    assert which.fits(logged(CALL)) is fits


def test_a_line_has_what_happened_and_when() -> None:
    line = as_line(logged(CALL._replace(latency_ms=12.34, repairs="case")))
    assert line == (
        "2026-03-01T12:00:00.000000Z\tBox-1\tin\tcall\tHeartbeat\t12.3 ms\tcase\t"
        '[2,"1","Heartbeat",{}]\n'
    )


@given(st.text(alphabet=st.characters(exclude_categories=())), st.text())
def test_a_frame_is_one_line_whatever_is_in_it(text: str, station_id: str) -> None:
    line = as_line(logged(CALL._replace(text=text, station_id=station_id, action="\n\x1b[2J\t")))
    assert len(line.splitlines()) == 1
    assert line.count("\t") == 7
    assert "\x1b" not in line


def test_a_meter_value_is_stored_as_it_was_told() -> None:
    row = VALUE._replace(energy_wh=1500.0, l1_a=16.0, context="Sample.Periodic")
    assert record_of(row) == (
        *("v1", "Box-1", 1, "bay", 7, NOON, NOON, "Sample.Periodic"),
        *(1500.0, None, None, 16.0, *repeat(None, 7)),
    )


def test_nothing_in_a_meter_value_makes_a_database_refuse_it() -> None:
    record = record_of(
        VALUE._replace(
            value_id="\ud800" * 5000,
            connector=2**40,
            transaction_id=2**70,
            sampled_at=math.nan,
            received_at=1e300,
            energy_wh=math.nan,
            l1_a=math.inf,
            power_w=1e308,
            l2_a=1e308,
        )
    )
    assert isinstance(record[0], str)
    assert len(record[0]) == 64
    assert record[2:7] == (2**31 - 1, "bay", None, None, datetime(1970, 1, 1, tzinfo=UTC))
    assert record[8:14] == (None, None, 1e308, None, 1e308, None)


def test_long_value_ids_stay_different() -> None:
    first, second = (record_of(VALUE._replace(value_id="x" * 300 + end)) for end in "ab")
    assert first[0] != second[0]


async def test_a_slow_follower_loses_the_oldest_and_is_told_how_many() -> None:
    follower = MessageFollower(MessageFilter())
    for number in range(MOST_WAITING + 3):
        follower.offer(logged(CALL._replace(message_id=str(number))))
    lost, messages = await follower.take()
    assert (lost, len(messages), messages[0].message_id) == (3, MOST_WAITING, "3")
    follower.offer(logged(CALL))
    assert (await follower.take())[0] == 0


async def test_long_frames_that_wait_are_bounded_by_their_length() -> None:
    follower = MessageFollower(MessageFilter())
    for _ in range(100):
        follower.offer(logged(CALL._replace(text="x" * MOST_TEXT)))
    lost, messages = await follower.take()
    assert lost + len(messages) == 100
    assert MOST_CHARACTERS - MOST_TEXT < sum(len(m.text) for m in messages) <= MOST_CHARACTERS


@pytest.fixture
async def hub() -> MemoryBus:
    return MemoryBus(services=frozenset({"api"}))


async def test_the_log_is_heard_only_while_somebody_follows(hub: MemoryBus) -> None:
    bus, others = hub.join("api"), hub.join("others")
    feed = MessageFeed(bus)
    running = asyncio.create_task(feed.run())
    for round_ in "first", "second":
        with feed.follow(MessageFilter(action="Heartbeat")) as follower:
            await asyncio.wait_for(feed.heard(), 5)
            rows = (CALL._replace(action="Other"), CALL._replace(message_id=round_))
            await others.publish(MessagesLogged(instance="o", rows=rows))
            _, messages = await asyncio.wait_for(follower.take(), 5)
            assert [message.message_id for message in messages] == [round_]
        await eventually(lambda: not feed._hearing.is_set())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await bus.close()
    await others.close()


async def test_following_goes_on_when_the_broker_is_back(
    hub: MemoryBus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bus = hub.join("api")
    listen, failures = bus.listen, [NotSafe("away")]

    async def once_away(*arguments: object, **options: object) -> object:
        if failures:
            raise failures.pop()
        return await listen(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(bus, "listen", once_away)
    monkeypatch.setattr("api.message_feed.RETRY_S", 0)
    feed = MessageFeed(bus)
    running = asyncio.create_task(feed.run())
    with feed.follow(MessageFilter()):
        await asyncio.wait_for(feed.heard(), 5)
    assert [r.message for r in caplog.records] == ["the message log cannot be followed: away"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await bus.close()


class FakeMessages(MessageStore):
    """A log in a list."""

    def __init__(self) -> None:
        self.added: list[LogRow] = []

    async def add(self, rows: Sequence[LogRow]) -> None:
        self.added.extend(rows)


class FakeValues(MeterValueStore):
    """Meter values in a dictionary, and a switch that takes the database away."""

    def __init__(self) -> None:
        self.rows: dict[str, MeterRow] = {}
        self.is_away = False

    async def add(self, rows: Sequence[MeterRow]) -> None:
        if self.is_away:
            raise StoreUnavailable("away")
        self.rows.update({row.value_id: row for row in rows})


async def test_values_are_safe_when_published_and_wait_while_the_database_is_away(
    hub: MemoryBus,
) -> None:
    messages, values, others = FakeMessages(), FakeValues(), hub.join("others")
    values.is_away = True
    intake = BulkIntake(hub.join("api"), messages, values)
    await intake.open()
    publishing = asyncio.create_task(
        others.publish(MeterValuesRecorded(instance="o", rows=(VALUE,)))
    )
    await others.publish(MessagesLogged(instance="o", rows=(CALL,)))
    await eventually(lambda: messages.added == [CALL])
    assert not publishing.done()
    values.is_away = False
    await asyncio.wait_for(publishing, 10)
    assert list(values.rows) == ["v1"]
    await intake.close()
    await others.close()
