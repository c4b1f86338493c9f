"""The own certificate authority (S22): makes roots, keys, signing requests and certificates.

Nothing is kept here. Keys and serial numbers are random; making an RSA key takes up to seconds, so
call these in a thread.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from api.domain.certificates import CertificateRecord
from api.domain.pem import (
    PrivateKey,
    PublicKey,
    UnusableCertificate,
    read_certificates,
    read_key,
)
from api.domain.signing_request import LONGEST_NAME, StationRequest

BACKDATED = timedelta(days=1)
"""Clocks of stations that have just been switched on are slow."""

ROOT_RSA_BITS = 3072
"""As strong as the EC keys here (128 bits), and made within a second or two."""

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)


class KeyType(StrEnum):
    """Kinds of keys. Stations know RSA or EC; a port shows both (security white paper)."""

    RSA = "rsa"
    EC = "ec"


class Purpose(StrEnum):
    """What a certificate is signed for."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True)
class Pair:
    """A certificate with its chain, and its key."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKey


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be certified."""

    common_name: str
    organisation: str = ""
    names: tuple[str, ...] = ()
    """DNS names, with wildcards in the first label, and IP addresses."""
    purpose: Purpose
    days: int


def make_root(
    common_name: str, organisation: str, *, key_type: KeyType, days: int, now: datetime
) -> Pair:
    """Make a root of one's own, for signing only."""
    key = _new_key(key_type, rsa_bits=ROOT_RSA_BITS)
    name = _subject(common_name, organisation)
    builder = _builder(name, name, key.public_key(), now - BACKDATED, now + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(signs=True), critical=True)
    return Pair((builder.sign(key, hashes.SHA256()),), key)


def issue(authority: Pair, wish: Wish, *, key_type: KeyType, now: datetime) -> Pair:
    """Make a key and its certificate, signed by the authority, its chain included."""
    key = _new_key(key_type, rsa_bits=2048)
    return Pair(sign(authority, wish, key.public_key(), now=now), key)


def sign_station(
    authority: Pair, request: StationRequest, *, organisation: str, days: int, now: datetime
) -> tuple[x509.Certificate, ...]:
    """Certify a station's key: O is the operator (A00.FR.404), or what it wrote without one."""
    wish = Wish(
        common_name=request.common_name,
        organisation=organisation or request.organisation,
        purpose=Purpose.CLIENT,
        days=days,
    )
    return sign(authority, wish, request.public_key, now=now)


def sign(
    authority: Pair, wish: Wish, key: PublicKey, *, now: datetime
) -> tuple[x509.Certificate, ...]:
    """Sign a certificate that does not outlive its authority; returns it with the chain.

    Raises ``UnusableCertificate`` for names that are none.
    """
    issuer = authority.chain[0]
    ends = min(now + timedelta(days=wish.days), issuer.not_valid_after_utc)
    subject = _subject(wish.common_name, wish.organisation)
    builder = _builder(subject, issuer.subject, key, now - BACKDATED, ends)
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    builder = builder.add_extension(
        _key_usage(signs=False, encrypts_keys=isinstance(key, rsa.RSAPublicKey)), critical=True
    )
    usage = {
        Purpose.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
        Purpose.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
    }[wish.purpose]
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    builder = builder.add_extension(_authority_key_id(issuer), critical=False)
    if wish.names:
        builder = builder.add_extension(alternative_names(wish.names), critical=False)
    return builder.sign(authority.key, hashes.SHA256()), *authority.chain


def make_request(
    wish: Wish, *, key_type: KeyType
) -> tuple[x509.CertificateSigningRequest, PrivateKey]:
    """Make a key and a request that another authority can sign."""
    key = _new_key(key_type, rsa_bits=2048)
    subject = _subject(wish.common_name, wish.organisation)
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if wish.names:
        builder = builder.add_extension(alternative_names(wish.names), critical=False)
    return builder.sign(key, hashes.SHA256()), key


def pair_of(record: CertificateRecord) -> Pair:
    """Return a kept certificate ready for signing with."""
    chain = read_certificates(record.certificate_pem or "")
    return Pair(tuple(chain), read_key(record.key_pem or "", None))


def alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    """Return DNS names (umlauts as IDNA) and addresses as an extension.

    Raises ``UnusableCertificate`` for what is neither.
    """
    return x509.SubjectAlternativeName([_alternative_name(name.strip()) for name in names])


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(_dns_name(name))


def _dns_name(name: str) -> str:
    host = name.removeprefix("*.").removesuffix(".")
    try:
        plain = host.encode("idna").decode("ascii")
    except UnicodeError:
        plain = ""
    labels = plain.split(".")
    is_name = all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()
    if not is_name or len(plain) > 251 or (name.startswith("*.") and len(labels) < 2):
        raise UnusableCertificate(
            f"{name!r} is neither a host name, nor a wildcard like *.garage.example, nor an IP "
            "address: write it without scheme, port and path",
            field="names",
        )
    return f"*.{plain}" if name.startswith("*.") else plain


def _new_key(key_type: KeyType, *, rsa_bits: int) -> PrivateKey:
    if key_type is KeyType.EC:
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)


def _subject(common_name: str, organisation: str) -> x509.Name:
    for field, text in (("common_name", common_name), ("organisation", organisation)):
        if len(text) > LONGEST_NAME:
            raise UnusableCertificate(
                f"{text!r} is longer than the {LONGEST_NAME} characters of X.520", field=field
            )
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(attributes)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _authority_key_id(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        # The key of an authority was checked to be RSA or EC when it came in.
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)


def _key_usage(*, signs: bool, encrypts_keys: bool = False) -> x509.KeyUsage:
    """Return what a key may do. TLS_RSA suites of OCPP need key encipherment."""
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=encrypts_keys,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
