"""The port goes on with what works when certificates cannot be used."""

import ssl
from pathlib import Path

import pytest

from ocpp_server.port_tls import PortTls
from shared.clock import SYSTEM_CLOCK
from shared.contracts.certificate import CertificatesAnswer, KeyPair
from shared.server_certificate import ensure_server_certificates


async def test_broken_certificates_change_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tls = PortTls(ensure_server_certificates(tmp_path, now=SYSTEM_CLOCK.now()))
    before = tls.context
    broken = KeyPair(certificate_id="broken", certificate_pem="", key_pem="secret")
    await tls.use(CertificatesAnswer(revision=1, server=(broken,)))
    assert tls.context is before
    assert "broken" in caplog.text
    assert "secret" not in caplog.text


async def test_the_trust_list_holds_with_self_signed_certificates_too(tmp_path: Path) -> None:
    own = ensure_server_certificates(tmp_path, now=SYSTEM_CLOCK.now())
    tls = PortTls(own)
    await tls.use(CertificatesAnswer(revision=1, station_trust=(own[0].certificate_pem,)))
    assert tls.context.verify_mode is ssl.CERT_OPTIONAL
    await tls.use(CertificatesAnswer(revision=2))
    assert tls.context.verify_mode is ssl.CERT_NONE
