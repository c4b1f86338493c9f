"""Keeps a service's copy of the certificates: asked for at start, and again after every change."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

from shared.bus.port import Bus, Delivery, Subscription
from shared.contracts.certificate import (
    CertificatesAnswer,
    CertificatesChanged,
    GetCertificates,
    KeyPair,
)
from shared.errors import ParkadeError

logger = logging.getLogger(__name__)

ASK_AGAIN_S = 30.0
"""A change is told once; whoever missed it, because the broker was away, asks."""
FIRST_ASK_S = 0.5
"""Before asking again when nobody has answered yet; doubles up to ``ASK_AGAIN_S``."""
ANSWER_WITHIN_S = 5.0

NOTHING_STORED = CertificatesAnswer(revision=0)

CertificateListener = Callable[[CertificatesAnswer], None]


class CertificateClient:
    """The certificates and keys that TLS is made with.

    Silence: without an answer the last known ones stay in force; before the first one nothing is
    stored, so that TLS is self-signed (S18) and no client certificate is trusted. Keys stay in
    memory.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._answer: CertificatesAnswer | None = None
        self._arrived = asyncio.Event()
        self._ask_now = asyncio.Event()
        self._listeners: list[CertificateListener] = []
        self._subscription: Subscription | None = None
        self._asking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Listen for changes and start asking."""
        self._subscription = await self._bus.listen([CertificatesChanged], self._heard)
        self._asking = asyncio.get_running_loop().create_task(self._keep_asking())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        if self._asking is not None:
            self._asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._asking
        if self._subscription is not None:
            await self._subscription.close()

    @property
    def current(self) -> CertificatesAnswer:
        """The last answer; nothing stored, as long as nobody has answered."""
        return self._answer or NOTHING_STORED

    def client_pair(self, certificate_id: str) -> KeyPair | None:
        """Return a certificate that is shown to backends (S21); ``None`` when it is not stored."""
        pairs = self.current.client
        return next((pair for pair in pairs if pair.certificate_id == certificate_id), None)

    async def first(self, *, within_s: float) -> CertificatesAnswer:
        """Wait for the first answer, but not for long: an older api does not know the question."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._arrived.wait()
        return self.current

    def on_change(self, listener: CertificateListener) -> None:
        """Call ``listener`` with every answer that differs from the one before."""
        self._listeners.append(listener)

    async def _heard(self, _delivery: Delivery[CertificatesChanged]) -> None:
        self._ask_now.set()

    async def _keep_asking(self) -> None:
        pause_s = FIRST_ASK_S
        while True:
            self._ask_now.clear()  # what changes from here on is asked for again
            if await self._ask():
                pause_s = ASK_AGAIN_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._ask_now.wait()
                pause_s = FIRST_ASK_S  # told of a change: an answer is near
                continue
            pause_s = min(2 * pause_s, ASK_AGAIN_S)

    async def _ask(self) -> bool:
        try:
            answer = await self._bus.ask(GetCertificates(), timeout_s=ANSWER_WITHIN_S)
        except ParkadeError as error:
            logger.debug("certificates not answered: %s", error)
            return False
        self._take(answer)
        return True

    def _take(self, answer: CertificatesAnswer) -> None:
        """The newest answer counts, whatever its revision: a restored database starts lower."""
        if answer == self._answer:
            return
        self._answer = answer
        self._arrived.set()
        logger.info(
            "certificates revision %s in force: %s of the server, %s for backends, %s trusted",
            answer.revision,
            len(answer.server),
            len(answer.client),
            len(answer.station_trust),
        )
        for listener in self._listeners:
            listener(answer)
