"""What a TLS context trusts: certificates and roots as operators store them (S20 to S22)."""

import re
import ssl
from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.errors import ConfigError

_CERTIFICATE = re.compile(
    r"-----BEGIN (?:X509 )?CERTIFICATE-----\s*[A-Za-z0-9+/=\s]+?-----END (?:X509 )?CERTIFICATE-----"
)


def certificate_blocks(pem: str) -> tuple[str, ...]:
    """Return the certificates in a text, without what tools write around them.

    OpenSSL prints subjects as comments, umlauts included (S22), which no TLS library reads.
    """
    return tuple(_CERTIFICATE.findall(pem))


def trust(context: ssl.SSLContext, certificates: Iterable[str]) -> None:
    """Have a context accept these PEM certificates, and whatever they have signed.

    PARTIAL_CHAIN lets a certificate that a CA has signed stand for itself. A self-signed one that
    does not say whether it is a CA counts as one (docs/adr/0009). Raises ``ConfigError`` for text
    that holds no certificate.
    """
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for pem in certificates:
        blocks = certificate_blocks(pem)
        if not blocks:
            raise ConfigError("a trusted certificate is no PEM certificate")
        for block in blocks:
            _trust_one(context, block)


def _trust_one(context: ssl.SSLContext, block: str) -> None:
    anchor = _anchor_in(block)
    try:
        if anchor is not None:  # before the original: OpenSSL takes the first issuer that fits
            context.load_verify_locations(cadata=anchor)
        context.load_verify_locations(cadata=block)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(f"a trusted certificate is no PEM certificate: {error}") from error


def _anchor_in(block: str) -> bytes | None:
    """What cannot be read here may still be good enough for OpenSSL, as it is."""
    try:
        return _anchor_of(x509.load_pem_x509_certificate(block.encode()))
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension):
        return None


def _anchor_of(root: x509.Certificate) -> bytes | None:
    """Return a trust anchor for a root that does not say that it is one; ``None`` for any other.

    ``openssl req -x509`` as in the document writes version 1 up to OpenSSL 3.1, and from 3.2 on
    version 3 without basic constraints, which OpenSSL then does not let sign. An anchor is a name
    and a key (RFC 5280, 6.1.1 d), so the same name and key with the constraint added serve; its
    signature is never looked at.
    """
    if root.version is not x509.Version.v3 or root.issuer != root.subject or _says_use(root):
        return None
    builder = (
        x509.CertificateBuilder()
        .subject_name(root.subject)
        .issuer_name(root.subject)
        .public_key(root.public_key())
        .serial_number(root.serial_number)
        .not_valid_before(root.not_valid_before_utc)
        .not_valid_after(root.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    for extension in root.extensions:
        if isinstance(extension.value, x509.SubjectKeyIdentifier):
            builder = builder.add_extension(extension.value, critical=False)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


def _says_use(certificate: x509.Certificate) -> bool:
    uses = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage)
    return any(isinstance(extension.value, uses) for extension in certificate.extensions)
