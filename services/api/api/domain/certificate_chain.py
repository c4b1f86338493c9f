"""One certificate and those that signed it: order, fitness for a use, what is written in it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from api.domain.pem import UnusableCertificate, same_key, shown_name

E = TypeVar("E", bound=x509.ExtensionType)


class Use(StrEnum):
    """What a certificate is kept for."""

    SERVER = "server"
    """Shown to stations on the OCPP port (S19)."""
    CLIENT = "client"
    """Shown to a backend that demands one (S21)."""
    STATION_TRUST = "station_trust"
    """A station's certificate, or the root that signed it (S21)."""
    AUTHORITY = "authority"
    """The own root: it signs, and stations with certificates of it are trusted (S22)."""


def fingerprint_of(certificate: x509.Certificate) -> str:
    """Return SHA-256 over the DER form, as ``Station.certificate_fingerprint`` has it."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def chain_for(public_key: object, found: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Return the certificate of a key, then its issuers as far as they are among those found.

    What belongs to another chain is left out: it would only make each handshake longer.
    Raises ``UnusableCertificate`` when no certificate fits the key.
    """
    first = next((one for one in found if same_key(one.public_key(), public_key)), None)
    if first is None:
        names = "; ".join(shown_name(one.subject) for one in found)
        raise UnusableCertificate(
            f"the private key does not fit the certificate ({names}): it belongs to another one",
            field="key",
        )
    chain = [first]
    while (issuer := _issuer(chain[-1], found)) is not None and issuer not in chain:
        chain.append(issuer)
    return chain


def _issuer(
    certificate: x509.Certificate, found: Iterable[x509.Certificate]
) -> x509.Certificate | None:
    return next((one for one in found if _has_issued(one, certificate)), None)


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    if issuer.subject != certificate.issuer:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def check_fitness(certificate: x509.Certificate, use: Use, *, now: datetime) -> None:
    """Raise ``UnusableCertificate`` unless a certificate may serve for this now."""
    called = shown_name(certificate.subject)
    if now > certificate.not_valid_after_utc:
        ended = certificate.not_valid_after_utc
        raise UnusableCertificate(f"{called} expired on {ended:%Y-%m-%d %H:%M} UTC: renew it")
    if now < certificate.not_valid_before_utc:
        begins = certificate.not_valid_before_utc
        raise UnusableCertificate(
            f"{called} is valid from {begins:%Y-%m-%d %H:%M} UTC on, and it is {now:%Y-%m-%d %H:%M}"
            " here: wait, or set the clock right"
        )
    _check_signature(certificate, called)
    _check_extensions(certificate, use, called)


def _check_signature(certificate: x509.Certificate, called: str) -> None:
    """What a root says of itself is not verified, so its own signature may be old."""
    if certificate.issuer != certificate.subject and isinstance(
        certificate.signature_hash_algorithm, hashes.SHA1 | hashes.MD5
    ):
        raise UnusableCertificate(
            f"{called} is signed with {certificate.signature_hash_algorithm.name}, which TLS "
            "accepts no more: have it signed with SHA-256"
        )


def _check_extensions(certificate: x509.Certificate, use: Use, called: str) -> None:
    if use is Use.AUTHORITY and not is_authority(certificate):
        raise UnusableCertificate(
            f"{called} is no certificate authority (basicConstraints CA:TRUE is missing), so "
            "nothing that it signs would be trusted"
        )
    purpose = {
        Use.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
        Use.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
    }.get(use)
    usages = _extension(certificate, x509.ExtendedKeyUsage)
    if purpose is None or usages is None or purpose in usages:
        return
    if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usages:
        raise UnusableCertificate(
            f"{called} is not for use {use.value!r}: its extended key usage lacks {use.value}Auth"
        )


def is_authority(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate may sign others."""
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        return False
    usage = _extension(certificate, x509.KeyUsage)
    return usage is None or usage.key_cert_sign


def common_name(name: x509.Name) -> str:
    """Return the first common name, or nothing."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def alternative_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return DNS names, wildcards as they are, and addresses."""
    names = _extension(certificate, x509.SubjectAlternativeName)
    if names is None:
        return ()
    addresses = (str(one) for one in names.get_values_for_type(x509.IPAddress))
    return (*names.get_values_for_type(x509.DNSName), *addresses)


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
