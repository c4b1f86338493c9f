"""Keeps a service's copy of the certificates: asked for at start, and again after every change."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

from shared.bus.port import Bus
from shared.contracts.certificate import (
    CertificatesAnswer,
    CertificatesChanged,
    GetCertificates,
    KeyPair,
)
from shared.kept_copy import KeptCopy

logger = logging.getLogger(__name__)

NOTHING_STORED = CertificatesAnswer(revision=0)

CertificateListener = Callable[[CertificatesAnswer], None]


class CertificateClient:
    """The certificates and keys that TLS is made with.

    Silence: without an answer the last known ones stay in force; before the first one nothing is
    stored, so that TLS is self-signed (S18) and no client certificate is trusted. Keys stay in
    memory.
    """

    def __init__(self, bus: Bus) -> None:
        """The newest answer counts, whatever its revision: a restored database starts lower."""
        self._copy = KeptCopy(
            bus,
            GetCertificates(),
            CertificatesChanged,
            answer_in=lambda _change: None,
            replaces=lambda new, old: new != old,
            growth=2,
        )
        self._copy.on_change(_log)

    async def __aenter__(self) -> Self:
        """Listen for changes and start asking."""
        await self._copy.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        await self._copy.close()

    @property
    def current(self) -> CertificatesAnswer:
        """The last answer; nothing stored, as long as nobody has answered."""
        return self._copy.answer or NOTHING_STORED

    def client_pair(self, certificate_id: str) -> KeyPair | None:
        """Return a certificate that is shown to backends (S21); ``None`` when it is not stored."""
        pairs = self.current.client
        return next((pair for pair in pairs if pair.certificate_id == certificate_id), None)

    async def first(self, *, within_s: float) -> CertificatesAnswer:
        """Wait for the first answer, but not for long: an older api does not know the question."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._copy.first()
        return self.current

    def on_change(self, listener: CertificateListener) -> None:
        """Call ``listener`` with every answer that differs from the one before."""
        self._copy.on_change(listener)


def _log(answer: CertificatesAnswer) -> None:
    logger.info(
        "certificates revision %s in force: %s of the server, %s for backends, %s trusted",
        answer.revision,
        len(answer.server),
        len(answer.client),
        len(answer.station_trust),
    )
