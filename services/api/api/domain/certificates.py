"""Certificates as the site keeps them: what may come in, what is shown, which ones are in service.

Pure. Texts are read in ``pem``; making and signing lives in ``api.authority``.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from cryptography import x509

from api.domain.certificate_chain import (
    Use,
    alternative_names,
    chain_for,
    check_fitness,
    common_name,
    fingerprint_of,
    is_authority,
)
from api.domain.pem import (
    UnusableCertificate,
    certificates_pem,
    has_private_key,
    key_pem,
    key_type,
    read_certificates,
    read_key,
    shown_name,
)


class State(StrEnum):
    """What can be done with a certificate now."""

    REQUESTED = "requested"
    """Its signing request waits for the signed certificate."""
    VALID = "valid"
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True)
class CertificateRecord:
    """One certificate with what belongs to it."""

    id: str
    """Named by the site (``Backend.client_certificate``); made of the name."""
    use: Use
    name: str
    certificate_pem: str | None
    """The certificate, then its chain. ``None`` = requested, not signed yet."""
    key_pem: str | None = field(default=None, repr=False)
    """PKCS #8, not encrypted. Never leaves by REST."""
    request_pem: str | None = None
    fingerprint: str | None = None
    """SHA-256 of the certificate in DER form, hexadecimal."""
    not_before: datetime | None = None
    not_after: datetime | None = None
    created_at: datetime

    def state(self, now: datetime) -> State:
        """Return what can be done with it."""
        if self.not_after is None:
            return State.REQUESTED
        return State.VALID if now <= self.not_after else State.EXPIRED


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is written in a certificate."""

    subject: str
    issuer: str
    common_name: str
    key_type: str
    names: tuple[str, ...]
    """DNS names and addresses of subjectAltName."""
    is_authority: bool
    chain_length: int
    """Certificates in the text, the first one included."""


def describe(pem: str) -> Description:
    """Say what is in a PEM text; it is about the first certificate.

    Raises ``UnusableCertificate``.
    """
    chain = read_certificates(pem)
    first = chain[0]
    return Description(
        subject=shown_name(first.subject),
        issuer=shown_name(first.issuer),
        common_name=common_name(first.subject),
        key_type=key_type(first.public_key()),
        names=alternative_names(first),
        is_authority=is_authority(first),
        chain_length=len(chain),
    )


def imported(
    use: Use, certificate: str, *, key: str | None, passphrase: str | None, name: str, now: datetime
) -> list[CertificateRecord]:
    """Check what an operator sends (S19, S21) and return the records to keep.

    The key may be in the certificate's text, protected by the passphrase or not. A chain may be in
    any order. Trusted certificates come one or many; each becomes a record of its own.
    Raises ``UnusableCertificate``.
    """
    found = read_certificates(certificate)
    if use is Use.STATION_TRUST:
        return _trusted(found, key, name=name, now=now)
    if key is None and has_private_key(certificate):
        key = certificate
    if key is None:
        raise UnusableCertificate(
            f"a certificate for use {use.value!r} needs its private key", field="key"
        )
    secret = read_key(key, passphrase)
    chain = chain_for(secret.public_key(), found)
    check_fitness(chain[0], use, now=now)
    return [record_of(use, chain, name=name, key=key_pem(secret), now=now)]


def completed(record: CertificateRecord, certificate: str, *, now: datetime) -> CertificateRecord:
    """Join a requested record and its signed certificate (S22).

    Raises ``UnusableCertificate`` when the certificate is not for this request.
    """
    if record.key_pem is None:
        raise UnusableCertificate(f"certificate {record.id!r} has no key here")
    public = read_key(record.key_pem, None).public_key()
    chain = chain_for(public, read_certificates(certificate))
    check_fitness(chain[0], record.use, now=now)
    signed = record_of(record.use, chain, name=record.name, key=record.key_pem, now=now)
    return replace(signed, id=record.id, created_at=record.created_at)


def _trusted(
    found: Sequence[x509.Certificate], key: str | None, *, name: str, now: datetime
) -> list[CertificateRecord]:
    if key is not None:
        raise UnusableCertificate(
            "the private key of a trusted certificate stays with its owner: leave it out",
            field="key",
        )
    for certificate in found:
        check_fitness(certificate, Use.STATION_TRUST, now=now)
    return [record_of(Use.STATION_TRUST, [one], name=name, now=now) for one in found]


def record_of(
    use: Use,
    chain: Sequence[x509.Certificate],
    *,
    name: str = "",
    key: str | None = None,
    now: datetime,
) -> CertificateRecord:
    """Return the record of a certificate with its chain; without a name, its common name."""
    first = chain[0]
    called = name or common_name(first.subject) or use.value
    return CertificateRecord(
        id=wished_id(called),
        use=use,
        name=called,
        certificate_pem=certificates_pem(chain),
        key_pem=key,
        fingerprint=fingerprint_of(first),
        not_before=first.not_valid_before_utc,
        not_after=first.not_valid_after_utc,
        created_at=now,
    )


def days_left(record: CertificateRecord, now: datetime) -> int | None:
    """Return whole days until it expires, negative afterwards; ``None`` = not signed yet."""
    if record.not_after is None:
        return None
    return math.floor((record.not_after - now).total_seconds() / 86_400)


def wished_id(name: str) -> str:
    """Return an id made of a name: ``Tiefgarage Köln`` is ``tiefgarage-koln``."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48].strip("-") or "certificate"


def free_id(wished: str, taken: Iterable[str]) -> str:
    """Return the wished id, with a number behind it when it is taken."""
    used = set(taken)
    number, candidate = 1, wished
    while candidate in used:
        number += 1
        candidate = f"{wished}-{number}"
    return candidate
