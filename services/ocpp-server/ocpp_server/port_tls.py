"""The TLS context of the OCPP port, made anew when certificates change."""

import asyncio
import logging
import ssl
from collections.abc import Sequence

from shared.contracts.certificate import CertificatesAnswer, KeyPair
from shared.errors import ConfigError
from shared.tls import server_context

logger = logging.getLogger(__name__)


class PortTls:
    """What new connections are made with; those that run keep theirs.

    Certificates that cannot be used change nothing: the port goes on with those before them.
    Raises ``ConfigError`` when not even ``self_signed`` can be used.
    """

    def __init__(self, self_signed: Sequence[KeyPair]) -> None:
        self._self_signed = self_signed
        self._context = server_context(self_signed)
        self._told: CertificatesAnswer | None = None
        self._changed = asyncio.Event()

    @property
    def context(self) -> ssl.SSLContext:
        """The present one."""
        return self._context

    def take(self, certificates: CertificatesAnswer) -> None:
        """Have ``run`` use these."""
        self._told = certificates
        self._changed.set()

    async def run(self) -> None:
        """Use what was taken last, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._told is not None:
                await self.use(self._told)

    async def use(self, certificates: CertificatesAnswer) -> None:
        """Use these from the next connection on; the self-signed ones when none is stored (S18).

        One that is stored stands alone: a box that verifies it must not be shown a self-signed one
        of another key type instead. In a thread, because a thousand trusted certificates take
        seconds.
        """
        try:
            self._context = await asyncio.to_thread(
                server_context,
                certificates.server or self._self_signed,
                station_trust=certificates.station_trust,
            )
        except ConfigError as error:
            logger.warning("certificates revision %s not used: %s", certificates.revision, error)
            return
        whose = "stored certificates" if certificates.server else "its own certificates"
        logger.info("the port shows %s", whose)
