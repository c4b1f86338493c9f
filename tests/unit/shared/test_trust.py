"""What stored certificates may sign (S20 to S22)."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.trust import certificate_blocks, trust

CA = x509.BasicConstraints(ca=True, path_length=None)
NO_CA = x509.BasicConstraints(ca=False, path_length=None)
FOR_SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


def self_signed(*extensions: x509.ExtensionType) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Köln")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256())


def pem_of(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def trusted_by(*pems: str) -> list[x509.Certificate]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust(context, pems)
    assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    every = context.cert_store_stats()["x509"]
    signing = [x509.load_der_x509_certificate(der) for der in context.get_ca_certs(True)]
    assert every >= len(signing)
    return signing


def test_a_self_signed_certificate_that_says_nothing_may_sign() -> None:
    root = self_signed()
    (anchor,) = trusted_by(pem_of(root))
    assert anchor.public_key() == root.public_key()
    assert (anchor.subject, anchor.serial_number) == (root.subject, root.serial_number)


@pytest.mark.parametrize(
    "extensions", [(NO_CA,), (FOR_SERVERS,)], ids=["says that it may not", "for servers only"]
)
def test_one_that_says_what_it_is_for_may_not(extensions: tuple[x509.ExtensionType, ...]) -> None:
    assert trusted_by(pem_of(self_signed(*extensions))) == []


def test_a_root_stays_as_it_is() -> None:
    root = self_signed(CA)
    assert trusted_by(pem_of(root)) == [root]


def test_all_certificates_of_a_text_count_and_comments_do_not() -> None:
    one, other = self_signed(CA), self_signed(CA)
    text = f"subject=O = Tiefgarage Köln GmbH\n{pem_of(one)}\r\n# and\n{pem_of(other)}"
    assert len(certificate_blocks(text)) == 2
    assert {c.public_bytes(serialization.Encoding.DER) for c in trusted_by(text)} == {
        c.public_bytes(serialization.Encoding.DER) for c in (one, other)
    }


def test_a_key_is_no_certificate() -> None:
    assert certificate_blocks("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----") == ()
