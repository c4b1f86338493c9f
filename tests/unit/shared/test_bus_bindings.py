"""An address counts as bound when the broker has confirmed it, however many are bound together."""

import asyncio
from typing import Any, cast

import pytest

from shared.bus.rabbit_bindings import MOST_IN_A_ROUND, RabbitBindings
from shared.bus.rabbit_link import Session
from shared.bus.topology import ownership_key
from shared.contracts.message import Address, station_address
from shared.errors import NotSafe

FIRST, SECOND, THIRD = (station_address(name) for name in ("CP#1", "CP#2", "CP#3"))


class FakeBroker:
    """A session, its channels and its queue in one. It confirms when it is let."""

    name = "inbox"

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, bool]] = []
        """What, which key, and whether it has to be confirmed."""
        self.confirms = asyncio.Event()
        self.confirms.set()
        self.is_broken = self.is_given_up = False

    async def channel(self) -> "FakeBroker":
        return self

    async def get_underlay_channel(self) -> "FakeBroker":
        return self

    def give_up(self, why: str) -> None:
        self.is_given_up = "not confirmed" in why

    async def queue_bind(self, queue: str, exchange: str, key: str, nowait: bool = False) -> None:
        self.sent.append(("bind", key, not nowait))
        if not nowait:
            await self._confirm()

    async def queue_unbind(self, queue: str, exchange: str, key: str) -> None:
        self.sent.append(("unbind", key, True))
        await self._confirm()

    async def _confirm(self) -> None:
        await self.confirms.wait()
        if self.is_broken:
            raise ConnectionError


class Inbox:
    """What is owned, and the bindings that follow it."""

    def __init__(self) -> None:
        self.owned: list[Address] = []
        self.bindings = RabbitBindings(lambda address: address in self.owned)

    async def connect(self, broker: FakeBroker) -> None:
        await self.bindings.set_up(cast(Session, broker), cast(Any, broker), self.owned)

    def own(self, *addresses: Address) -> asyncio.Task[None]:
        self.owned += addresses
        return asyncio.ensure_future(self.bindings.settle(addresses))

    def release(self, address: Address) -> asyncio.Task[None]:
        self.owned.remove(address)
        return asyncio.ensure_future(self.bindings.settle([address]))


@pytest.fixture
async def broker() -> FakeBroker:
    """A broker that confirms at once."""
    return FakeBroker()


@pytest.fixture
async def inbox(broker: FakeBroker) -> Inbox:
    """An inbox that is connected and owns nothing."""
    opened = Inbox()
    await opened.connect(broker)
    return opened


async def a_moment() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_confirmation_ends_a_round(inbox: Inbox, broker: FakeBroker) -> None:
    await inbox.own(FIRST, SECOND, THIRD)
    keys = [ownership_key(address) for address in (FIRST, SECOND, THIRD)]
    assert broker.sent == [
        ("bind", keys[0], False),
        ("bind", keys[1], False),
        ("bind", keys[2], True),
    ]


async def test_nothing_counts_as_bound_before_the_last_is_confirmed(
    inbox: Inbox, broker: FakeBroker
) -> None:
    broker.confirms.clear()
    owning = inbox.own(FIRST, SECOND)
    await a_moment()
    assert len(broker.sent) == 2
    assert FIRST not in inbox.bindings
    assert not owning.done()
    broker.confirms.set()
    await owning
    assert FIRST in inbox.bindings
    assert SECOND in inbox.bindings


async def test_what_comes_while_the_broker_is_busy_goes_together(
    inbox: Inbox, broker: FakeBroker
) -> None:
    broker.confirms.clear()
    owning = [inbox.own(FIRST)]
    await a_moment()
    owning += [inbox.own(SECOND), inbox.own(THIRD)]
    await a_moment()
    broker.confirms.set()
    await asyncio.gather(*owning)
    assert [confirmed for _, _, confirmed in broker.sent] == [True, False, True]


async def test_released_while_it_is_being_bound_is_unbound_after_it(
    inbox: Inbox, broker: FakeBroker
) -> None:
    broker.confirms.clear()
    changes = [inbox.own(FIRST)]
    await a_moment()
    changes += [inbox.release(FIRST)]
    await a_moment()
    broker.confirms.set()
    await asyncio.gather(*changes)
    assert [what for what, _, _ in broker.sent] == ["bind", "unbind"]
    assert FIRST not in inbox.bindings


async def test_taken_again_while_it_is_being_unbound_is_bound_after_it(
    inbox: Inbox, broker: FakeBroker
) -> None:
    await inbox.own(FIRST)
    broker.confirms.clear()
    changes = [inbox.release(FIRST)]
    await a_moment()
    assert FIRST not in inbox.bindings
    changes += [inbox.own(FIRST)]
    await a_moment()
    broker.confirms.set()
    await asyncio.gather(*changes)
    assert [what for what, _, _ in broker.sent] == ["bind", "unbind", "bind"]
    assert FIRST in inbox.bindings


async def test_taken_and_released_before_its_turn_costs_nothing(
    inbox: Inbox, broker: FakeBroker
) -> None:
    broker.confirms.clear()
    changes = [inbox.own(FIRST)]
    await a_moment()
    changes += [inbox.own(SECOND), inbox.release(SECOND)]
    await a_moment()
    broker.confirms.set()
    await asyncio.gather(*changes)
    assert [key for _, key, _ in broker.sent] == [ownership_key(FIRST)]


@pytest.mark.parametrize("releases", [False, True])
async def test_round_that_is_not_confirmed_ends_the_session(
    inbox: Inbox, broker: FakeBroker, releases: bool
) -> None:
    await inbox.own(FIRST)
    broker.is_broken = True
    await (inbox.release(FIRST) if releases else inbox.own(SECOND, THIRD))
    assert broker.is_given_up
    assert SECOND not in inbox.bindings
    assert (FIRST in inbox.bindings) is not releases


async def test_new_connection_binds_everything_in_rounds(inbox: Inbox, broker: FakeBroker) -> None:
    inbox.owned = [station_address(f"CP#{n}") for n in range(2 * MOST_IN_A_ROUND + 1)]
    inbox.bindings.lost()
    after = FakeBroker()
    await inbox.connect(after)
    assert [key for _, key, _ in after.sent] == [ownership_key(one) for one in inbox.owned]
    assert sum(confirmed for _, _, confirmed in after.sent) == 3
    assert all(address in inbox.bindings for address in inbox.owned)


async def test_connection_that_breaks_while_it_is_set_up_is_told(inbox: Inbox) -> None:
    inbox.owned = [FIRST]
    after = FakeBroker()
    after.is_broken = True
    with pytest.raises(NotSafe):
        await inbox.connect(after)
    assert FIRST not in inbox.bindings


async def test_taken_while_the_broker_is_away_waits_for_nobody(
    inbox: Inbox, broker: FakeBroker
) -> None:
    inbox.bindings.lost()
    await inbox.own(FIRST)
    assert not broker.sent
    assert FIRST not in inbox.bindings


async def test_what_was_bound_before_the_connection_was_lost_is_bound_again(inbox: Inbox) -> None:
    await inbox.own(FIRST, SECOND)
    inbox.bindings.lost()
    after = FakeBroker()
    await inbox.connect(after)
    assert {key for _, key, _ in after.sent} == {ownership_key(FIRST), ownership_key(SECOND)}
