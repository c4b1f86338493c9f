"""PEM texts in and out: certificates, private keys, signing requests, and what key is good enough.

Whatever tool wrote them (S22): text before the first line, a byte order mark, several pieces in one
file, keys in PKCS #8 or the older forms, with or without a passphrase, subjects in UTF-8.
"""

import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

LEAST_RSA_BITS = 2048
LEAST_EC_BITS = 224
"""OCPP 1.6 security white paper, section on certificate properties."""

LONGEST_PEM = 256 * 1024
"""A bundle of all public roots is shorter."""

_PRIVATE = re.compile(r"-----BEGIN ([A-Z]+ )*PRIVATE KEY-----")


class UnusableCertificate(ValueError):
    """A certificate, key or request that cannot be used. The message says what to do.

    ``field`` is the part of the operator's request that is to blame.
    """

    def __init__(self, message: str, *, field: str = "certificate") -> None:
        super().__init__(message)
        self.field = field


def has_private_key(text: str) -> bool:
    """Tell whether a private key is among the pieces of a text."""
    return _PRIVATE.search(text) is not None


def read_certificates(text: str) -> list[x509.Certificate]:
    """Return all certificates of a text, in its order: at least one, each with a good key.

    Raises ``UnusableCertificate``.
    """
    content = _bytes_of(text)
    try:
        found = x509.load_pem_x509_certificates(content)
        keys = [(_readable_subject(one), one.public_key()) for one in found]
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise UnusableCertificate(
            "there is no readable PEM certificate: send the text from -----BEGIN CERTIFICATE----- "
            "to -----END CERTIFICATE-----, both lines included (DER and PKCS #12 files have to be "
            f"converted first); reading it failed with: {_first_line(error)}"
        ) from error
    for subject, key in keys:
        check_public_key(key, of=subject)
    return found


def _readable_subject(certificate: x509.Certificate) -> str:
    """Touch what is decoded only when it is asked for, so that nothing odd is kept."""
    shown_name(certificate.issuer)
    list(certificate.extensions)
    return shown_name(certificate.subject)


def read_key(text: str, passphrase: str | None) -> PrivateKey:
    """Return the private key of a text; the passphrase is ignored where none is needed.

    Raises ``UnusableCertificate``, which tells a wrong passphrase from a missing one.
    """
    content = _bytes_of(text, field="key")
    secret = passphrase.encode() if passphrase else None
    if not has_private_key(text):
        raise UnusableCertificate(
            "there is no PEM private key: send the text from -----BEGIN ... PRIVATE KEY----- to "
            "-----END ... PRIVATE KEY-----",
            field="key",
        )
    if not _is_encrypted(text):
        secret = None
    try:
        key = serialization.load_pem_private_key(content, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unreadable_key(text, secret, error) from error
    if not isinstance(key, PrivateKey):
        raise UnusableCertificate("the key is neither RSA nor EC: make one of them", field="key")
    check_public_key(key.public_key(), of="key", field="key")
    return key


def read_request(text: str) -> x509.CertificateSigningRequest:
    """Return a certificate signing request whose signature proves possession of the key.

    Raises ``UnusableCertificate``.
    """
    content = _bytes_of(text)
    try:
        request = x509.load_pem_x509_csr(content)
        key = request.public_key()
        is_proved = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableCertificate(
            f"this is no readable PEM signing request: {_first_line(error)}"
        ) from error
    if not is_proved:
        raise UnusableCertificate(
            "the signature of the request is wrong, so it proves no possession of the key"
        )
    check_public_key(key, of="request")
    return request


def check_public_key(key: object, *, of: str, field: str = "certificate") -> PublicKey:
    """Return the key when it is RSA or EC and long enough; raise ``UnusableCertificate`` if not."""
    if isinstance(key, rsa.RSAPublicKey):
        least = LEAST_RSA_BITS
    elif isinstance(key, ec.EllipticCurvePublicKey):
        least = LEAST_EC_BITS
    else:
        raise UnusableCertificate(f"{of}: the key is neither RSA nor EC", field=field)
    if key.key_size < least:
        raise UnusableCertificate(
            f"{of}: the key has {key.key_size} bits, OCPP asks for {least} or more: make a new one",
            field=field,
        )
    return key


def key_type(key: object) -> str:
    """Return a key as people name it: ``RSA 2048``, ``EC secp256r1``."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    return "unknown"


def shown_name(name: x509.Name) -> str:
    """Return a subject as one line, umlauts as they are: ``CN=a,O=Tiefgarage Köln GmbH``."""
    return name.rfc4514_string()


def certificates_pem(certificates: Sequence[x509.Certificate]) -> str:
    """Return certificates as one PEM text."""
    encoded = (one.public_bytes(serialization.Encoding.PEM).decode() for one in certificates)
    return "".join(encoded)


def key_pem(key: PrivateKey) -> str:
    """Return a key as PKCS #8, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def request_pem(request: x509.CertificateSigningRequest) -> str:
    """Return a signing request as PEM."""
    return request.public_bytes(serialization.Encoding.PEM).decode()


def same_key(one: object, other: object) -> bool:
    """Tell whether two public keys are one and the same."""
    return isinstance(one, PublicKey) and one == other


def _bytes_of(text: str, *, field: str = "certificate") -> bytes:
    if len(text) > LONGEST_PEM:
        raise UnusableCertificate(f"the text is longer than {LONGEST_PEM} characters", field=field)
    return text.removeprefix("\ufeff").encode()


def _is_encrypted(text: str) -> bool:
    return "ENCRYPTED" in text


def _unreadable_key(text: str, secret: bytes | None, error: Exception) -> UnusableCertificate:
    if _is_encrypted(text) and secret is None:
        return UnusableCertificate(
            "the key is protected: send its passphrase with it", field="passphrase"
        )
    if _is_encrypted(text) and "password" in str(error).lower():
        return UnusableCertificate("the passphrase does not open the key", field="passphrase")
    return UnusableCertificate(f"the private key cannot be read: {_first_line(error)}", field="key")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].partition(" See http")[0]
