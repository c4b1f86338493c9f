"""Asks the own certificate authority, which the api keeps, for certificates of stations."""

import logging

from shared.bus.port import Bus
from shared.contracts.certificate import SignedCertificate, SignStationCertificate
from shared.errors import ParkadeError, Unroutable

logger = logging.getLogger(__name__)

PATIENCE_S = 30.0


class Authority:
    """The way to the authority. That it does not answer is a refusal with its reason."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def sign(self, station_id: str, csr_pem: str) -> SignedCertificate:
        """Return the signed chain, or why there is none. Waits up to 30 s."""
        question = SignStationCertificate(station_id=station_id, csr_pem=csr_pem)
        try:
            return await self._bus.ask(question, timeout_s=PATIENCE_S)
        except Unroutable:
            return SignedCertificate(refusal="no certificate authority is running")
        except ParkadeError as error:
            logger.warning("%s: its certificate is not signed: %s", station_id, error)
            return SignedCertificate(refusal=f"the certificate authority does not answer: {error}")
