"""Messages go onto the wire without waiting for each other, and the socket is felt now and then."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from shared.bus.codec import new_metadata
from shared.bus.port import Delivery
from shared.bus.rabbit_link import Session
from shared.bus.rabbit_publisher import MOST_UNDRAINED, RabbitPublisher
from shared.bus.rabbit_wire import Outgoing, to_amqp
from shared.clock import FakeClock
from shared.contracts.message import Event
from shared.errors import NotSafe
from tests.conditions import eventually
from tests.contract_facts import ended, sample, started


class FakeChannel:
    """Both kinds of channel in one: remembers what is published, and confirms when it is let."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bool]] = []
        """Which topic, and whether the publisher waited for the socket."""
        self.confirms = asyncio.Event()
        self.confirms.set()
        self.is_closed = False

    async def channel(self, *, confirms: bool = False) -> "FakeChannel":
        return self

    async def get_underlay_channel(self) -> "FakeChannel":
        return self

    async def basic_publish(
        self, body: bytes, *, properties: Any, mandatory: bool, wait: bool, **_: Any
    ) -> None:
        self.published.append((properties.message_type, wait))
        if mandatory:
            await self.confirms.wait()
        elif wait:
            await asyncio.sleep(0)


@pytest.fixture
async def channel() -> FakeChannel:
    """A channel that confirms at once."""
    return FakeChannel()


@pytest.fixture
async def publisher(channel: FakeChannel) -> AsyncIterator[RabbitPublisher]:
    """A publisher on that channel."""
    opened = RabbitPublisher(safe_within_s=5.0)
    await opened.set_up(cast(Session, channel))
    yield opened
    await opened.close()


def delivery(event: Event) -> Delivery[Any]:
    """Return an event as it is handed over."""
    return Delivery(event, new_metadata("test", FakeClock(), None))


def outgoing(event: Event) -> Outgoing:
    """Return an event on its way."""
    return Outgoing("x", event.routing_key, to_amqp(delivery(event)))


async def test_facts_are_written_while_others_wait_for_their_confirms(
    publisher: RabbitPublisher, channel: FakeChannel
) -> None:
    channel.confirms.clear()
    facts = [outgoing(started(str(number))) for number in range(20)]
    publishing = [asyncio.ensure_future(publisher.publish_safely(fact)) for fact in facts]
    await eventually(lambda: len(channel.published) == 20)
    assert not any(wait for _, wait in channel.published)
    assert not any(task.done() for task in publishing)
    channel.confirms.set()
    await asyncio.gather(*publishing)


async def test_samples_of_several_topics_keep_their_order(
    publisher: RabbitPublisher, channel: FakeChannel
) -> None:
    events = [sample(1), started("1"), started("2"), sample(2), ended("1")]
    for event in events:
        publisher.offer(delivery(event))
    await eventually(lambda: len(channel.published) == 4)
    topics = [event.topic for event in (events[0], events[1], events[3], events[4])]
    assert [topic for topic, _ in channel.published] == topics


async def test_socket_is_waited_for_when_nothing_more_waits(
    publisher: RabbitPublisher, channel: FakeChannel
) -> None:
    for event in (sample(1), started("1"), sample(2)):
        publisher.offer(delivery(event))
    await eventually(lambda: len(channel.published) == 3)
    assert [wait for _, wait in channel.published] == [False, False, True]


async def test_socket_is_waited_for_now_and_then_while_more_waits(
    publisher: RabbitPublisher, channel: FakeChannel
) -> None:
    for number in range(MOST_UNDRAINED):
        publisher.offer(delivery(sample(number)))
        publisher.offer(delivery(started(str(number))))
    await eventually(lambda: len(channel.published) == 2 * MOST_UNDRAINED)
    waited = [place for place, (_, wait) in enumerate(channel.published, 1) if wait]
    assert waited == [MOST_UNDRAINED, 2 * MOST_UNDRAINED]


async def test_closed_channel_takes_nothing(
    publisher: RabbitPublisher, channel: FakeChannel
) -> None:
    channel.is_closed = True
    with pytest.raises(NotSafe):
        await publisher.publish_once(outgoing(started("1")))
    publisher.offer(delivery(sample(1)))
    await eventually(lambda: publisher.dropped == 1)
    assert not channel.published


async def test_confirm_may_take_as_long_as_the_caller_says(
    publisher: RabbitPublisher, channel: FakeChannel
) -> None:
    channel.confirms.clear()
    with pytest.raises(NotSafe):
        await publisher.publish_once(outgoing(started("1")), within_s=0.01)
