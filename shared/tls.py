"""TLS contexts of both sides: the OCPP port (S18, S19, S21) and backends (S20, S21).

TLS itself is OpenSSL's. Where the certificates come from is told by ``shared.certificate_client``
and ``shared.server_certificate``.
"""

import secrets
import ssl
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from shared.contracts.certificate import KeyPair
from shared.errors import ConfigError
from shared.trust import certificate_blocks, trust

_STRENGTH = "@SECLEVEL=2"
"""112 bits: RSA from 2048, EC from 224, no SHA-1 (OCPP security white paper, A00.FR.309 ff.)."""
SERVER_SUITES = f"{_STRENGTH}:ECDHE+AESGCM:ECDHE+CHACHA20:AES128-GCM-SHA256:AES256-GCM-SHA384"
"""TLS 1.2: the four that the white paper demands of a central system, and their modern kin."""
CLIENT_SUITES = (
    f"{_STRENGTH}:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:AES128-GCM-SHA256:AES256-GCM-SHA384"
    ":!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"
)
"""Python's own, and both pairs that the white paper lets a charge point choose from."""


def server_context(
    pairs: Sequence[KeyPair], *, station_trust: Sequence[str] = ()
) -> ssl.SSLContext:
    """Return the TLS context of the OCPP port: TLS 1.2 and up, one certificate per key type.

    With something in ``station_trust`` (PEM: client certificates or their roots, S21) a station is
    asked for its certificate. It may show none, because whether it must is decided for each
    station; one that does not verify ends the handshake. Raises ``ConfigError``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SERVER_SUITES)
    context.options |= (
        ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
    )
    for pair in pairs:
        _show(context, pair)
    if station_trust:
        context.verify_mode = ssl.CERT_OPTIONAL
        trust(context, station_trust)
    return context


def client_context(trusted: Sequence[str], own: KeyPair | None = None) -> ssl.SSLContext:
    """Return the TLS context towards a backend (S20), which is shown ``own`` if it asks (S21).

    With nothing trusted, TLS is made without verifying; otherwise the backend's certificate must be
    one of the trusted, or be signed by one. Raises ``ConfigError`` for text that is no certificate,
    and for a key that does not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CLIENT_SUITES)
    if own is not None:
        _show(context, own)
    if trusted:
        trust(context, trusted)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _show(context: ssl.SSLContext, pair: KeyPair) -> None:
    """Have a context show this certificate.

    OpenSSL reads it from a file only. That file is this user's alone, lives for a moment, and its
    key is encrypted with a passphrase that nobody writes down.
    """
    passphrase = secrets.token_hex(32).encode()
    try:
        key = serialization.load_pem_private_key(pair.key_pem.encode(), password=None)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase),
        )
        with TemporaryDirectory(prefix="parkade-") as folder:
            file = Path(folder) / "pair.pem"
            file.touch(mode=0o600)
            file.write_bytes(secret + "\n".join(certificate_blocks(pair.certificate_pem)).encode())
            context.load_cert_chain(file, password=passphrase)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        # An encrypted key is a TypeError here; ssl.SSLError is an OSError.
        raise ConfigError(
            f"certificate {pair.certificate_id} with its key cannot be used: {error}"
        ) from error
