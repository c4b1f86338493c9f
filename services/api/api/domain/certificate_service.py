"""Which of the kept certificates are in service: shown, trusted, signing, used by the site."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from api.domain.certificate_chain import Use
from api.domain.certificates import CertificateRecord, State, describe
from shared.contracts.certificate import CertificatesAnswer, KeyPair
from shared.contracts.site import SiteConfig


def answer_of(
    records: Sequence[CertificateRecord], revision: int, *, now: datetime
) -> CertificatesAnswer:
    """Return everything that is needed to make TLS."""
    return CertificatesAnswer(
        revision=revision,
        server=tuple(map(_pair, shown_to_stations(records, now))),
        client=tuple(map(_pair, _signed(records, Use.CLIENT))),
        station_trust=trusted(records),
    )


def shown_to_stations(
    records: Sequence[CertificateRecord], now: datetime
) -> list[CertificateRecord]:
    """Return the server certificates in service: of RSA and of EC the newest that is valid.

    When all of a kind have expired, the newest stays: a station that does not verify goes on, and
    one whose clock is slow as well.
    """
    best: dict[str, CertificateRecord] = {}
    for record in _signed(records, Use.SERVER):
        kind = describe(record.certificate_pem or "").key_type.partition(" ")[0]
        known = best.get(kind)
        if known is None or _rank(record, now) > _rank(known, now):
            best[kind] = record
    return [best[kind] for kind in sorted(best, reverse=True)]


def trusted(records: Sequence[CertificateRecord]) -> tuple[str, ...]:
    """Return what stations' certificates are checked against; own authorities are part of it."""
    kept = [*_signed(records, Use.STATION_TRUST), *_signed(records, Use.AUTHORITY)]
    return tuple(dict.fromkeys(record.certificate_pem or "" for record in kept))


def signing_authority(
    records: Sequence[CertificateRecord], now: datetime
) -> CertificateRecord | None:
    """Return the newest own authority that is valid, if there is one."""
    usable = [
        record
        for record in _signed(records, Use.AUTHORITY)
        if record.key_pem is not None and record.state(now) is State.VALID
    ]
    return max(usable, key=lambda record: record.created_at, default=None)


def evses_showing(site: SiteConfig, certificate_id: str) -> list[str]:
    """Return the EVSEs whose backend is shown a certificate."""
    return [
        evse.id
        for evse in site.evses
        if evse.backend is not None and evse.backend.client_certificate == certificate_id
    ]


def ids_in_service(
    records: Sequence[CertificateRecord], site: SiteConfig, now: datetime
) -> frozenset[str]:
    """Return the certificates that matter now: those whose end somebody would notice."""
    used = {record.id for record in _signed(records, Use.STATION_TRUST)}
    used.update(record.id for record in shown_to_stations(records, now))
    used.update(
        record.id for record in _signed(records, Use.CLIENT) if evses_showing(site, record.id)
    )
    newest = max(_signed(records, Use.AUTHORITY), key=lambda one: one.created_at, default=None)
    signing = signing_authority(records, now) or newest
    return frozenset(used | ({signing.id} if signing else set()))


def _signed(records: Iterable[CertificateRecord], use: Use) -> list[CertificateRecord]:
    return [
        record for record in records if record.use is use and record.certificate_pem is not None
    ]


def _rank(record: CertificateRecord, now: datetime) -> tuple[bool, datetime]:
    return record.state(now) is State.VALID, record.created_at


def _pair(record: CertificateRecord) -> KeyPair:
    return KeyPair(
        certificate_id=record.id,
        certificate_pem=record.certificate_pem or "",
        key_pem=record.key_pem or "",
    )
