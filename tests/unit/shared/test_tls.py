"""Certificates from the start (S18), and what a backend's certificate is checked against (S20)."""

import asyncio
import ssl
import stat
from datetime import datetime
from pathlib import Path

import pytest

from shared.clock import SYSTEM_CLOCK, FakeClock
from shared.errors import ConfigError
from shared.tls import client_context, ensure_server_certificate, server_context

NOW = FakeClock().now()


def test_the_first_start_makes_a_certificate_and_later_ones_keep_it(tmp_path: Path) -> None:
    first = ensure_server_certificate(tmp_path / "tls", now=NOW)
    content = first[0].read_bytes()
    assert ensure_server_certificate(tmp_path / "tls", now=NOW) == first
    assert first[0].read_bytes() == content
    assert stat.S_IMODE(first[1].stat().st_mode) == 0o600
    assert server_context(*first).minimum_version is ssl.TLSVersion.TLSv1_2


def test_an_own_certificate_is_used_instead(tmp_path: Path) -> None:
    (tmp_path / "server.crt").write_text("own")
    (tmp_path / "server.key").write_text("own")
    certificate, key = ensure_server_certificate(tmp_path, now=NOW)
    assert (certificate.name, key.name) == ("server.crt", "server.key")


def test_a_broken_certificate_is_a_clear_error(tmp_path: Path) -> None:
    broken = tmp_path / "server.crt"
    broken.write_text("no certificate")
    with pytest.raises(ConfigError, match=r"server\.crt"):
        server_context(broken, broken)


def test_a_broken_trusted_certificate_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match="PEM"):
        client_context(["no certificate"])


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


async def test_nothing_trusted_makes_tls_all_the_same(tmp_path: Path) -> None:
    server = server_context(*ensure_server_certificate(tmp_path, now=_real_now()))
    assert await _connects(server, client_context([]))


async def test_only_the_trusted_certificate_is_accepted(tmp_path: Path) -> None:
    ours = ensure_server_certificate(tmp_path / "ours", now=_real_now())
    other = ensure_server_certificate(tmp_path / "other", now=_real_now())
    trusting = client_context([ours[0].read_text()])
    assert await _connects(server_context(*ours), trusting)
    assert not await _connects(server_context(*other), trusting)


def _real_now() -> datetime:
    return SYSTEM_CLOCK.now()
