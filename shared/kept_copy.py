"""A service's copy of what another one owns: asked for at start, after a change, and now and then.

``shared.site_client`` and ``shared.certificate_client`` say what is copied and what replaces it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from shared.bus.port import Bus, Delivery, Subscription
from shared.contracts.message import Event, Reply, Request
from shared.errors import ParkadeError

logger = logging.getLogger(__name__)

ASK_AGAIN_S = 30.0
"""A change is told once; whoever missed it, because the broker was away, asks."""
FIRST_ASK_S = 0.5
"""Before asking again when nobody has answered yet."""
ANSWER_WITHIN_S = 5.0

R = TypeVar("R", bound=Reply)
E = TypeVar("E", bound=Event)


class KeptCopy(Generic[R, E]):
    """The newest answer to a question, and who is told of it.

    ``answer_in`` gives the answer that a change carries; ``None`` = it has to be asked for.
    ``replaces`` tells whether an answer (first) counts when another one (second) is here.
    ``growth`` is what the pause between questions grows by until somebody answers.

    Silence: without an answer the last one stays.
    """

    def __init__(
        self,
        bus: Bus,
        question: Request[R],
        change: type[E],
        *,
        answer_in: Callable[[E], R | None],
        replaces: Callable[[R, R], bool],
        growth: float,
    ) -> None:
        self._bus = bus
        self._question = question
        self._change = change
        self._answer_in = answer_in
        self._replaces = replaces
        self._growth = growth
        self._pause_s = FIRST_ASK_S
        self._arrived = asyncio.Event()
        self._ask_now = asyncio.Event()
        self._listeners: list[Callable[[R], None]] = []
        self._subscription: Subscription | None = None
        self._asking: asyncio.Task[None] | None = None
        self.answer: R | None = None
        """``None`` = nobody has answered yet."""

    async def open(self) -> None:
        """Listen for changes and start asking."""
        self._subscription = await self._bus.listen([self._change], self._heard)
        self._asking = asyncio.get_running_loop().create_task(self._keep_asking())

    async def close(self) -> None:
        """Stop."""
        if self._asking is not None:
            self._asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._asking
        if self._subscription is not None:
            await self._subscription.close()

    async def first(self) -> None:
        """Wait for the first answer, as long as it takes."""
        await self._arrived.wait()

    def on_change(self, listener: Callable[[R], None]) -> None:
        """Call ``listener`` with every answer that replaces the one before."""
        self._listeners.append(listener)

    async def _heard(self, delivery: Delivery[E]) -> None:
        answer = self._answer_in(delivery.message)
        if answer is None:
            self._ask_now.set()
        else:
            self._take(answer)

    async def _keep_asking(self) -> None:
        self._pause_s = FIRST_ASK_S
        while True:
            self._ask_now.clear()  # what changes from here on is asked for again
            await self._ask()
            try:
                async with asyncio.timeout(self._pause_s):
                    await self._ask_now.wait()
            except TimeoutError:
                self._pause_s = min(self._growth * self._pause_s, ASK_AGAIN_S)
            else:
                self._pause_s = FIRST_ASK_S  # told of a change: an answer is near

    async def _ask(self) -> None:
        try:
            answer = await self._bus.ask(self._question, timeout_s=ANSWER_WITHIN_S)
        except ParkadeError as error:
            logger.debug("%s not answered: %s", self._question.topic, error)
        else:
            self._take(answer)

    def _take(self, answer: R) -> None:
        self._pause_s = ASK_AGAIN_S
        if self.answer is not None and not self._replaces(answer, self.answer):
            return
        self.answer = answer
        self._arrived.set()
        for listener in self._listeners:
            listener(answer)
