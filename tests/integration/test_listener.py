"""The OCPP port over real sockets: plain, TLS, refusals, and peers that behave badly."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from ocpp_server.domain.handshake import Admission, Handshake, Refusal
from ocpp_server.link import Front, Link
from ocpp_server.listener import Listener, open_listener
from shared.clock import SYSTEM_CLOCK
from shared.contracts.site import TlsMode
from shared.contracts.station import RefusalReason
from shared.errors import ConfigError
from shared.tls import ensure_server_certificate
from tests.conditions import eventually


@dataclass
class Heard:
    """A core that echoes and remembers."""

    links: list[Link] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    closed: list[tuple[int, str]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    answer: Refusal | None = None
    delay_s: float = 0.0

    async def admit(self, handshake: Handshake) -> Admission | Refusal:
        await asyncio.sleep(self.delay_s)
        if self.answer is not None:
            return self.answer
        return Admission(station_id=handshake.identity, subprotocol="ocpp1.6", known=True)

    def opened(self, link: Link) -> "Echo":
        self.links.append(link)
        return Echo(self, link)

    def refused(self, _: Handshake, refusal: Refusal) -> None:
        self.refusals.append(refusal)


@dataclass
class Echo:
    heard: Heard
    link: Link

    def received(self, text: str) -> None:
        self.heard.texts.append(text)
        self.link.send(f"echo {text}")

    def closed(self, code: int, reason: str) -> None:
        self.heard.closed.append((code, reason))


@asynccontextmanager
async def port(
    folder: Path, heard: Heard, mode: TlsMode = TlsMode.DETECT
) -> AsyncIterator[Listener]:
    certificate, key = ensure_server_certificate(folder, now=SYSTEM_CLOCK.now())
    front = Front(admit=heard.admit, opened=heard.opened, refused=heard.refused)
    async with open_listener(
        "127.0.0.1", 0, front=front, tls=lambda: mode, certificate=certificate, key=key
    ) as listener:
        yield listener


def station(listener: Listener, *, tls: bool = False, **options: Any) -> connect:
    scheme = "wss" if tls else "ws"
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        options["ssl"] = context
    return connect(
        f"{scheme}://127.0.0.1:{listener.port}/CP1",
        subprotocols=[Subprotocol("ocpp1.6")],
        proxy=None,
        **options,
    )


async def echo(client: ClientConnection, text: str = "hello") -> str:
    await client.send(text)
    return str(await asyncio.wait_for(client.recv(), 5))


@pytest.mark.parametrize("tls", [False, True])
async def test_detect_takes_plain_and_tls_on_the_same_port(tmp_path: Path, tls: bool) -> None:
    heard = Heard()
    async with port(tmp_path, heard) as listener, station(listener, tls=tls) as client:
        assert await echo(client) == "echo hello"
        assert client.subprotocol == "ocpp1.6"
        assert heard.links[0].handshake.tls is tls
    assert [code for code, _ in heard.closed] == [1000]


async def test_off_refuses_tls_and_says_so_to_the_operator(tmp_path: Path) -> None:
    heard = Heard()
    async with port(tmp_path, heard, TlsMode.OFF) as listener:
        with pytest.raises(OSError):
            await station(listener, tls=True).__aenter__()
        async with station(listener) as client:
            assert await echo(client) == "echo hello"
    assert [r.reason for r in heard.refusals] == [RefusalReason.TLS]
    assert "ws://" in heard.refusals[0].detail


async def test_on_answers_a_plain_client_in_plain_words(tmp_path: Path) -> None:
    heard = Heard()
    async with port(tmp_path, heard, TlsMode.ON) as listener:
        with pytest.raises(InvalidStatus) as refused:
            await station(listener).__aenter__()
        assert refused.value.response.status_code == 400
        assert b"wss://" in (refused.value.response.body or b"")
        async with station(listener, tls=True) as client:
            assert await echo(client) == "echo hello"
    assert [r.reason for r in heard.refusals] == [RefusalReason.TLS]


async def test_a_refused_station_gets_status_and_reason(tmp_path: Path) -> None:
    heard = Heard(answer=Refusal(reason=RefusalReason.PASSWORD, status=401, detail="wrong one"))
    async with port(tmp_path, heard) as listener:
        with pytest.raises(InvalidStatus) as refused:
            await station(listener).__aenter__()
    assert refused.value.response.status_code == 401
    assert refused.value.response.headers["WWW-Authenticate"].startswith("Basic")
    assert heard.refusals == [heard.answer]
    assert heard.links == []


async def test_a_silent_socket_and_a_broken_tls_hold_up_nobody(tmp_path: Path) -> None:
    heard = Heard()
    async with port(tmp_path, heard) as listener:
        _, silent = await asyncio.open_connection("127.0.0.1", listener.port)
        _, broken = await asyncio.open_connection("127.0.0.1", listener.port)
        broken.write(b"\x16\x03\x01\x00\x05hello")
        _, single = await asyncio.open_connection("127.0.0.1", listener.port)
        single.write(b"\x16")
        async with station(listener) as client:
            assert await echo(client) == "echo hello"
        await eventually(lambda: heard.refusals, claim="broken TLS is reported")
        for writer in (silent, broken, single):
            writer.close()


async def test_garbage_is_no_reason_to_stop(tmp_path: Path) -> None:
    heard = Heard()
    async with port(tmp_path, heard) as listener:
        for garbage in (b"\x00\xff\xfe", b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(garbage)
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 5)
            writer.close()
        async with station(listener) as client:
            assert await echo(client) == "echo hello"


async def test_fragments_and_binary_utf8_are_messages(tmp_path: Path) -> None:
    heard = Heard()
    async with port(tmp_path, heard) as listener, station(listener) as client:
        await client.send(["[2,", '"1"', "]"])
        await client.recv()
        await client.send("Köln".encode())
        await client.recv()
    assert heard.texts == ['[2,"1"]', "Köln"]


async def test_what_is_no_text_closes_that_connection_only(tmp_path: Path) -> None:
    heard = Heard()
    async with port(tmp_path, heard) as listener, station(listener) as bystander:
        async with station(listener) as client:
            await client.send(b"\xff\xfe\xfd")
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(client.recv(), 5)
        assert await echo(bystander) == "echo hello"


async def test_nothing_is_read_before_admission(tmp_path: Path) -> None:
    heard = Heard(delay_s=0.2)
    async with port(tmp_path, heard) as listener, station(listener) as client:
        assert await echo(client) == "echo hello"


async def test_a_connection_cut_during_admission_leaves_nothing(tmp_path: Path) -> None:
    heard = Heard(delay_s=0.3)
    async with port(tmp_path, heard) as listener:
        _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(
            b"GET /CP1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await writer.drain()
        writer.transport.abort()
        await asyncio.sleep(0.4)
        await eventually(lambda: len(heard.closed) == len(heard.links))


async def test_stations_are_told_when_the_server_stops(tmp_path: Path) -> None:
    heard = Heard()
    async with port(tmp_path, heard) as listener:
        client = await station(listener).__aenter__()
    with pytest.raises(ConnectionClosed) as closed:
        await asyncio.wait_for(client.recv(), 5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    await client.close()


async def test_a_taken_port_is_a_clear_error(tmp_path: Path) -> None:
    heard = Heard()
    certificate, key = ensure_server_certificate(tmp_path, now=SYSTEM_CLOCK.now())
    front = Front(admit=heard.admit, opened=heard.opened, refused=heard.refused)
    async with port(tmp_path, heard) as listener:
        with pytest.raises(ConfigError, match=r"already in use.*PARKADE_OCPP_PORT"):
            async with open_listener(
                "127.0.0.1",
                listener.port,
                front=front,
                tls=lambda: TlsMode.OFF,
                certificate=certificate,
                key=key,
            ):
                pass


async def test_soap_is_told_to_become_json(tmp_path: Path) -> None:
    heard = Heard()
    async with port(tmp_path, heard) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET /CP1 HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 4")
    assert [r.reason for r in heard.refusals] == [RefusalReason.HANDSHAKE]
