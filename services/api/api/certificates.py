"""The certificates of the site: taken in, made, removed, and told to everybody.

All that is slow (keys, passphrases, signatures) runs in a thread.
"""

import asyncio
import logging
from collections.abc import Sequence

from api.authority import (
    KeyType,
    Pair,
    Wish,
    issue,
    make_request,
    make_root,
    pair_of,
    sign_station,
)
from api.domain.certificate_chain import Use
from api.domain.certificate_service import answer_of, signing_authority
from api.domain.certificates import CertificateRecord, completed, imported, record_of, wished_id
from api.domain.pem import UnusableCertificate, certificates_pem, key_pem, request_pem
from api.domain.signing_request import check_station_request
from api.storage.certificates import CertificateStore
from shared.bus.port import Bus
from shared.clock import Clock
from shared.contracts.certificate import CertificatesAnswer, CertificatesChanged
from shared.contracts.site import Station

logger = logging.getLogger(__name__)

STATION_DAYS = 730
"""How long a station's certificate is valid. It asks for a new one when told to."""

NO_AUTHORITY = (
    "there is no own authority that is valid: make one with POST /api/v1/certificates/authority, "
    "or import one with its key"
)


class Certificates:
    """Knows all certificates; ``UnusableCertificate`` tells the operator what is wrong with one."""

    def __init__(self, store: CertificateStore, bus: Bus, *, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock

    async def all(self) -> tuple[list[CertificateRecord], int]:
        """Return every record and the revision."""
        return await self._store.all()

    async def get(self, certificate_id: str) -> CertificateRecord | None:
        """Return one record."""
        return await self._store.get(certificate_id)

    async def answer(self) -> CertificatesAnswer:
        """Return everything that is needed to make TLS, private keys included."""
        records, revision = await self._store.all()
        return await asyncio.to_thread(answer_of, records, revision, now=self._clock.now())

    async def take_in(
        self, use: Use, certificate: str, *, key: str | None, passphrase: str | None, name: str
    ) -> list[CertificateRecord]:
        """Keep what an operator sends (S19, S21), except what is there already.

        Returns what was added, nothing when all of it was there.
        """
        records = await asyncio.to_thread(
            imported,
            use,
            certificate,
            key=key,
            passphrase=passphrase,
            name=name,
            now=self._clock.now(),
        )
        kept, _ = await self._store.all()
        known = {one.fingerprint for one in kept if one.use is use}
        fresh = {one.fingerprint: one for one in records if one.fingerprint not in known}
        return await self._add(list(fresh.values())) if fresh else []

    async def make_authority(
        self, common_name: str, organisation: str, *, key_type: KeyType, days: int
    ) -> list[CertificateRecord]:
        """Make an own root (S22). The newest one signs from now on; older ones stay trusted."""
        root = await asyncio.to_thread(
            make_root,
            common_name,
            organisation,
            key_type=key_type,
            days=days,
            now=self._clock.now(),
        )
        return await self._add([self._kept(Use.AUTHORITY, root, common_name)])

    async def make(
        self, use: Use, wish: Wish, *, key_types: Sequence[KeyType], name: str
    ) -> list[CertificateRecord]:
        """Make keys and certificates signed by the own authority, one of each key type."""
        authority = await self._authority()
        made = []
        for key_type in key_types:
            pair = await asyncio.to_thread(
                issue, authority, wish, key_type=key_type, now=self._clock.now()
            )
            called = name if len(key_types) == 1 else f"{name} {key_type.value}"
            made.append(self._kept(use, pair, called))
        return await self._add(made)

    async def request(
        self, use: Use, wish: Wish, *, key_type: KeyType, name: str
    ) -> list[CertificateRecord]:
        """Make a key and a signing request for another authority; the key stays here (S22)."""
        request, key = await asyncio.to_thread(make_request, wish, key_type=key_type)
        record = CertificateRecord(
            id=wished_id(name),
            use=use,
            name=name,
            certificate_pem=None,
            key_pem=key_pem(key),
            request_pem=request_pem(request),
            created_at=self._clock.now(),
        )
        return await self._add([record])

    async def complete(
        self, record: CertificateRecord, certificate: str
    ) -> CertificateRecord | None:
        """Take the signed certificate of a request; ``None`` when the request is gone."""
        signed = await asyncio.to_thread(completed, record, certificate, now=self._clock.now())
        if not await self._store.complete(signed):
            return None
        await self._tell(f"certificate {signed.id} completed")
        return signed

    async def remove(self, certificate_id: str) -> bool:
        """Delete a certificate with its key; False when there is none."""
        removed = await self._store.remove(certificate_id)
        if removed:
            await self._tell(f"certificate {certificate_id} removed")
        return removed

    async def sign_for(self, station: Station, csr_pem: str, *, organisation: str) -> str:
        """Return the certificate of a station's key and its chain, as PEM.

        Raises ``UnusableCertificate`` saying why it is not signed.
        """
        request = await asyncio.to_thread(check_station_request, csr_pem, station)
        authority = await self._authority()
        chain = await asyncio.to_thread(
            sign_station,
            authority,
            request,
            organisation=organisation,
            days=STATION_DAYS,
            now=self._clock.now(),
        )
        logger.info(
            "certificate %x signed for station %s, valid until %s",
            chain[0].serial_number,
            station.id,
            chain[0].not_valid_after_utc.date(),
        )
        return certificates_pem(chain)

    async def announce(self) -> None:
        """Tell the present revision again, for those who may have missed it."""
        await self._bus.publish(CertificatesChanged(revision=await self._store.revision()))

    async def _authority(self) -> Pair:
        records, _ = await self._store.all()
        record = signing_authority(records, self._clock.now())
        if record is None:
            raise UnusableCertificate(NO_AUTHORITY, field="authority")
        return await asyncio.to_thread(pair_of, record)

    async def _add(self, records: list[CertificateRecord]) -> list[CertificateRecord]:
        stored = await self._store.add(records)
        await self._tell("certificates added: " + ", ".join(one.id for one in stored))
        return stored

    async def _tell(self, what: str) -> None:
        logger.info("%s", what)
        await self.announce()

    def _kept(self, use: Use, pair: Pair, name: str) -> CertificateRecord:
        return record_of(use, pair.chain, name=name, key=key_pem(pair.key), now=self._clock.now())
