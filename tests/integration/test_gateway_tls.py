"""Which certificates of a backend are accepted (S20), and which one it is shown (S21)."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from parkade.simulation.backend import SimulatedBackend
from shared.contracts.certificate import (
    CertificatesAnswer,
    CertificatesChanged,
    GetCertificates,
    KeyPair,
)
from shared.contracts.message import service_address
from shared.contracts.site import SiteConfig
from tests.conditions import eventually
from tests.integration.gateway_world import World, site_with, world_of

RIGHT_NAME = x509.IPAddress(ip_address("127.0.0.1"))
WRONG_NAME = x509.DNSName("backend.example")


@dataclass
class Signed:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def secret(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    def serve(self, folder: Path) -> ssl.SSLContext:
        """Return the TLS context of a server that shows this certificate."""
        file = folder / "backend.pem"
        file.write_text(self.secret + self.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def certificate(
    common_name: str, *, name: x509.GeneralName | None = None, by: Signed | None = None
) -> Signed:
    """Make a certificate: a root when nobody signs it, a server's otherwise."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if name is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)
    return Signed(builder.sign(by.key if by else key, hashes.SHA256()), key)


ROOT = certificate("Tiefgarage Köln Root")
OTHER_ROOT = certificate("Another Root")
RIGHT = certificate("backend", name=RIGHT_NAME, by=ROOT)
WRONG = certificate("backend", name=WRONG_NAME, by=ROOT)
SELF_SIGNED = certificate("backend", name=WRONG_NAME)
CLIENT = certificate("Parkade", by=ROOT)


def state(world: World) -> tuple[bool, str]:
    told = list(world.uplinks.values())
    return (told[0].online, told[0].detail) if told else (False, "")


@pytest.mark.parametrize(
    ("shown", "trusted"),
    [
        pytest.param(WRONG, (), id="nothing stored: no verification"),
        pytest.param(RIGHT, (ROOT,), id="root stored"),
        pytest.param(RIGHT, (OTHER_ROOT, ROOT), id="one of two roots fits"),
        pytest.param(WRONG, (WRONG,), id="the certificate itself stored, whatever its name"),
        pytest.param(SELF_SIGNED, (SELF_SIGNED,), id="self-signed, itself stored"),
    ],
)
async def test_backend_is_trusted(tmp_path: Path, shown: Signed, trusted: list[Signed]) -> None:
    async with SimulatedBackend(tls=shown.serve(tmp_path)) as backend:
        site = site_with(backend, trusted=tuple(one.pem for one in trusted))
        async with world_of(site, tmp_path) as world:
            await world.observe()
            async with world.gateway():
                await eventually(lambda: state(world)[0], claim="online")


@pytest.mark.parametrize(
    ("shown", "trusted"),
    [
        pytest.param(RIGHT, (OTHER_ROOT,), id="signed by somebody else"),
        pytest.param(WRONG, (ROOT,), id="right root, but the name of another host"),
        pytest.param(WRONG, (ROOT, RIGHT), id="another certificate of the same root stored"),
    ],
)
async def test_backend_is_not_trusted(tmp_path: Path, shown: Signed, trusted: list[Signed]) -> None:
    async with SimulatedBackend(tls=shown.serve(tmp_path), password="secret") as backend:
        site = site_with(backend, trusted=tuple(one.pem for one in trusted), password="secret")
        async with world_of(site, tmp_path) as world:
            await world.observe()
            async with world.gateway():
                await eventually(lambda: "certificate" in state(world)[1].lower())
                assert not state(world)[0]
        assert not backend.recorded


def demanding(folder: Path, trusted: Signed) -> ssl.SSLContext:
    """Return the TLS context of a backend that takes only clients it can verify."""
    context = RIGHT.serve(folder)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=trusted.pem)
    return context


def showing(site: SiteConfig, certificate_id: str) -> SiteConfig:
    """Have the backend of the first EVSE be shown a stored certificate."""
    (evse,) = site.evses
    assert evse.backend is not None
    backend = evse.backend.model_copy(update={"client_certificate": certificate_id})
    return site.model_copy(update={"evses": (evse.model_copy(update={"backend": backend}),)})


async def store(world: World, *pairs: KeyPair) -> None:
    """Stand in for the certificates of the api."""

    async def nobody(_address: Any, _epoch: int) -> None:
        return None

    async def answer(_: Any) -> CertificatesAnswer:
        return CertificatesAnswer(revision=1, client=pairs)

    bus = world.hub.join("api")
    inbox = await bus.inbox(nobody)
    inbox.on(GetCertificates, answer)
    await inbox.own(service_address("certificates"), 1)
    await bus.publish(CertificatesChanged(revision=1))


def pair_of(signed: Signed, certificate_id: str) -> KeyPair:
    return KeyPair(certificate_id=certificate_id, certificate_pem=signed.pem, key_pem=signed.secret)


@pytest.mark.parametrize("shown", [RIGHT, WRONG], ids=["name fits", "pinned"])
async def test_a_demanding_backend_is_shown_the_client_certificate(
    tmp_path: Path, shown: Signed
) -> None:
    tls = demanding(tmp_path, ROOT)
    tls.load_cert_chain(_file(tmp_path, shown))
    async with SimulatedBackend(tls=tls) as backend:
        site = showing(site_with(backend, trusted=(shown.pem,)), "ours")
        async with world_of(site, tmp_path) as world:
            await store(world, pair_of(CLIENT, "ours"))
            await world.observe()
            async with world.gateway():
                await eventually(lambda: state(world)[0], claim="online")


async def test_a_demanding_backend_refuses_another_certificate(tmp_path: Path) -> None:
    async with SimulatedBackend(tls=demanding(tmp_path, ROOT)) as backend:
        site = showing(site_with(backend, trusted=(ROOT.pem,)), "theirs")
        async with world_of(site, tmp_path) as world:
            await store(world, pair_of(SELF_SIGNED, "theirs"))
            await world.observe()
            async with world.gateway():
                # With TLS 1.3 the refusal comes after the handshake, in place of an HTTP answer.
                told = ("HTTP response", "SSL")
                await eventually(lambda: any(word in state(world)[1] for word in told))
                assert not state(world)[0]
        assert not backend.recorded


async def test_a_missing_client_certificate_is_told_and_used_once_it_is_stored(
    tmp_path: Path,
) -> None:
    async with SimulatedBackend(tls=demanding(tmp_path, ROOT)) as backend:
        site = showing(site_with(backend, trusted=(ROOT.pem,)), "ours")
        async with world_of(site, tmp_path) as world:
            await world.observe()
            async with world.gateway():
                await eventually(lambda: "certificate ours" in state(world)[1])
                await store(world, pair_of(CLIENT, "ours"))
                await eventually(lambda: state(world)[0], claim="online")


def _file(folder: Path, signed: Signed) -> Path:
    file = folder / "shown.pem"
    file.write_text(signed.secret + signed.pem)
    return file
