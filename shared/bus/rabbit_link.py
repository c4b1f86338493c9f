"""One connection to RabbitMQ that is made again whenever it breaks.

Everything that lives on a connection (channels, exclusive queues, bindings, consumers) belongs to a
part. A part knows what it wants, and sets all of it up anew on every connection. When any of that
fails, the connection is given up and made again: there is one way back, and it is always tried.
"""

import asyncio
import logging
import random
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    ChannelPreconditionFailed,
    PublishError,
)

from shared.bus.port import Subscription
from shared.errors import ConfigError, NotSafe

logger = logging.getLogger(__name__)
for _library in ("aiormq", "aio_pika"):
    # They log every failed attempt as an error; the link logs what an operator needs, once.
    logging.getLogger(_library).setLevel(logging.CRITICAL)

CALL_TIMEOUT_S = 10.0
"""How long the broker may take for a single declaration, binding or the like."""
HEARTBEAT_S = 10
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _stop_if_cancelled() -> None:
    """Be cancelled for good: the library answers some cancellations with errors of its own."""
    if _is_cancelled():
        raise asyncio.CancelledError


@contextmanager
def broker_trouble() -> Iterator[None]:
    """Turn whatever the client library raises when a connection breaks into ``NotSafe``.

    A returned message passes as ``PublishError``: it is an answer of the broker, not trouble. The
    library cancels futures of a broken connection, so a cancellation that is not ours is trouble.
    Some of them it ends with a bare ``Exception`` when it was given no reason (aiormq 7.2,
    ``FutureStore.reject_all``); anything more precise is a mistake of ours and passes.
    """
    try:
        yield
    except PublishError:
        raise
    except ChannelPreconditionFailed as error:
        raise ConfigError(
            f"the broker has something of that name declared otherwise: {error}; "
            "drain it, delete it and start again"
        ) from error
    except (*CONNECTION_EXCEPTIONS, TimeoutError) as error:
        raise NotSafe(f"the broker is away: {error!r}") from error
    except asyncio.CancelledError:
        if _is_cancelled():
            raise
        raise NotSafe("the connection to the broker broke") from None
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise NotSafe("the connection to the broker broke") from error


class Session:
    """One connection, from its first channel until it breaks."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._is_closing = False
        self.broken = asyncio.Event()
        self.why = "the library does not say"
        """What broke it, for the log."""
        connection.close_callbacks.add(self._on_closed)

    async def channel(self, *, confirms: bool = False, prefetch: int = 0) -> AbstractChannel:
        """Open a channel.

        When the broker closes it, or ends a consumer on it (its queue was deleted or has moved),
        the whole session counts as broken.
        """
        with broker_trouble():
            channel = self._connection.channel(
                publisher_confirms=confirms, on_return_raises=confirms
            )
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await channel.initialize()
            if prefetch:
                await channel.set_qos(prefetch_count=prefetch, timeout=CALL_TIMEOUT_S)
            underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(self._on_closed)
        channel.close_callbacks.add(self._on_closed)
        return channel

    async def close_channel(self, channel: AbstractChannel) -> None:
        """Close one channel on purpose; what was not acknowledged on it is delivered again."""
        channel.close_callbacks.discard(self._on_closed)
        with suppress(NotSafe), broker_trouble():
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await channel.close()

    def give_up(self, why: str) -> None:
        """Make the link start over with a new connection."""
        if not self.broken.is_set():
            self.why = why
        self.broken.set()

    async def close(self) -> None:
        """Close the connection."""
        self._is_closing = True
        with suppress(NotSafe), broker_trouble():
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await self._connection.close()

    async def _on_closed(self, *told: object) -> None:
        if not self._is_closing:
            errors = [repr(one) for one in told if isinstance(one, BaseException)]
            self.give_up(errors[0] if errors else self.why)


class Part(Protocol):
    """Something that lives on a connection and survives it."""

    async def set_up(self, session: Session) -> None:
        """Make everything that is wanted, on a new connection. Raises ``NotSafe`` if it breaks."""
        ...

    def lost(self) -> None:
        """The connection is gone."""
        ...


class SubscribedPart(Part, Subscription, Protocol):
    """A part that somebody may close; it removes itself from the link."""


class RabbitLink:
    """Keeps a connection up, and its parts set up on it."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._base: tuple[Part, ...] = ()
        self._subscribed: list[SubscribedPart] = []
        self._session: Session | None = None
        self._setting_up = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._keeping: asyncio.Task[None] | None = None

    @property
    def session(self) -> Session | None:
        """The connection on which everything is set up, while there is one."""
        return self._session

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Every part that was added and not removed."""
        return tuple(self._subscribed)

    @property
    def _parts(self) -> tuple[Part, ...]:
        return (*self._base, *self._subscribed)

    async def start(self, *parts: Part) -> None:
        """Connect, however long it takes, and stay connected. Parts are set up in this order."""
        self._base = parts
        self._session = await self._connect(is_first=True)
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def add(self, part: SubscribedPart) -> None:
        """Set a part up now, or as soon as there is a connection.

        Raises ``ConfigError``, and forgets the part, when the broker has it declared otherwise.
        """
        async with self._setting_up:
            self._subscribed.append(part)
            session = self._session
            if session is not None:
                try:
                    await self.uninterrupted(part.set_up(session))
                except NotSafe as error:
                    session.give_up(str(error))
                except ConfigError as error:
                    self.remove(part)
                    session.give_up(str(error))
                    raise

    def remove(self, part: SubscribedPart) -> None:
        """Do not set this part up any more."""
        if part in self._subscribed:
            self._subscribed.remove(part)

    async def uninterrupted(self, work: Coroutine[Any, Any, None]) -> None:
        """Let work on a channel finish even if the caller is cancelled.

        The library closes a channel when a call on it is cancelled, and others share it.
        """
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)

    async def close(self) -> None:
        """Disconnect."""
        if self._keeping is not None:
            self._keeping.cancel()
        tasks = [*self._tasks, *([self._keeping] if self._keeping else [])]
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        for part in self._parts:
            part.lost()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            session = self._session or await self._connect()
            self._session = session
            await session.broken.wait()
            self._session = None
            logger.warning("the broker is away, connecting again: %s", session.why)
            for part in self._parts:
                part.lost()
            await session.close()

    async def _connect(self, *, is_first: bool = False) -> Session:
        pause_s, told = FIRST_PAUSE_S, ""
        while True:
            try:
                session = await self._connect_once()
            except (NotSafe, ConfigError) as error:
                _stop_if_cancelled()
                if is_first and isinstance(error, ConfigError):
                    raise
                if str(error) != told:
                    logger.warning("no connection to the broker yet, trying on: %s", error)
                told = str(error)
            else:
                if told or not is_first:
                    logger.info("connected to the broker again")
                return session
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _connect_once(self) -> Session:
        with broker_trouble():
            connection = await aio_pika.connect(
                self._url,
                timeout=CALL_TIMEOUT_S,
                heartbeat=HEARTBEAT_S,
                client_properties={"connection_name": self._name},
            )
        session = Session(connection)
        try:
            async with self._setting_up:
                for part in self._parts:
                    await part.set_up(session)
            _stop_if_cancelled()
        except BaseException:
            await session.close()
            raise
        return session
