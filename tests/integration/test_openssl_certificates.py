"""S18 to S22 with the ``openssl`` program: its certificates, its client, its server.

The port here has the real rules, the real context and the real way certificates come over the bus;
only OCPP behind it is left out.
"""

import asyncio
import shutil
import ssl
import stat
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ocpp_server.domain.admission import decide
from ocpp_server.domain.handshake import Admission, Handshake, Refusal
from ocpp_server.link import Front, Link
from ocpp_server.listener import Listener, open_listener
from ocpp_server.port_tls import PortTls
from shared.bus.memory import MemoryBus
from shared.certificate_client import CertificateClient
from shared.clock import SYSTEM_CLOCK
from shared.contracts.certificate import CertificatesAnswer, CertificatesChanged, GetCertificates
from shared.contracts.message import service_address
from shared.contracts.site import OcppServerConfig, SiteConfig, Station, TlsMode
from shared.contracts.station import RefusalReason
from shared.server_certificate import ensure_server_certificates
from shared.tls import client_context
from tests.conditions import eventually
from tests.openssl_program import PASSPHRASE, Paper, Workshop, openssl, serving, visit

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")

GARAGE = "garage.tiefgarage-koeln.de"


@dataclass(frozen=True)
class Papers:
    """Everything that is made once for these tests."""

    root: Paper
    newer_root: Paper
    """As OpenSSL 3.2 and later make it: version 3, and no word on whether it may sign."""
    server: Paper
    server_ec: Paper
    box: Paper
    other_box: Paper
    newer_box: Paper
    lone_box: Paper
    """Self-signed."""
    lone_server: Paper


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    shop = Workshop(tmp_path_factory.mktemp("openssl"))
    root = shop.root("Unsere Tiefgarage")
    newer_root = shop.root("Neuere Tiefgarage", "-addext", "subjectKeyIdentifier=hash")
    return Papers(
        root=root,
        newer_root=newer_root,
        server=shop.signed("tiefgarage-koeln.de", root, names=True),
        server_ec=shop.signed("ec.tiefgarage-koeln.de", root, ec=True, names=True),
        box=shop.signed("BOX-1", root),
        other_box=shop.signed("BOX-2", root),
        newer_box=shop.signed("BOX-1 neu", newer_root),
        lone_box=shop.self_signed("BOX-1 allein"),
        lone_server=shop.self_signed("allein.example", ec=True),
    )


@dataclass
class Port:
    """An OCPP port, what came to it, and the certificates that the api has for it."""

    site: SiteConfig
    stored: CertificatesAnswer
    listener: Listener = field(init=False)
    bus: Any = field(init=False)
    let_in: list[tuple[Handshake, Admission]] = field(default_factory=list)
    refused: list[tuple[Handshake, Refusal]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def number(self) -> int:
        return self.listener.port

    async def admit(self, handshake: Handshake) -> Admission | Refusal:
        return decide(handshake, self.site, password_matches=lambda *_: False)

    def opened(self, link: Link) -> "Port":
        self.let_in.append((link.handshake, link.admission))
        return self

    def received(self, text: str) -> None:
        self.texts.append(text)

    def closed(self, code: int, reason: str) -> None:
        pass

    async def refusal(self) -> Refusal:
        """The refusal of the one connection that there was."""
        await eventually(lambda: self.refused, claim="a refusal is told")
        assert self.let_in == []
        (_, refusal) = self.refused[-1]
        return refusal

    async def store(self, revision: int, **changes: Any) -> None:
        """The operator changes what is stored."""
        self.stored = CertificatesAnswer(revision=revision, **changes)
        await self.bus.publish(CertificatesChanged(revision=revision))


@asynccontextmanager
async def open_port(folder: Path, site: SiteConfig | None = None, **stored: Any) -> Any:
    port = Port(site or SiteConfig(), CertificatesAnswer(revision=1, **stored))
    hub = MemoryBus()
    port.bus = hub.join("api")

    async def nobody(_address: Any, _epoch: int) -> None:
        return None

    async def answer(_: Any) -> CertificatesAnswer:
        return port.stored

    inbox = await port.bus.inbox(nobody)
    inbox.on(GetCertificates, answer)
    await inbox.own(service_address("certificates"), 1)
    async with CertificateClient(hub.join("ocpp-server")) as certificates:
        tls = PortTls(ensure_server_certificates(folder, now=SYSTEM_CLOCK.now()))
        await tls.use(await certificates.first(within_s=5))
        certificates.on_change(tls.take)
        following = asyncio.create_task(tls.run())
        front = Front(
            admit=port.admit,
            opened=port.opened,
            refused=lambda shown, refusal: port.refused.append((shown, refusal)),
        )
        async with open_listener(
            "127.0.0.1", 0, front=front, tls=lambda: TlsMode.DETECT, context=lambda: tls.context
        ) as port.listener:
            yield port
        following.cancel()
    await port.bus.close()


def box(**settings: Any) -> SiteConfig:
    cpo_name = settings.pop("cpo_name", "")
    station = Station(id="BOX-1", protocol="ocpp", **settings)
    return SiteConfig(stations=(station,), ocpp_server=OcppServerConfig(cpo_name=cpo_name))


def shown_by(paper: Paper) -> tuple[str | Path, ...]:
    return ("-cert", paper.certificate, "-key", paper.key)


def verifying(trusted: Paper, host: str) -> tuple[str | Path, ...]:
    return ("-CAfile", trusted.certificate, "-verify_return_error", "-verify_hostname", host)


# S18


async def test_s18_a_fresh_port_makes_tls_with_certificates_of_its_own(tmp_path: Path) -> None:
    async with open_port(tmp_path) as port:
        modern = await visit(port.number)
        assert (modern.status, "TLSv1.3" in modern.told) == (101, True)
        assert [handshake.tls for handshake, _ in port.let_in] == [True]
    for file in ("server.pem", "server-ec.pem"):
        assert stat.S_IMODE((tmp_path / file).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "suite",
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
    ],
)
async def test_the_four_suites_of_the_security_white_paper(tmp_path: Path, suite: str) -> None:
    async with open_port(tmp_path) as port:
        made = await visit(port.number, "-tls1_2", "-cipher", suite)
    assert made.status == 101
    assert f"Ciphersuite: {suite}" in made.told


async def test_tls_1_1_is_refused(tmp_path: Path) -> None:
    async with open_port(tmp_path) as port:
        old = await visit(port.number, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        refusal = await port.refusal()
    assert old.status is None
    assert (refusal.reason, refusal.tls_alert) == (RefusalReason.TLS, "unsupported protocol")
    assert "older than 1.2" in refusal.detail


async def test_a_box_without_a_common_suite_is_explained(tmp_path: Path) -> None:
    async with open_port(tmp_path) as port:
        weak = await visit(port.number, "-tls1_2", "-cipher", "AES128-SHA")
        refusal = await port.refusal()
    assert (weak.status, refusal.tls_alert) == (None, "no shared cipher")


# S19


@pytest.mark.parametrize("signed", [True, False], ids=["signed by a CA", "self-signed"])
async def test_s19_an_imported_certificate_is_shown(
    tmp_path: Path, papers: Papers, signed: bool
) -> None:
    shown, trusted = (papers.server, papers.root) if signed else (papers.lone_server,) * 2
    host = GARAGE if signed else "allein.example"
    async with open_port(tmp_path, server=(shown.pair,)) as port:
        made = await visit(port.number, *verifying(trusted, host))
    assert (made.status, "Verification: OK" in made.told) == (101, True)


async def test_s19_rsa_and_ec_are_shown_side_by_side(tmp_path: Path, papers: Papers) -> None:
    both = (papers.server.pair, papers.server_ec.pair)
    async with open_port(tmp_path, server=both) as port:
        for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256", "AES128-GCM-SHA256"):
            options = ("-tls1_2", "-cipher", suite, *verifying(papers.root, GARAGE))
            assert (await visit(port.number, *options)).status == 101


async def test_s19_new_certificates_hold_from_the_next_connection_on(
    tmp_path: Path, papers: Papers
) -> None:
    async with open_port(tmp_path, server=(papers.lone_server.pair,)) as port:
        _, running = await asyncio.open_connection("127.0.0.1", port.number, ssl=client_context([]))
        await port.store(2, server=(papers.server.pair,))

        async def shows_the_new_one() -> bool:
            return (await visit(port.number, *verifying(papers.root, GARAGE))).status == 101

        await eventually(shows_the_new_one)
        port.let_in.clear()
        running.write(
            b"GET /OLD HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await eventually(lambda: port.let_in, claim="the running connection stays")
        running.close()


async def test_s19_a_box_that_does_not_trust_the_server_is_explained(
    tmp_path: Path, papers: Papers
) -> None:
    async with open_port(tmp_path, server=(papers.lone_server.pair,)) as port:
        doubtful = await visit(port.number, "-CAfile", papers.root.certificate, *_strict())
        refusal = await port.refusal()
    assert doubtful.status is None
    assert (refusal.reason, refusal.tls_alert) == (RefusalReason.TLS, "unknown ca")
    assert "store this certificate or its root in the wallbox" in refusal.detail


def _strict() -> tuple[str, ...]:
    return ("-verify_return_error",)


# S20


async def reversed_by(port: int, context: ssl.SSLContext, host: str) -> str:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=host
    )
    try:
        writer.write(b"abc\n")
        return (await asyncio.wait_for(reader.readline(), 10)).decode()
    finally:
        writer.close()


@pytest.mark.parametrize("trusted", ["nothing", "certificate", "root", "newer root", "both"])
async def test_s20_a_backend_that_matches_is_accepted(papers: Papers, trusted: str) -> None:
    stored = {
        "nothing": [],
        "certificate": [papers.server.pem],
        "root": [papers.root.pem],
        "newer root": [papers.newer_root.pem, papers.root.pem],
        "both": [papers.lone_server.pem, papers.root.pem],
    }[trusted]
    async with serving(papers.server) as port:
        assert await reversed_by(port, client_context(stored), GARAGE) == "cba\n"


@pytest.mark.parametrize("host", [GARAGE, "another.example"])
async def test_s20_a_backend_that_does_not_match_is_refused(papers: Papers, host: str) -> None:
    trusted = papers.root if host != GARAGE else papers.newer_root
    async with serving(papers.server) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await reversed_by(port, client_context([trusted.pem]), host)


# S21


@pytest.mark.parametrize("trusted", ["root", "certificate"])
async def test_s21_a_box_with_a_certificate_of_its_own_needs_no_password(
    tmp_path: Path, papers: Papers, trusted: str
) -> None:
    stored = papers.root if trusted == "root" else papers.box
    site = box(security_profile=3, password_hash="of a password that it does not present")
    async with open_port(tmp_path, site, station_trust=(stored.pem,)) as port:
        assert (await visit(port.number, *shown_by(papers.box))).status == 101
        (handshake, admission) = port.let_in[0]
    assert admission.security_profile == 3
    assert handshake.certificate_name == "BOX-1"
    assert handshake.certificate_fingerprint == papers.box.fingerprint


async def test_s21_a_self_signed_certificate_is_pinned_by_its_fingerprint(
    tmp_path: Path, papers: Papers
) -> None:
    paper = papers.lone_box
    site = box(security_profile=3, certificate_fingerprint=paper.fingerprint, cpo_name="Other")
    async with open_port(tmp_path, site, station_trust=(paper.pem,)) as port:
        assert (await visit(port.number, *shown_by(paper))).status == 101


async def test_s21_no_certificate_at_all_is_refused_with_what_to_do(
    tmp_path: Path, papers: Papers
) -> None:
    async with open_port(
        tmp_path, box(security_profile=3), station_trust=(papers.root.pem,)
    ) as port:
        assert (await visit(port.number)).status == 403
        refusal = await port.refusal()
    assert refusal.reason is RefusalReason.CERTIFICATE
    assert "install one in the wallbox" in refusal.detail


async def test_s21_the_certificate_of_another_box_is_refused_with_what_to_do(
    tmp_path: Path, papers: Papers
) -> None:
    async with open_port(
        tmp_path, box(security_profile=3), station_trust=(papers.root.pem,)
    ) as port:
        assert (await visit(port.number, *shown_by(papers.other_box))).status == 403
        refusal = await port.refusal()
    assert refusal.reason is RefusalReason.CERTIFICATE
    assert "common name BOX-2, but BOX-1 is expected" in refusal.detail


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_s21_tls_is_only_made_with_a_certificate_that_verifies(
    tmp_path: Path, papers: Papers, version: str
) -> None:
    async with open_port(
        tmp_path, box(security_profile=3), station_trust=(papers.root.pem,)
    ) as port:
        foreign = await visit(port.number, version, *shown_by(papers.lone_box))
        refusal = await port.refusal()
    assert foreign.status is None
    assert refusal.reason is RefusalReason.TLS
    assert refusal.tls_alert.startswith("certificate verify failed: self-signed certificate")
    assert "cannot be verified here" in refusal.detail


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_s21_a_resumed_session_still_says_whose_it_is(
    tmp_path: Path, papers: Papers, version: str
) -> None:
    kept = tmp_path / "session.pem"
    options = (version, *shown_by(papers.box))
    async with open_port(
        tmp_path, box(security_profile=3), station_trust=(papers.root.pem,)
    ) as port:
        assert (await visit(port.number, *options, "-sess_out", kept)).status == 101
        assert (await visit(port.number, version, "-sess_in", kept)).status == 101
        (first, _), (resumed, admission) = port.let_in
        assert resumed.certificate_fingerprint == first.certificate_fingerprint
        assert admission.security_profile == 3

        await port.store(2, station_trust=(papers.newer_root.pem,))

        async def is_refused() -> bool:
            return (await visit(port.number, version, "-sess_in", kept)).status == 403

        await eventually(is_refused, claim="a session of another trust list is not resumed")


async def test_s21_our_client_shows_its_certificate(papers: Papers) -> None:
    demanding = ("-Verify", "1", "-verify_return_error", "-CAfile", papers.root.certificate)
    async with serving(papers.server, *demanding) as port:
        own = client_context([papers.root.pem], papers.box.pair)
        assert await reversed_by(port, own, GARAGE) == "cba\n"
        with pytest.raises(OSError):
            assert await reversed_by(port, client_context([papers.root.pem]), GARAGE)


# S22


async def test_s22_the_documents_commands_make_a_working_garage(
    tmp_path: Path, papers: Papers
) -> None:
    subject = openssl(
        "x509", "-in", papers.root.certificate, "-noout", "-subject", "-nameopt", "utf8"
    )
    assert "Tiefgarage Köln GmbH" in subject
    assert "4096" in openssl("x509", "-in", papers.root.certificate, "-noout", "-text")
    assert "ENCRYPTED" in papers.root.key.read_text()
    assert openssl("rsa", "-in", papers.root.key, "-passin", f"pass:{PASSPHRASE}", "-check")
    site = box(security_profile=3, cpo_name="Tiefgarage Köln")
    stored = {"server": (papers.server.pair,), "station_trust": (papers.root.pem,)}
    async with open_port(tmp_path, site, **stored) as port:
        for host in (GARAGE, "tiefgarage-koeln.de"):
            options = (*verifying(papers.root, host), *shown_by(papers.box))
            assert (await visit(port.number, *options)).status == 101
        elsewhere = (*verifying(papers.root, "koeln.example"), *shown_by(papers.box))
        assert (await visit(port.number, *elsewhere)).status is None
        (handshake, _) = port.let_in[0]
    assert handshake.certificate_organisation == "Tiefgarage Köln GmbH"


async def test_s22_the_organisation_must_contain_the_operators_name(
    tmp_path: Path, papers: Papers
) -> None:
    site = box(security_profile=3, cpo_name="Parkhaus Bonn")
    async with open_port(tmp_path, site, station_trust=(papers.root.pem,)) as port:
        assert (await visit(port.number, *shown_by(papers.box))).status == 403
        refusal = await port.refusal()
    assert "of the organisation Tiefgarage Köln GmbH" in refusal.detail


async def test_s22_a_root_of_a_newer_openssl_signs_as_well(tmp_path: Path, papers: Papers) -> None:
    text = openssl("x509", "-in", papers.newer_root.certificate, "-noout", "-text")
    assert "Version: 3" in text
    assert "Basic Constraints" not in text
    site = box(security_profile=3, certificate_name="BOX-1 neu")
    trusted = (papers.newer_root.pem,)
    async with open_port(tmp_path, site, station_trust=trusted) as port:
        assert (await visit(port.number, *shown_by(papers.newer_box))).status == 101
        assert (await visit(port.number, *shown_by(papers.box))).status is None


async def test_s22_a_certificate_with_opensslss_comments_is_read(
    tmp_path: Path, papers: Papers
) -> None:
    text = openssl("x509", "-in", papers.root.certificate, "-text", "-nameopt", "utf8")
    assert "Köln" in text.split("-----BEGIN")[0]
    async with open_port(tmp_path, box(security_profile=3), station_trust=(text,)) as port:
        assert (await visit(port.number, *shown_by(papers.box))).status == 101
