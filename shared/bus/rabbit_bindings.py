"""The bindings of an inbox: bound is what is owned, changed in rounds on channels of their own.

A binding costs the broker far less than the way there and back, and after a restart thousands of
stations come at once. So a round sends all its bindings and awaits the confirmation of the last:
a channel is worked off in order, and one that fails closes it, which ends the session.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from aio_pika.abc import AbstractChannel, AbstractQueue

from shared.bus.rabbit_link import Session, broker_trouble
from shared.bus.topology import ORDERS_EXCHANGE, ownership_key
from shared.contracts.message import Address
from shared.errors import NotSafe
from shared.rounds import Rounds

MOST_IN_A_ROUND = 500
"""Addresses."""
ROUND_TIMEOUT_S = 60.0
"""For a whole round. A connection that is dead is noticed sooner, by its heartbeats; a broker or a
process of ours that is only slow, in a storm of stations, must not start over with all of them."""
LANES = 4
"""Channels for unbinding. Each takes one at a time, as AMQP always answers an unbinding."""


class RabbitBindings:
    """Which addresses the queue is bound to, as far as the broker has confirmed it."""

    def __init__(self, is_owned: Callable[[Address], bool]) -> None:
        self._is_owned = is_owned
        self._session: Session | None = None
        self._queue = ""
        self._lanes: list[AbstractChannel] = []
        self._bound: set[Address] = set()
        self._rounds = Rounds(self._settle_round, most=MOST_IN_A_ROUND)

    def __contains__(self, address: Address) -> bool:
        """The broker has confirmed that the address is bound, and nobody is unbinding it."""
        return address in self._bound

    async def set_up(
        self, session: Session, queue: AbstractQueue, owned: Iterable[Address]
    ) -> None:
        """Bind a new queue to everything that is owned. Raises ``NotSafe``."""
        lanes = [await session.channel() for _ in range(LANES)]
        async with self._rounds.held():
            self._session, self._queue, self._lanes = session, queue.name, lanes
            self._bound.clear()
        await self._rounds.ask(*owned)

    def lost(self) -> None:
        """The queue is gone with its connection."""
        self._session = None

    async def settle(self, addresses: Iterable[Address]) -> None:
        """Bind what is owned and unbind what is not, and return when the broker has confirmed it.

        What is right is asked for when the round begins: taking and releasing may overtake each
        other. When the broker does not confirm, the session ends, and the next binds everything.
        """
        try:
            await self._rounds.ask(*addresses)
        except NotSafe:
            return

    async def _settle_round(self, addresses: Sequence[Address]) -> None:
        session = self._session
        if session is None:
            return
        wanted = {address: self._is_owned(address) for address in addresses}
        new = [a for a, is_owned in wanted.items() if is_owned and a not in self._bound]
        old = [a for a, is_owned in wanted.items() if not is_owned and a in self._bound]
        try:
            await self._unbind(old)
            await self._bind(new)
        except NotSafe as error:
            session.give_up(f"bindings were not confirmed: {error}")
            raise

    async def _bind(self, addresses: Sequence[Address]) -> None:
        if not addresses:
            return
        *first, last = addresses
        with broker_trouble():
            async with asyncio.timeout(ROUND_TIMEOUT_S):
                channel = await self._lanes[0].get_underlay_channel()
                for address in first:
                    key = ownership_key(address)
                    await channel.queue_bind(self._queue, ORDERS_EXCHANGE, key, nowait=True)
                await channel.queue_bind(self._queue, ORDERS_EXCHANGE, ownership_key(last))
        self._bound.update(addresses)

    async def _unbind(self, addresses: Sequence[Address]) -> None:
        self._bound.difference_update(addresses)
        shares = [addresses[number::LANES] for number in range(min(LANES, len(addresses)))]
        lanes = zip(self._lanes, shares, strict=False)
        outcomes = await asyncio.gather(
            *(self._unbind_over(lane, share) for lane, share in lanes), return_exceptions=True
        )
        for failure in filter(None, outcomes):
            raise failure

    async def _unbind_over(self, lane: AbstractChannel, addresses: Sequence[Address]) -> None:
        with broker_trouble():
            async with asyncio.timeout(ROUND_TIMEOUT_S):
                channel = await lane.get_underlay_channel()
                for address in addresses:
                    key = ownership_key(address)
                    await channel.queue_unbind(self._queue, ORDERS_EXCHANGE, key)
