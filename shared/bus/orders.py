"""Whom an order is for and in which order it is obeyed. Shared by both adapters; knows no wire.

Commands to one address are obeyed one after another. Requests to it start in order and run side by
side, so that a slow question never delays the command that answers a station. Addresses delay each
other never. What waits is bounded: an owner that cannot keep up refuses instead of hoarding.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from shared.bus.codec import has_expired
from shared.bus.handling import outcome_of
from shared.bus.port import Delivery, EvictionHandler, OrderHandler
from shared.clock import Clock
from shared.contracts.message import Address, Command, Message, Reply, Request
from shared.errors import ParkadeError, Refused, ReplyTimeout, Unroutable

logger = logging.getLogger(__name__)

WAITING_LIMIT = 200
"""Commands, and requests, that may wait at one address."""
OPEN_REQUESTS = 64
"""Requests to one address that run side by side."""

Outcome = Reply | Exception | None
Answer = Callable[[Outcome], Awaitable[None]]


@dataclass(frozen=True)
class Order:
    """An order as it came in, and how to answer it."""

    delivery: Delivery[Any]
    answer: Answer


class OwnedAddress:
    """What waits and runs at one address."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.commands: list[Order] = []
        self.requests: list[Order] = []
        """Short, and mostly empty: two deques would take 1.5 kB of every address."""
        self.obeys_commands = False
        self.open_requests = 0

    def lane(self, message: Message) -> list[Order]:
        """Return the queue in which a message waits."""
        return self.commands if isinstance(message, Command) else self.requests

    def take_waiting(self) -> list[Order]:
        """Return everything that waits, and forget it."""
        waiting = [*self.commands, *self.requests]
        self.commands.clear()
        self.requests.clear()
        return waiting


class OrderDesk:
    """Owned addresses, the handlers of this instance, and what each address is doing."""

    def __init__(self, on_evicted: EvictionHandler, clock: Clock) -> None:
        self._on_evicted = on_evicted
        self._clock = clock
        self._handlers: dict[type[Message], OrderHandler] = {}
        self._owned: dict[Address, OwnedAddress] = {}
        self._lost: set[Address] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def on(self, order: type[Command] | type[Request[Any]], handler: OrderHandler) -> None:
        """Route one kind of order."""
        self._handlers[order] = handler

    @property
    def owned(self) -> dict[Address, int]:
        """Every owned address and its epoch."""
        return {address: owned.epoch for address, owned in self._owned.items()}

    def epoch_of(self, address: Address) -> int | None:
        """Return the epoch with which an address is held here, if it is."""
        owned = self._owned.get(address)
        return None if owned is None else owned.epoch

    def take(self, address: Address, epoch: int) -> None:
        """Own an address; what waits for an older epoch of it here goes on to the new one."""
        self._lost.discard(address)
        self._owned.setdefault(address, OwnedAddress(epoch)).epoch = epoch

    async def drop(self, address: Address, epoch: int) -> bool:
        """Give up an address held with this epoch; tells whether it was held.

        What runs there runs to its end; requests that wait are answered ``Unroutable``.
        """
        if self.epoch_of(address) != epoch:
            return False
        for order in self._owned.pop(address).take_waiting():
            await self._turn_away(order)
        return True

    async def evict(self, address: Address, epoch: int) -> None:
        """Give up an address to the owner with this epoch, and tell the service."""
        held = self.epoch_of(address)
        if held is not None:
            self._lost.add(address)
            await self.drop(address, held)
        self.tell_evicted(address, epoch)

    def tell_evicted(self, address: Address, epoch: int) -> None:
        """Tell the service, without waiting for it, that a newer epoch of an address exists."""
        self._spawn(self._tell_evicted(address, epoch))

    async def accept(
        self, delivery: Delivery[Any], answer: Answer, *, is_for_owner: bool = True
    ) -> None:
        """Queue an order for its address, or answer at once why not.

        One that came to others too (``is_for_owner`` false) may be meant for one of them.
        """
        order, address = Order(delivery, answer), delivery.message.address
        owned = self._owned.get(address)
        if owned is None:
            # whoever evicted us has got the order too
            if is_for_owner and address not in self._lost:
                await self._turn_away(order)
            return
        lane = owned.lane(delivery.message)
        if len(lane) >= WAITING_LIMIT:
            await self._answer(order, Refused(f"{address} has {WAITING_LIMIT} orders waiting"))
            return
        lane.append(order)
        self._start(owned)

    async def close(self) -> None:
        """Give every address up, and stop what runs."""
        for address, epoch in self.owned.items():
            await self.drop(address, epoch)
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, owned: OwnedAddress) -> None:
        """Start what may run now; idle addresses cost no task."""
        if owned.commands and not owned.obeys_commands:
            owned.obeys_commands = True
            self._spawn(self._obey_commands(owned))
        while owned.requests and owned.open_requests < OPEN_REQUESTS:
            owned.open_requests += 1
            self._spawn(self._obey_request(owned, owned.requests.pop(0)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _obey_commands(self, owned: OwnedAddress) -> None:
        while owned.commands:
            order = owned.commands.pop(0)
            outcome = await self._obey(order.delivery)
            if outcome is not None:  # nobody waits for an answer
                await self._answer(order, outcome)
        owned.obeys_commands = False

    async def _obey_request(self, owned: OwnedAddress, order: Order) -> None:
        outcome = await self._obey(order.delivery)
        owned.open_requests -= 1
        self._start(owned)
        await self._answer(order, outcome)

    async def _obey(self, delivery: Delivery[Any]) -> Outcome:
        message = delivery.message
        if has_expired(message, delivery.meta, self._clock.now()):
            logger.info("order %s for %s came too late", message.topic, message.address)
            late = ReplyTimeout("the request was too old when its turn came")
            return None if isinstance(message, Command) else late
        handler = self._handlers.get(type(message))
        if handler is None:
            return Refused(f"{type(message).__name__} is not understood here")
        outcome = await outcome_of(handler(delivery), what=f"order {message.topic}")
        if isinstance(outcome, ParkadeError):
            logger.info("order %s for %s: %s", message.topic, message.address, outcome)
        return outcome

    async def _turn_away(self, order: Order) -> None:
        message = order.delivery.message
        logger.info("%s left before order %s", message.address, message.topic)
        if isinstance(message, Request):
            await self._answer(order, Unroutable(f"{message.address} is not connected any more"))

    async def _answer(self, order: Order, outcome: Outcome) -> None:
        what = f"the answer to order {order.delivery.message.topic}"
        failure = await outcome_of(order.answer(outcome), what=what)
        if isinstance(failure, ParkadeError):
            logger.warning("%s: %s", what, failure)

    async def _tell_evicted(self, address: Address, epoch: int) -> None:
        what = f"closing {address} after its eviction"
        failure = await outcome_of(self._on_evicted(address, epoch), what=what)
        if isinstance(failure, ParkadeError):
            logger.warning("%s: %s", what, failure)
