"""The certificates that an OCPP port has from the start: self-signed, one of each key type (S18).

Kept in files, which replicas may share. ``server.crt`` with ``server.key`` beside them is an
operator's own and is used instead (S19), unless others are stored through the api.
"""

import ipaddress
import os
import socket
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.contracts.certificate import KeyPair
from shared.errors import ConfigError
from shared.trust import certificate_blocks

VALID_FOR = timedelta(days=3650)
RSA_FILE = "server.pem"
EC_FILE = "server-ec.pem"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def ensure_server_certificates(folder: Path, *, now: datetime) -> tuple[KeyPair, ...]:
    """Return the operator's own pair, or the self-signed ones, made when they are not there yet.

    An own certificate stands alone: a box that verifies it must not be shown a self-signed one of
    another key type instead. Replicas that share the folder may start together: the first one to
    finish wins, all use its files. Raises ``ConfigError`` when the folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        own = _own_pair(folder)
        return (own,) if own is not None else _self_signed_pairs(folder, now)
    except OSError as error:
        raise ConfigError(
            f"the TLS certificate cannot be kept in {folder} ({error.strerror}): set "
            "PARKADE_DATA_DIR to a folder that this user may write"
        ) from error


def _own_pair(folder: Path) -> KeyPair | None:
    certificate, key = folder / "server.crt", folder / "server.key"
    if not (certificate.exists() and key.exists()):
        return None
    return _pair(str(certificate), _text(certificate), _text(key))


def _self_signed_pairs(folder: Path, now: datetime) -> tuple[KeyPair, ...]:
    rsa_file, ec_file = folder / RSA_FILE, folder / EC_FILE
    if not rsa_file.exists():
        _write_once(rsa_file, _self_signed(rsa.generate_private_key(65537, 2048), now))
    if not ec_file.exists():
        _write_once(ec_file, _self_signed(ec.generate_private_key(ec.SECP256R1()), now))
    return tuple(_pair(str(file), _text(file), _text(file)) for file in (rsa_file, ec_file))


def _pair(name: str, certificate_text: str, key_text: str) -> KeyPair:
    """Read a pair from texts; whether they fit is found out by who makes TLS of them."""
    begin = key_text.find("-----BEGIN ")
    chain = "\n".join(certificate_blocks(certificate_text))
    return KeyPair(certificate_id=name, certificate_pem=chain, key_pem=key_text[max(begin, 0) :])


def _text(file: Path) -> str:
    """Return a PEM file as text; only comments can be in any other encoding than ASCII."""
    return file.read_text(encoding="utf-8", errors="replace")


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


def _self_signed(key: PrivateKey, now: datetime) -> bytes:
    """Return key and certificate as PEM."""
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
