"""Answers for certificates on the bus: keys to those who make TLS, signatures to stations.

Of several replicas the newest answers, as with the site.
"""

import asyncio
import logging

from api.certificates import Certificates
from api.configuration import Configuration
from api.domain.pem import UnusableCertificate
from shared.bus.port import Bus, Delivery, Inbox
from shared.clock import Clock
from shared.contracts.certificate import (
    CertificatesAnswer,
    GetCertificates,
    SignedCertificate,
    SignStationCertificate,
)
from shared.contracts.message import Address, service_address
from shared.errors import ParkadeError, Unroutable

logger = logging.getLogger(__name__)

CERTIFICATES = service_address("certificates")
WATCH_EVERY_S = 2.0
PROBE = SignStationCertificate(station_id="", csr_pem="")
"""Asks for nothing: no key has to travel just to see whether somebody answers."""


class CertificateKeeper:
    """Owns the address of the certificates, and takes it again when its owner is gone."""

    def __init__(
        self, bus: Bus, certificates: Certificates, configuration: Configuration, *, clock: Clock
    ) -> None:
        self._bus = bus
        self._certificates = certificates
        self._configuration = configuration
        self._clock = clock
        self._inbox: Inbox | None = None
        self._owns = False

    @property
    def answers(self) -> bool:
        """This replica is the one that answers."""
        return self._owns

    async def open(self) -> None:
        """Take the address; returns when questions reach this replica."""
        self._inbox = await self._bus.inbox(self._evicted)
        self._inbox.on(GetCertificates, self._answer)
        self._inbox.on(SignStationCertificate, self._sign)
        await self._take_over(self._inbox)
        await self._certificates.announce()

    async def watch(self) -> None:
        """Stand by while another replica answers, for ever. Tell again after the bus was away."""
        was_connected = True
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            is_connected = self._bus.is_connected
            if is_connected and not was_connected and self._owns:
                await self._announce()
            was_connected = is_connected
            if not self._owns and self._inbox is not None and await self._nobody_answers():
                await self._take_over(self._inbox)

    async def _announce(self) -> None:
        try:
            await self._certificates.announce()
        except ParkadeError as error:
            logger.warning("the revision of certificates could not be told: %s", error)

    async def _take_over(self, inbox: Inbox) -> None:
        self._owns = True
        await inbox.own(CERTIFICATES, int(self._clock.now().timestamp() * 1000))

    async def _evicted(self, address: Address, epoch: int) -> None:
        logger.info("another replica answers for %s (epoch %s)", address, epoch)
        self._owns = False

    async def _nobody_answers(self) -> bool:
        try:
            await self._bus.ask(PROBE, timeout_s=5.0)
        except Unroutable:
            return True
        except ParkadeError as error:
            logger.info("the owner of certificates does not answer: %s", error)
        return False

    async def _answer(self, _delivery: Delivery[GetCertificates]) -> CertificatesAnswer:
        return await self._certificates.answer()

    async def _sign(self, delivery: Delivery[SignStationCertificate]) -> SignedCertificate:
        wanted = delivery.message
        if not wanted.csr_pem:
            return SignedCertificate(refusal="there is no request")
        try:
            return SignedCertificate(chain_pem=await self._signed(wanted))
        except UnusableCertificate as error:
            logger.warning("certificate for station %s refused: %s", wanted.station_id, error)
            return SignedCertificate(refusal=str(error))

    async def _signed(self, wanted: SignStationCertificate) -> str:
        site = await self._configuration.refresh()
        station = site.station(wanted.station_id)
        if station is None:
            raise UnusableCertificate(
                f"station {wanted.station_id!r} is not configured: add it to stations first"
            )
        return await self._certificates.sign_for(
            station, wanted.csr_pem, organisation=site.ocpp_server.cpo_name
        )
