"""TLS contexts: what a certificate is checked against (S20, S21), and keys that stay secret."""

import asyncio
import ssl
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.clock import SYSTEM_CLOCK
from shared.contracts.certificate import KeyPair
from shared.errors import ConfigError
from shared.server_certificate import ensure_server_certificates
from shared.tls import client_context, server_context


@pytest.fixture
def pairs(tmp_path: Path) -> tuple[KeyPair, ...]:
    return ensure_server_certificates(tmp_path / "ours", now=SYSTEM_CLOCK.now())


async def _connects(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    async def nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    listening = await asyncio.start_server(nothing, "127.0.0.1", 0, ssl=server)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        try:
            _, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client, server_hostname="localhost"
            )
        except ssl.SSLError:
            return False
        writer.close()
        return True


async def test_nothing_trusted_makes_tls_all_the_same(pairs: tuple[KeyPair, ...]) -> None:
    assert await _connects(server_context(pairs), client_context([]))


async def test_only_the_trusted_certificate_is_accepted(
    tmp_path: Path, pairs: tuple[KeyPair, ...]
) -> None:
    other = ensure_server_certificates(tmp_path / "other", now=SYSTEM_CLOCK.now())
    trusting = client_context([pair.certificate_pem for pair in pairs])
    assert await _connects(server_context(pairs), trusting)
    assert not await _connects(server_context(other), trusting)


def test_tls_begins_with_1_2_and_is_not_compressed(pairs: tuple[KeyPair, ...]) -> None:
    context = server_context(pairs)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION


def test_every_suite_is_authenticated_encryption(pairs: tuple[KeyPair, ...]) -> None:
    suites = server_context(pairs).get_ciphers()
    assert suites
    assert all(suite["aead"] for suite in suites)


def test_a_box_is_asked_for_its_certificate_only_where_one_could_be_trusted(
    pairs: tuple[KeyPair, ...],
) -> None:
    assert server_context(pairs).verify_mode is ssl.CERT_NONE
    asking = server_context(pairs, station_trust=[pairs[0].certificate_pem])
    assert asking.verify_mode is ssl.CERT_OPTIONAL
    assert asking.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN


def test_no_key_is_written_in_the_clear_and_no_file_is_left(
    tmp_path: Path, pairs: tuple[KeyPair, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    written: list[tuple[int, bytes]] = []
    really_write = Path.write_bytes

    def write(file: Path, content: bytes) -> int:
        written.append((file.stat().st_mode & 0o777, content))
        assert file.parent.parent == scratch
        assert file.parent.stat().st_mode & 0o077 == 0
        return really_write(file, content)

    monkeypatch.setattr(Path, "write_bytes", write)
    client_context([], pairs[0])
    ((mode, content),) = written
    assert mode == 0o600
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in content
    assert b"BEGIN PRIVATE KEY" not in content
    assert list(scratch.iterdir()) == []


def _with_key_of(pair: KeyPair, other: KeyPair) -> KeyPair:
    return pair.model_copy(update={"key_pem": other.key_pem})


def _locked(pair: KeyPair) -> KeyPair:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    return pair.model_copy(update={"key_pem": pem.decode()})


@pytest.mark.parametrize("broken", ["key of another", "encrypted key", "no key", "no certificate"])
def test_a_pair_that_cannot_be_used_is_named(pairs: tuple[KeyPair, ...], broken: str) -> None:
    pair = {
        "key of another": _with_key_of(pairs[0], pairs[1]),
        "encrypted key": _locked(pairs[0]),
        "no key": pairs[0].model_copy(update={"key_pem": "nothing"}),
        "no certificate": pairs[0].model_copy(update={"certificate_pem": "nothing"}),
    }[broken]
    with pytest.raises(ConfigError, match=r"server\.pem") as refused:
        server_context([pair])
    assert "PRIVATE KEY" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n",
    ],
)
def test_a_broken_trusted_certificate_is_a_clear_error(text: str) -> None:
    with pytest.raises(ConfigError, match="no PEM certificate"):
        client_context([text])
