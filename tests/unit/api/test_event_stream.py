"""Handing events to followers: filtered, bounded, encoded once."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from api import event_stream
from api.event_stream import MOST_WAITING, EventStream, Follower
from shared.bus.codec import new_metadata
from shared.bus.port import Delivery
from shared.clock import FakeClock
from shared.contracts.message import Event
from shared.contracts.site import OcppServerConfig, SiteChanged, SiteConfig
from shared.contracts.station import StationDisconnected

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def delivered(event: Event) -> Delivery[Event]:
    return Delivery(event, new_metadata("test", FakeClock(NOON), None))


def gone(number: int = 0) -> StationDisconnected:
    return StationDisconnected(station_id=f"s{number}", epoch=1, disconnected_at=NOON)


async def next_of(follower: Follower) -> dict[str, object]:
    async with asyncio.timeout(5):
        event = await anext(follower.events())
    body: dict[str, object] = json.loads(event.text)
    return body


@pytest.mark.parametrize(
    ("patterns", "topic", "wanted"),
    [
        ([], "anything", True),
        (["station.*"], "station.booted.v1", True),
        (["station.*"], "meter.sampled.v1", False),
        (["meter.*", "station.booted.v1"], "station.booted.v1", True),
    ],
)
def test_filter(patterns: list[str], topic: str, wanted: bool) -> None:
    assert Follower(patterns).wants(topic) is wanted


async def test_an_event_carries_topic_time_and_data() -> None:
    stream = EventStream()
    with stream.follow([]) as follower:
        stream.offer(delivered(gone()))
        body = await next_of(follower)
    assert body["topic"] == "station.disconnected.v1"
    assert body["time"] == "2026-03-01T12:00:00+00:00"
    assert isinstance(body["data"], dict)
    assert body["data"]["station_id"] == "s0"


async def test_a_slow_follower_loses_the_oldest() -> None:
    stream = EventStream()
    with stream.follow([]) as follower:
        for number in range(MOST_WAITING + 2):
            stream.offer(delivered(gone(number)))
        body = await next_of(follower)
    assert isinstance(body["data"], dict)
    assert body["data"]["station_id"] == "s2"


async def test_secrets_of_the_site_are_hidden() -> None:
    stream = EventStream()
    site = SiteConfig(ocpp_server=OcppServerConfig(password_hash="secret"))
    with stream.follow([]) as follower:
        stream.offer(delivered(SiteChanged(site=site)))
        body = await next_of(follower)
    assert "secret" not in json.dumps(body)


def test_nothing_is_encoded_when_nobody_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "_streamed", pytest.fail)
    stream = EventStream()
    stream.offer(delivered(gone()))
    with stream.follow(["meter.*"]):
        stream.offer(delivered(gone()))
