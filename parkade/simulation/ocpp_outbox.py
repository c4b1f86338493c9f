"""What a station still has to tell about transactions: kept while offline, sent in order."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from parkade.simulation.ocpp_link import OcppLink, Payload
from parkade.simulation.ocpp_settings import Settings
from shared.errors import Refused

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Billable:
    """A transaction message. Built when it is sent, because ids arrive late."""

    action: str
    build: Callable[[], Payload]
    on_answer: Callable[[Payload], None]
    attempts: int = 0


class Outbox:
    """Transaction messages in the order they happened. Survives every connection and reset."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._messages: deque[Billable] = deque()
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._messages)

    def add(
        self,
        action: str,
        build: Callable[[], Payload],
        *,
        on_answer: Callable[[Payload], None] = lambda _: None,
    ) -> None:
        """Keep a message until it is answered."""
        self._messages.append(Billable(action=action, build=build, on_answer=on_answer))
        self._filled.set()

    async def send_all(self, link: OcppLink) -> None:
        """Send, oldest first, for ever. A refused message is tried as often as configured.

        Raises ``DeviceUnreachable`` when the connection ends; nothing is lost then.
        """
        while True:
            if not self._messages:
                self._filled.clear()
                await self._filled.wait()
            message = self._messages[0]
            try:
                answer = await link.call(message.action, message.build())
            except Refused as error:
                await self._after_refusal(message, error)
                continue
            self._messages.popleft()
            message.on_answer(answer)

    async def _after_refusal(self, message: Billable, error: Refused) -> None:
        message.attempts += 1
        if message.attempts >= self._settings.number("TransactionMessageAttempts"):
            logger.warning("%s given up: %s", message.action, error)
            self._messages.popleft()
            return
        await asyncio.sleep(self._settings.number("TransactionMessageRetryInterval"))
