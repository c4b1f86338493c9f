"""Server certificate from the start (S18), and TLS contexts of both sides (S20, S21).

Certificates are made by ``cryptography``; TLS itself is OpenSSL's.
"""

import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.errors import ConfigError

VALID_FOR = timedelta(days=3650)


def ensure_server_certificate(folder: Path, *, now: datetime) -> tuple[Path, Path]:
    """Return (certificate, key), made and self-signed when there are none yet (S18).

    Replicas that share the folder may start together: the first one to finish wins, all use its
    files. Raises ``ConfigError`` when the folder cannot be written.
    """
    certificate, key = folder / "server.crt", folder / "server.key"
    pair = folder / "server.pem"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not pair.exists():
            _write_once(pair, _self_signed_pair(now))
        if not (certificate.exists() and key.exists()):
            return pair, pair
    except OSError as error:
        raise ConfigError(
            f"the TLS certificate cannot be stored in {folder} ({error.strerror}): set "
            "PARKADE_DATA_DIR to a folder that this user may write"
        ) from error
    return certificate, key


def _write_once(target: Path, content: bytes) -> None:
    """Put a file there completely or not at all; an earlier file stays."""
    draft = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fsync(file.fileno())
    try:
        os.link(draft, target)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _self_signed_pair(now: datetime) -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    host = socket.gethostname()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName(_own_names(host)), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _own_names(host: str) -> list[x509.GeneralName]:
    addresses = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
    return [x509.DNSName(host), x509.DNSName("localhost"), *map(x509.IPAddress, addresses)]


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the TLS context of the OCPP port: TLS 1.2 and up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"certificate {certificate} with key {key} cannot be used: {error}"
        ) from error
    return context


def client_context(trusted: Sequence[str]) -> ssl.SSLContext:
    """Return the TLS context towards a backend (S20).

    With nothing trusted, TLS is made without verifying; otherwise the backend's certificate must be
    one of the trusted, or be signed by one. PARTIAL_CHAIN lets a CA-signed certificate stand for
    itself. Raises ``ConfigError`` for text that is no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not trusted:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for pem in trusted:
        try:
            context.load_verify_locations(cadata=pem)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(f"a trusted certificate is no PEM certificate: {error}") from error
    return context
