"""The inbox of one participant: one exclusive queue, one binding for each address it owns.

Who takes an address binds it first and then announces that on the ownership exchange, to which
every inbox queue is bound. What an old owner finds in its queue behind the announcement was routed
when the new owner was bound already, so the new owner has it too and the old one drops it.
"""

import asyncio
import logging
from collections import deque
from functools import partial
from typing import Any

from aio_pika import Message as AmqpMessage
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue
from pydantic import BaseModel, ConfigDict

from shared.bus.handling import outcome_of
from shared.bus.orders import OrderDesk, Outcome
from shared.bus.port import OrderHandler
from shared.bus.rabbit_consumer import Undertaker, acknowledge
from shared.bus.rabbit_link import CALL_TIMEOUT_S, RabbitLink, Session, broker_trouble
from shared.bus.rabbit_publisher import RabbitPublisher
from shared.bus.rabbit_wire import Outgoing, from_amqp, to_reply
from shared.bus.topology import ORDERS_EXCHANGE, OWNERSHIP_EXCHANGE, ownership_key
from shared.contracts.message import Address, Command, Request
from shared.errors import HandlerFailed, NotSafe, ProtocolViolation

logger = logging.getLogger(__name__)

PREFETCH = 500


class Announcement(BaseModel):
    """Who owns an address now. Travels on the ownership exchange only."""

    model_config = ConfigDict(frozen=True)

    space: str
    name: str
    epoch: int
    instance: str
    objects: bool = False
    """Not a taking: the owner answers somebody who took the address with an epoch not newer."""

    @property
    def address(self) -> Address:
        """The address that is owned."""
        return Address(self.space, self.name)


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
        self._queue: AbstractQueue | None = None
        self._bound: set[Address] = set()
        self._binding = asyncio.Lock()
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
            await self._link.uninterrupted(self._bind_as_owned(address))

    async def set_up(self, session: Session) -> None:
        """Declare the queue, bind every owned address, consume, and take all of them anew."""
        channel = await session.channel(prefetch=PREFETCH)
        with broker_trouble():
            queue = await channel.declare_queue(exclusive=True, timeout=CALL_TIMEOUT_S)
            await queue.bind(OWNERSHIP_EXCHANGE, timeout=CALL_TIMEOUT_S)
        async with self._binding:
            self._queue = queue
            self._bound.clear()
            for address in self._desk.owned:
                await self._bind(queue, address)
        with broker_trouble():
            await queue.consume(self._on_message, timeout=CALL_TIMEOUT_S)
        for address, epoch in self._desk.owned.items():
            await self._announce(address, epoch)

    def lost(self) -> None:
        """The queue is gone with its connection; what is owned stays owned."""
        self._queue = None
        self._waiting.clear()

    async def close(self) -> None:
        """Give every address up, and answer nothing any more."""
        self._link.remove(self)
        await self._desk.close()
        for address in tuple(self._bound):
            await self._link.uninterrupted(self._bind_as_owned(address))
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _take(self, address: Address) -> None:
        await self._bind_as_owned(address)
        epoch = self._desk.epoch_of(address)
        if self._queue is None or epoch is None:
            return
        try:
            await self._announce(address, epoch)
        except NotSafe:
            self._give_up_session()

    async def _bind_as_owned(self, address: Address) -> None:
        """Bind or unbind, whatever is right now; taking and releasing may overtake each other."""
        async with self._binding:
            if self._queue is None:
                return
            is_owned = self._desk.epoch_of(address) is not None
            if is_owned == (address in self._bound):
                return
            try:
                if is_owned:
                    await self._bind(self._queue, address)
                else:
                    await self._unbind(self._queue, address)
            except NotSafe:
                self._give_up_session()

    async def _bind(self, queue: AbstractQueue, address: Address) -> None:
        with broker_trouble():
            await queue.bind(ORDERS_EXCHANGE, ownership_key(address), timeout=CALL_TIMEOUT_S)
        self._bound.add(address)

    async def _unbind(self, queue: AbstractQueue, address: Address) -> None:
        self._bound.discard(address)
        with broker_trouble():
            await queue.unbind(ORDERS_EXCHANGE, ownership_key(address), timeout=CALL_TIMEOUT_S)

    async def _announce(self, address: Address, epoch: int, *, objects: bool = False) -> None:
        announcement = Announcement(
            space=address.space,
            name=address.name,
            epoch=epoch,
            instance=self._instance,
            objects=objects,
        )
        message = AmqpMessage(announcement.model_dump_json().encode(), type="ownership")
        await self._publisher.publish_once(Outgoing(OWNERSHIP_EXCHANGE, "", message))

    def _give_up_session(self) -> None:
        session = self._link.session
        if session is not None:
            session.give_up()

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
            delivery = from_amqp(incoming)
        except ProtocolViolation as error:
            await answer(error)
            return
        await self._desk.accept(delivery, answer)

    async def _hear(self, announcement: Announcement) -> None:
        """Somebody owns an address: the newer epoch wins, and the owner objects to an older one."""
        address, epoch = announcement.address, announcement.epoch
        held = self._desk.epoch_of(address)
        if held is None or announcement.instance == self._instance:
            return
        if epoch > held or (epoch == held and announcement.objects):
            await self._desk.evict(address, epoch)
            await self._bind_as_owned(address)
        elif address in self._bound:  # otherwise our own taking is announced when it is bound
            await self._announce(address, held, objects=True)

    async def _answer(self, incoming: AbstractIncomingMessage, outcome: Outcome) -> None:
        if incoming.reply_to is not None:
            nothing = HandlerFailed("the handler answered nothing")
            reply = to_reply(incoming, nothing if outcome is None else outcome)
            await self._publisher.answer(Outgoing("", incoming.reply_to, reply))
        elif isinstance(outcome, Exception):
            await self._undertaker.bury(incoming, self._instance, outcome)
