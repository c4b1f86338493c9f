"""The inbox of one participant: one exclusive queue, one binding for each address it owns.

Who takes an address binds it first and then announces that on the ownership exchange, to which
every inbox queue is bound. What an old owner finds in its queue behind the announcement was routed
when the new owner was bound already, so the new owner has it too and the old one drops it. What is
taken while others are being announced is announced together with whatever else is.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

from aio_pika import Message as AmqpMessage
from aio_pika.abc import AbstractIncomingMessage
from pydantic import BaseModel, ConfigDict

from shared.bus.handling import outcome_of
from shared.bus.orders import OrderDesk, Outcome
from shared.bus.port import Delivery, OrderHandler
from shared.bus.rabbit_bindings import RabbitBindings
from shared.bus.rabbit_consumer import Undertaker, acknowledge
from shared.bus.rabbit_link import CALL_TIMEOUT_S, RabbitLink, Session, broker_trouble
from shared.bus.rabbit_publisher import RabbitPublisher
from shared.bus.rabbit_wire import Outgoing, from_amqp, from_amqp_batch, is_batch, to_reply
from shared.bus.topology import OWNERSHIP_EXCHANGE
from shared.contracts.message import Address, Command, Request
from shared.errors import HandlerFailed, NotSafe, ProtocolViolation
from shared.rounds import Rounds

logger = logging.getLogger(__name__)

PREFETCH = 500
MOST_ANNOUNCED = 500
"""Addresses in one announcement."""
ANNOUNCED_WITHIN_S = 60.0
"""A connection that is dead is noticed sooner; one that is only slow must not start over."""


class Ownership(BaseModel):
    """Who owns an address now."""

    model_config = ConfigDict(frozen=True)

    space: str
    name: str
    epoch: int
    objects: bool = False
    """Not a taking: the owner answers somebody who took the address with an epoch not newer."""

    @property
    def address(self) -> Address:
        """The address that is owned."""
        return Address(self.space, self.name)


class Announcement(BaseModel):
    """What one instance owns. Travels on the ownership exchange only."""

    model_config = ConfigDict(frozen=True)

    instance: str
    owned: tuple[Ownership, ...]


class RabbitInbox:
    """Receives the orders for the addresses that a participant owns."""

    def __init__(
        self,
        desk: OrderDesk,
        *,
        instance: str,
        link: RabbitLink,
        publisher: RabbitPublisher,
        undertaker: Undertaker,
    ) -> None:
        self._desk = desk
        self._instance = instance
        self._link = link
        self._publisher = publisher
        self._undertaker = undertaker
        self._bindings = RabbitBindings(lambda address: desk.epoch_of(address) is not None)
        self._announcements = Rounds(self._announce, most=MOST_ANNOUNCED)
        self._waiting: deque[AbstractIncomingMessage] = deque()
        self._changed = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def on(self, order: type[Command] | type[Request[Any]], handler: OrderHandler) -> None:
        """Route one kind of order; see the port."""
        self._desk.on(order, handler)

    async def own(self, address: Address, epoch: int) -> None:
        """Take an address over. While the broker is away it is taken as soon as it is back."""
        held = self._desk.epoch_of(address)
        if held is not None and held > epoch:
            self._desk.tell_evicted(address, held)
            return
        self._desk.take(address, epoch)
        await self._link.uninterrupted(self._take(address))

    async def release(self, address: Address, epoch: int) -> None:
        """Give an address up; see the port."""
        if await self._desk.drop(address, epoch):
            await self._link.uninterrupted(self._bindings.settle([address]))

    async def set_up(self, session: Session) -> None:
        """Declare the queue, bind every owned address, consume, and take all of them anew."""
        channel = await session.channel(prefetch=PREFETCH)
        with broker_trouble():
            queue = await channel.declare_queue(exclusive=True, timeout=CALL_TIMEOUT_S)
            await queue.bind(OWNERSHIP_EXCHANGE, timeout=CALL_TIMEOUT_S)
        await self._bindings.set_up(session, queue, self._desk.owned)
        with broker_trouble():
            await queue.consume(self._on_message, timeout=CALL_TIMEOUT_S)
        await self._announcements.ask(*(_ownership(*owned) for owned in self._desk.owned.items()))

    def lost(self) -> None:
        """The queue is gone with its connection; what is owned stays owned."""
        self._bindings.lost()
        self._waiting.clear()

    async def close(self) -> None:
        """Give every address up, and answer nothing any more."""
        self._link.remove(self)
        owned = tuple(self._desk.owned)
        await self._desk.close()
        await self._link.uninterrupted(self._bindings.settle(owned))
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _take(self, address: Address) -> None:
        await self._bindings.settle([address])
        epoch = self._desk.epoch_of(address)
        if epoch is not None and address in self._bindings:  # otherwise told when it is bound
            await self._tell([_ownership(address, epoch)])

    async def _tell(self, owned: Sequence[Ownership]) -> None:
        """Announce what is owned and bound. A session on which that fails ends."""
        try:
            await self._announcements.ask(*owned)
        except NotSafe as error:
            if self._link.session is not None:
                self._link.session.give_up(f"an announcement was not confirmed: {error}")

    async def _announce(self, owned: Sequence[Ownership]) -> None:
        announcement = Announcement(instance=self._instance, owned=tuple(owned))
        message = AmqpMessage(announcement.model_dump_json().encode(), type="ownership")
        outgoing = Outgoing(OWNERSHIP_EXCHANGE, "", message)
        await self._publisher.publish_once(outgoing, within_s=ANNOUNCED_WITHIN_S)

    async def _on_message(self, incoming: AbstractIncomingMessage) -> None:
        self._waiting.append(incoming)
        self._changed.set()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._waiting:
                incoming = self._waiting.popleft()
                failure = await outcome_of(self._take_in(incoming), what="reading the inbox")
                if isinstance(failure, Exception):
                    logger.warning("a message of the inbox was not taken: %s", failure)
                await acknowledge(incoming)

    async def _take_in(self, incoming: AbstractIncomingMessage) -> None:
        if incoming.exchange == OWNERSHIP_EXCHANGE:
            await self._hear(Announcement.model_validate_json(incoming.body))
            return
        answer = partial(self._answer, incoming)
        try:
            if is_batch(incoming):
                await self._take_in_batch(from_amqp_batch(incoming))
                return
            delivery = from_amqp(incoming)
        except ProtocolViolation as error:
            await answer(error)
            return
        await self._desk.accept(delivery, answer)

    async def _take_in_batch(self, commands: Sequence[Delivery[Any]]) -> None:
        """Take what is ours; every owner of one of the addresses has got all of them."""
        for command in commands:
            answer = partial(self._bury_failed, command)
            await self._desk.accept(command, answer, is_for_owner=False)

    async def _bury_failed(self, command: Delivery[Any], outcome: Outcome) -> None:
        if isinstance(outcome, Exception):
            await self._undertaker.bury_one(command, self._instance, outcome)

    async def _hear(self, announcement: Announcement) -> None:
        """Somebody owns addresses: the newer epoch wins, and the owner objects to an older one."""
        if announcement.instance == self._instance:
            return
        lost, objections = [], []
        for theirs in announcement.owned:
            address, held = theirs.address, self._desk.epoch_of(theirs.address)
            if held is None:
                continue
            if theirs.epoch > held or (theirs.epoch == held and theirs.objects):
                await self._desk.evict(address, theirs.epoch)
                lost.append(address)
            elif address in self._bindings:  # otherwise our own taking is announced when it is
                objections.append(_ownership(address, held, objects=True))
        await self._link.uninterrupted(self._bindings.settle(lost))
        await self._link.uninterrupted(self._tell(objections))

    async def _answer(self, incoming: AbstractIncomingMessage, outcome: Outcome) -> None:
        if incoming.reply_to is not None:
            nothing = HandlerFailed("the handler answered nothing")
            reply = to_reply(incoming, nothing if outcome is None else outcome)
            await self._publisher.answer(Outgoing("", incoming.reply_to, reply))
        elif isinstance(outcome, Exception):
            await self._undertaker.bury(incoming, self._instance, outcome)


def _ownership(address: Address, epoch: int, *, objects: bool = False) -> Ownership:
    return Ownership(space=address.space, name=address.name, epoch=epoch, objects=objects)
