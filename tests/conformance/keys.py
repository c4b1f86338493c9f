"""Keys and certificates as stations and their makers have them, and what OCPP tells of them."""

import hashlib
import ssl
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from shared.clock import SYSTEM_CLOCK

PrivateKey = ec.EllipticCurvePrivateKey
VALID_FOR = timedelta(days=30)


def new_key() -> PrivateKey:
    """Return a new key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> str:
    """Return a key as PKCS #8."""
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return pem.decode()


def subject(common_name: str, organisation: str) -> x509.Name:
    """Return a name with CN and O."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
        ]
    )


def signing_request(key: PrivateKey, common_name: str, organisation: str) -> str:
    """Return a signing request as PEM."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        subject(common_name, organisation)
    )
    request = builder.sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


@dataclass(frozen=True)
class Root:
    """Somebody's certificate authority."""

    key: PrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        """Its certificate."""
        return pem_of(self.certificate)

    def issue(self, common_name: str, organisation: str) -> tuple[str, str]:
        """Return a certificate signed by it, with its key; both PEM."""
        key = new_key()
        name = subject(common_name, organisation)
        certificate = _sign(name, key, self.certificate.subject, by=self.key, is_root=False)
        return pem_of(certificate), key_pem(key)


def new_root(common_name: str) -> Root:
    """Make a certificate authority."""
    key = new_key()
    name = subject(common_name, "Makers of Boxes")
    return Root(key, _sign(name, key, name, by=key, is_root=True))


def _sign(
    name: x509.Name, key: PrivateKey, issuer: x509.Name, *, by: PrivateKey, is_root: bool
) -> x509.Certificate:
    now = SYSTEM_CLOCK.now()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .sign(by, hashes.SHA256())
    )


def pem_of(certificate: x509.Certificate) -> str:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def read_chain(pem: str) -> list[x509.Certificate]:
    """Return the certificates of a PEM text."""
    return x509.load_pem_x509_certificates(pem.encode())


def hash_data(pem: str, algorithm: str = "SHA256") -> dict[str, str]:
    """Return CertificateHashData of a self-signed certificate (RFC 6960, 4.1.1)."""
    (certificate,) = read_chain(pem)
    digest = {"SHA256": hashlib.sha256, "SHA384": hashlib.sha384, "SHA512": hashlib.sha512}
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": digest[algorithm](certificate.issuer.public_bytes()).hexdigest(),
        "issuerKeyHash": digest[algorithm](_key_bits(certificate)).hexdigest(),
        "serialNumber": f"{certificate.serial_number:x}",
    }


def _key_bits(certificate: x509.Certificate) -> bytes:
    """Return the public key as it stands in a certificate, without its algorithm."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    form = serialization.PublicFormat.UncompressedPoint
    return key.public_bytes(serialization.Encoding.X962, form)


def station_context(
    trusted_pem: str, *, own: tuple[str, str] | None = None, suite: str | None = None
) -> ssl.SSLContext:
    """Return the TLS context of a station: what it trusts, its own certificate and key, and the
    one TLS 1.2 suite that it knows (OpenSSL's name; ``None`` = TLS of today)."""
    context = ssl.create_default_context(cadata=trusted_pem)
    if suite is not None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(suite)
    if own is not None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "own.pem"
            file.write_text("\n".join(own))
            context.load_cert_chain(file)
    return context
