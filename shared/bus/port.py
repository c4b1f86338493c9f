"""What a service sees of the bus. The rules here are proved for both adapters by tests/contract."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from shared.bus.topology import DurableQueue
from shared.contracts.message import Address, Command, Event, Message, Reply, Request

M_co = TypeVar("M_co", bound=Message, covariant=True)
R = TypeVar("R", bound=Reply)


class Metadata(NamedTuple):
    """What travels beside the payload, in AMQP properties.

    A tuple, like ``Delivery``: both are made for every message, and a tuple costs a third.
    """

    message_id: str
    sender: str
    """Service and instance, e.g. ``loadmgr/3f2a``."""
    sent_at: datetime
    correlation_id: str
    """The same for everything that one first cause led to."""
    causation_id: str | None = None
    """The message that led to this one."""
    traceparent: str | None = None


class Delivery(NamedTuple, Generic[M_co]):
    """A message as it arrives. Pass it as ``cause`` to what you send because of it."""

    message: M_co
    meta: Metadata


MOST_TOGETHER = 100
"""Messages of one kind that travel as one; their addresses have to fit into one AMQP header."""

EventHandler = Callable[[Delivery[Any]], Awaitable[None]]
"""Gets one event. What it raises is logged; a transient event is not repeated."""

BatchHandler = Callable[[Sequence[Delivery[Any]]], Awaitable[None]]
"""Gets the events of a durable queue in order, some at a time.

Returning means committed. Raising a retryable ``ParkadeError`` keeps the batch and the order: it is
handed over again after a pause that grows to 30 s. Raising anything else makes the batch be handed
over one by one, and the message that still fails goes to the dead letters with its reason.
"""

OrderHandler = Callable[[Delivery[Any]], Awaitable[Reply | None]]
"""Gets a command (returns None) or a request (returns its reply).

Raising a ``ParkadeError`` answers a request with the same class and text; anything else answers
``HandlerFailed``. A command whose handler raises goes to the dead letters.
"""

EvictionHandler = Callable[[Address, int], Awaitable[None]]
"""Told that a newer epoch (given) of this address is owned elsewhere: close your link to it."""


class Inbox(Protocol):
    """The orders of one instance, for the addresses that it owns."""

    def on(self, order: type[Command] | type[Request[Any]], handler: OrderHandler) -> None:
        """Route one kind of order. Orders to one address run one after another, in order."""
        ...

    async def own(self, address: Address, epoch: int) -> None:
        """Take an address over; returns when orders reach this inbox.

        The newest epoch wins, whatever instance it is on; older owners are evicted. Taking an
        address with an epoch that is not newer than a known one evicts the taker.
        """
        ...

    async def release(self, address: Address, epoch: int) -> None:
        """Give an address up. A release of an old epoch does nothing."""
        ...


class Subscription(Protocol):
    """Something that runs until it is closed."""

    async def close(self) -> None:
        """Stop. What is being handled is finished first; what is queued durably stays there."""
        ...


class Bus(Protocol):
    """Events to whom they concern, orders to the one who can obey, questions with a time limit."""

    @property
    def instance(self) -> str:
        """This participant's name, unique among all: ``<service>/<random>``."""
        ...

    async def publish(self, event: Event, *, cause: Delivery[Any] | None = None) -> None:
        """Tell a fact.

        A durable event is safe when this returns: confirmed by every durable queue bound to it, or
        (in one process) committed by every durable consumer. Raises ``NotSafe`` when that is not
        known within 10 s; publishing it again is right, consumers recognise repetitions.
        Any other event is handed over without waiting, and dropped, oldest first, where nobody
        keeps up or the broker is away.
        """
        ...

    async def send(self, command: Command, *, cause: Delivery[Any] | None = None) -> None:
        """Hand a command to the owner of its address.

        Raises ``Unroutable`` at once when nobody owns it, and ``NotSafe`` when the broker is away.
        """
        ...

    async def send_together(self, commands: Sequence[Command]) -> None:
        """Hand commands of one kind to the owners of their addresses, ``MOST_TOGETHER`` at most.

        Far cheaper than one by one, and they arrive as if sent so. But only when nobody owns any of
        the addresses is ``Unroutable`` raised: a single one that nobody owns is lost unseen, so
        whoever needs to know waits for what a command brings about. ``NotSafe`` as in ``send``.
        """
        ...

    async def ask(
        self, request: Request[R], *, timeout_s: float, cause: Delivery[Any] | None = None
    ) -> R:
        """Ask the owner of an address.

        Raises ``Unroutable`` at once when nobody owns it, ``ReplyTimeout`` when no answer comes in
        time, ``Refused`` and its like as the owner raised them, ``HandlerFailed`` for the rest.
        """
        ...

    async def listen(
        self, events: Sequence[type[Event]], handler: EventHandler, *, limit: int = 10_000
    ) -> Subscription:
        """Hear events from now on; at most ``limit`` wait, the oldest are dropped first."""
        ...

    async def consume(
        self, queue: DurableQueue, handler: BatchHandler, *, max_batch: int = 1
    ) -> Subscription:
        """Work on a queue of the topology; with ``single_active`` one consumer at a time."""
        ...

    async def inbox(self, on_evicted: EvictionHandler) -> Inbox:
        """Open this participant's inbox."""
        ...

    @property
    def is_connected(self) -> bool:
        """The bus carries messages right now."""
        ...

    async def close(self) -> None:
        """Leave: subscriptions end, owned addresses are released."""
        ...
