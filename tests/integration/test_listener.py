"""The OCPP port over real sockets: plain, TLS, refusals, and peers that behave badly."""

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from ocpp_server import early_answer, session, tls_detect
from ocpp_server import listener as listener_module
from ocpp_server.domain.handshake import Admission, Handshake, Refusal
from ocpp_server.domain.rates import networks_of
from ocpp_server.link import Front, Link
from ocpp_server.listener import Listener, open_listener
from shared.clock import SYSTEM_CLOCK
from shared.contracts.site import TlsMode
from shared.contracts.station import RefusalReason
from shared.errors import ConfigError
from shared.server_certificate import ensure_server_certificates
from shared.tls import server_context
from tests.conditions import eventually
from tests.proxied import local_header, proxied_socket, proxy_header


@dataclass
class Heard:
    """A core that echoes and remembers."""

    links: list[Link] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    closed: list[tuple[int, str]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    answer: Refusal | None = None
    delay_s: float = 0.0
    turned_away: Refusal | None = None
    frame_limit: int = 8 << 20
    seen: list[Handshake] = field(default_factory=list)
    """Of those that were refused."""

    async def admit(self, handshake: Handshake) -> Admission | Refusal:
        await asyncio.sleep(self.delay_s)
        if self.answer is not None:
            return self.answer
        return Admission(station_id=handshake.identity, subprotocol="ocpp1.6", known=True)

    def opened(self, link: Link) -> "Echo":
        self.links.append(link)
        return Echo(self, link)

    def refused(self, handshake: Handshake, refusal: Refusal) -> None:
        self.seen.append(handshake)
        self.refusals.append(refusal)

    @property
    def front(self) -> Front:
        return Front(
            admit=self.admit,
            opened=self.opened,
            refused=self.refused,
            turned_away=lambda _: self.turned_away,
            frame_limit=lambda _: self.frame_limit,
            ping_interval_s=lambda: 0.05,
        )


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
    heard: Heard, mode: TlsMode = TlsMode.DETECT, *, proxies: str = ""
) -> AsyncIterator[Listener]:
    context = self_signed()
    async with open_listener(
        "127.0.0.1",
        0,
        front=heard.front,
        tls=lambda: mode,
        context=lambda: context,
        proxies=networks_of(proxies),
    ) as listener:
        yield listener


@cache
def self_signed() -> ssl.SSLContext:
    """Return what the server shows; making keys takes a second, so all tests share it."""
    with tempfile.TemporaryDirectory() as folder:
        return server_context(ensure_server_certificates(Path(folder), now=SYSTEM_CLOCK.now()))


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
async def test_detect_takes_plain_and_tls_on_the_same_port(tls: bool) -> None:
    heard = Heard()
    async with port(heard) as listener, station(listener, tls=tls) as client:
        assert await echo(client) == "echo hello"
        assert client.subprotocol == "ocpp1.6"
        assert heard.links[0].handshake.tls is tls
    assert [code for code, _ in heard.closed] == [1000]


async def test_off_refuses_tls_and_says_so_to_the_operator() -> None:
    heard = Heard()
    async with port(heard, TlsMode.OFF) as listener:
        with pytest.raises(OSError):
            await station(listener, tls=True).__aenter__()
        async with station(listener) as client:
            assert await echo(client) == "echo hello"
    assert [r.reason for r in heard.refusals] == [RefusalReason.TLS]
    assert "ws://" in heard.refusals[0].detail


async def test_on_answers_a_plain_client_in_plain_words() -> None:
    heard = Heard()
    async with port(heard, TlsMode.ON) as listener:
        with pytest.raises(InvalidStatus) as refused:
            await station(listener).__aenter__()
        assert refused.value.response.status_code == 400
        assert b"wss://" in (refused.value.response.body or b"")
        async with station(listener, tls=True) as client:
            assert await echo(client) == "echo hello"
    assert [r.reason for r in heard.refusals] == [RefusalReason.TLS]


async def test_a_refused_station_gets_status_and_reason() -> None:
    heard = Heard(answer=Refusal(reason=RefusalReason.PASSWORD, status=401, detail="wrong one"))
    async with port(heard) as listener:
        with pytest.raises(InvalidStatus) as refused:
            await station(listener).__aenter__()
    assert refused.value.response.status_code == 401
    assert refused.value.response.headers["WWW-Authenticate"].startswith("Basic")
    assert heard.refusals == [heard.answer]
    assert heard.links == []


async def test_a_silent_socket_and_a_broken_tls_hold_up_nobody() -> None:
    heard = Heard()
    async with port(heard) as listener:
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


async def test_garbage_is_no_reason_to_stop() -> None:
    heard = Heard()
    async with port(heard) as listener:
        for garbage in (b"\x00\xff\xfe", b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(garbage)
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 5)
            writer.close()
        async with station(listener) as client:
            assert await echo(client) == "echo hello"


async def test_fragments_and_binary_utf8_are_messages() -> None:
    heard = Heard()
    async with port(heard) as listener, station(listener) as client:
        await client.send(["[2,", '"1"', "]"])
        await client.recv()
        await client.send("Köln".encode())
        await client.recv()
    assert heard.texts == ['[2,"1"]', "Köln"]


async def test_what_is_no_text_closes_that_connection_only() -> None:
    heard = Heard()
    async with port(heard) as listener, station(listener) as bystander:
        async with station(listener) as client:
            await client.send(b"\xff\xfe\xfd")
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(client.recv(), 5)
        assert await echo(bystander) == "echo hello"


async def test_nothing_is_read_before_admission() -> None:
    heard = Heard(delay_s=0.2)
    async with port(heard) as listener, station(listener) as client:
        assert await echo(client) == "echo hello"


async def test_a_connection_cut_during_admission_leaves_nothing() -> None:
    heard = Heard(delay_s=0.3)
    async with port(heard) as listener:
        _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(
            b"GET /CP1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await writer.drain()
        writer.transport.abort()
        await asyncio.sleep(0.4)
        await eventually(lambda: len(heard.closed) == len(heard.links))


async def test_stations_are_told_when_the_server_stops() -> None:
    heard = Heard()
    async with port(heard) as listener:
        client = await station(listener).__aenter__()
    with pytest.raises(ConnectionClosed) as closed:
        await asyncio.wait_for(client.recv(), 5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    await client.close()


async def test_a_taken_port_is_a_clear_error() -> None:
    heard = Heard()
    context = self_signed()
    async with port(heard) as listener:
        with pytest.raises(ConfigError, match=r"already in use.*PARKADE_OCPP_PORT"):
            async with open_listener(
                "127.0.0.1",
                listener.port,
                front=heard.front,
                tls=lambda: TlsMode.OFF,
                context=lambda: context,
            ):
                pass


async def test_soap_is_told_to_become_json() -> None:
    heard = Heard()
    async with port(heard) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET /CP1 HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 4")
    assert [r.reason for r in heard.refusals] == [RefusalReason.HANDSHAKE]


async def raw(
    listener: Listener, *pieces: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    for piece in pieces:
        writer.write(piece)
    return reader, writer


async def ends(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server ends the connection."""
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""


UPGRADE = (
    b"GET /CP1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
BEGUN = b"\x81\xfe\x01\x00\x00\x00\x00\x00"
"""A text frame of 256 bytes, masked with zeros, of which nothing has come yet."""


async def upgraded(listener: Listener) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await raw(listener, UPGRADE + b"\r\n")
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert answer.startswith(b"HTTP/1.1 101")
    return reader, writer


async def test_an_address_that_is_turned_away_hears_when_to_come_back() -> None:
    refusal = Refusal(reason=RefusalReason.RATE, status=429, detail="too many", retry_after_s=7)
    heard = Heard(turned_away=refusal)
    async with port(heard) as listener:
        with pytest.raises(InvalidStatus) as refused:
            await station(listener).__aenter__()
        with pytest.raises(OSError):
            await station(listener, tls=True).__aenter__()
        heard.turned_away = None
        async with station(listener) as client:
            assert await echo(client) == "echo hello"
    response = refused.value.response
    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")
    assert heard.refusals == [refusal, refusal]
    assert [(h.path, h.identity, h.tls) for h in heard.seen] == [
        ("/CP1", "CP1", False),
        ("", "", True),
    ]


async def test_a_refusal_at_the_handshake_may_say_when_to_come_back() -> None:
    refusal = Refusal(reason=RefusalReason.RATE, status=429, detail="too many", retry_after_s=6)
    async with port(Heard(answer=refusal)) as listener:
        with pytest.raises(InvalidStatus) as refused:
            await station(listener).__aenter__()
    assert refused.value.response.headers["Retry-After"] == "6"


async def test_a_plain_station_at_a_port_of_tls_is_told_of_by_its_path() -> None:
    heard = Heard()
    async with port(heard, TlsMode.ON) as listener:
        with pytest.raises(InvalidStatus):
            await station(listener).__aenter__()
    assert [(h.path, h.identity) for h in heard.seen] == [("/CP1", "CP1")]


@pytest.mark.parametrize("tls", [False, True])
async def test_a_balancer_tells_where_a_station_comes_from(tls: bool) -> None:
    heard = Heard()
    async with port(heard, proxies="127.0.0.0/8") as listener:
        connection = await proxied_socket(listener.port, "203.0.113.7")
        extra = {"server_hostname": "127.0.0.1"} if tls else {}
        async with station(listener, tls=tls, sock=connection, **extra) as client:
            assert await echo(client) == "echo hello"
            handshake = heard.links[0].handshake
    assert (handshake.peer, handshake.limited_as) == ("203.0.113.7:4711", "203.0.113.7")
    assert handshake.tls is tls


async def test_a_header_that_comes_in_pieces_is_read() -> None:
    heard = Heard()
    async with port(heard, proxies="127.0.0.0/8") as listener:
        reader, writer = await raw(listener)
        for byte in proxy_header("2001:db8::7"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(UPGRADE + b"\r\n")
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 101")
    assert heard.links[0].handshake.peer == "2001:db8::7:4711"


async def test_a_station_may_come_past_the_balancer() -> None:
    heard = Heard()
    async with (
        port(heard, proxies="127.0.0.0/8") as listener,
        station(listener) as client,
    ):
        assert await echo(client) == "echo hello"
    assert heard.links[0].handshake.peer.startswith("127.0.0.1:")
    assert heard.links[0].handshake.limited_as is None


async def test_nobody_else_may_say_where_it_comes_from() -> None:
    heard = Heard()
    async with port(heard, proxies="10.0.0.0/8") as listener:
        reader, writer = await raw(listener, proxy_header("203.0.113.7"), UPGRADE + b"\r\n")
        assert not (await ends(reader)).startswith(b"HTTP/1.1 101")
        writer.close()
    assert heard.links == []


async def test_a_health_check_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()
    async with port(heard, proxies="127.0.0.0/8") as listener:
        for pieces in ((local_header(),), ()):
            reader, writer = await raw(listener, *pieces)
            writer.write_eof()
            assert await ends(reader) == b""
            writer.close()
        async with station(listener) as client:
            assert await echo(client) == "echo hello"
    assert heard.refusals == []
    assert caplog.records == []


@pytest.mark.parametrize(
    "broken", [proxy_header("203.0.113.7")[:12] + b"\x31" + b"\x00" * 20, proxy_header("::1")[:20]]
)
async def test_a_broken_header_ends_that_connection_only(broken: bytes) -> None:
    heard = Heard()
    async with port(heard, proxies="127.0.0.0/8") as listener:
        reader, writer = await raw(listener, broken)
        writer.write_eof()
        assert await ends(reader) == b""
        writer.close()
        async with station(listener) as client:
            assert await echo(client) == "echo hello"


async def test_half_open_connections_of_one_address_do_not_hold_up_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "GREETINGS_OF_ONE_ADDRESS", 3)
    heard = Heard()
    async with port(heard, proxies="127.0.0.0/8") as listener:
        silent = [await raw(listener, proxy_header("203.0.113.7")) for _ in range(5)]
        ended = await asyncio.wait(
            [asyncio.ensure_future(ends(reader)) for reader, _ in silent],
            timeout=2,
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert ended[0]
        await eventually(lambda: len(heard.refusals) == 2, claim="the other three may go on")
        assert {r.reason for r in heard.refusals} == {RefusalReason.RATE}
        connection = await proxied_socket(listener.port, "203.0.113.8")
        async with station(listener, sock=connection) as client:
            assert await echo(client) == "echo hello"
        for _, writer in silent:
            writer.close()
        for waiting in ended[1]:
            waiting.cancel()


@pytest.mark.parametrize(
    ("because", "pieces"),
    [
        ("it says nothing", ()),
        ("it begins a request for ever", (b"GET /CP1 HT",)),
        ("it has no last line", (UPGRADE,)),
        ("it begins TLS for ever", (b"\x16\x03\x01\x02\x00",)),
    ],
)
async def test_a_slow_handshake_is_dropped(
    monkeypatch: pytest.MonkeyPatch, because: str, pieces: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(listener_module, "HANDSHAKE_TIMEOUT_S", 0.3)
    monkeypatch.setattr(tls_detect, "PEEK_TIMEOUT_S", 0.3)
    heard = Heard()
    async with port(heard) as listener, station(listener) as bystander:
        reader, writer = await raw(listener, *pieces)
        assert not (await ends(reader)).startswith(b"HTTP/1.1 101"), because
        assert await echo(bystander) == "echo hello"
        writer.close()
    assert len(heard.links) == 1


@pytest.mark.parametrize("because", ["a frame", "fragments", "the head of a frame"])
async def test_a_message_that_is_begun_must_be_complete_in_time(
    monkeypatch: pytest.MonkeyPatch, because: str
) -> None:
    monkeypatch.setattr(session, "MESSAGE_TIMEOUT_S", 0.3)
    heard = Heard()
    begun = {
        "a frame": BEGUN + b"half of it",
        "fragments": b"\x01\x80\x00\x00\x00\x00",
        "the head of a frame": b"\x81",
    }[because]
    async with port(heard) as listener, station(listener) as bystander:
        reader, writer = await upgraded(listener)
        writer.write(begun)
        said = await ends_with_close(reader)
        assert said == 1008
        assert await echo(bystander) == "echo hello"
        writer.close()
    assert heard.texts == ["hello"]


async def ends_with_close(reader: asyncio.StreamReader) -> int:
    """Return the code of the close frame that the server sends; pings before it are skipped."""
    while True:
        head = await asyncio.wait_for(reader.readexactly(2), 5)
        payload = await asyncio.wait_for(reader.readexactly(head[1] & 0x7F), 5)
        if head[0] & 0x0F == 8:
            return int.from_bytes(payload[:2], "big")


async def test_messages_that_follow_one_another_slowly_are_no_slow_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every read ends in the middle of the next message, as in a long flush over a modem."""
    monkeypatch.setattr(session, "MESSAGE_TIMEOUT_S", 0.4)
    heard = Heard()
    frame = b"\x81\x82\x00\x00\x00\x00ok"
    async with port(heard) as listener:
        _, writer = await upgraded(listener)
        writer.write(frame[:4])
        for number in range(8):
            await asyncio.sleep(0.1)
            writer.write(frame[4:] + frame[:4])
            await eventually(lambda: len(heard.texts) > number)  # noqa: B023
        assert heard.closed == []
        writer.close()


@pytest.mark.parametrize("fragments", [1, 3])
async def test_a_message_over_the_limit_ends_that_connection_only(fragments: int) -> None:
    heard = Heard(frame_limit=10_000)
    async with port(heard) as listener, station(listener) as bystander:
        async with station(listener) as client:
            assert await echo(client, "x" * 10_000) == "echo " + "x" * 10_000
            await client.send(["x" * (10_200 // fragments)] * fragments)
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(client.recv(), 5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        assert await echo(bystander) == "echo hello"
    assert len(heard.texts) == 2


async def test_the_first_message_is_bound_by_the_limit_of_its_station() -> None:
    """The protocol has begun to wait for it before it is known whose it is."""
    heard = Heard(frame_limit=1 << 20)
    async with port(heard) as listener, station(listener) as client:
        heard.frame_limit = 1_000
        client_two = await station(listener).__aenter__()
        with contextlib.suppress(ConnectionClosed):
            await client_two.send("x" * 500_000)
        await asyncio.wait_for(client_two.wait_closed(), 5)
        assert client_two.close_code in {1006, 1009}
        assert await echo(client) == "echo hello"
    assert heard.texts == ["hello"]


async def test_a_new_limit_counts_for_those_who_are_connected() -> None:
    heard = Heard(frame_limit=1_000)
    async with port(heard) as listener, station(listener) as client:
        heard.frame_limit = 100_000
        await asyncio.wait_for(client.ping(), 5)
        await asyncio.sleep(0.15)  # the next ping of the server takes it over
        await echo(client, "x" * 900)
        assert await echo(client, "x" * 50_000) == "echo " + "x" * 50_000


async def test_pings_come_as_often_as_the_site_says() -> None:
    async with port(Heard()) as listener:
        reader, writer = await upgraded(listener)
        for _ in range(3):
            assert await asyncio.wait_for(reader.readexactly(2), 5) == b"\x89\x00"
        writer.close()


async def test_who_reads_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "UNSENT_LIMIT", 100_000)
    heard = Heard()
    async with port(heard) as listener, station(listener) as bystander:
        reader, writer = await upgraded(listener)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        text = b"x" * 60_000
        frame = b"\x81\xfe" + len(text).to_bytes(2, "big") + b"\x00\x00\x00\x00" + text
        for _ in range(400):
            writer.write(frame)
            await asyncio.sleep(0)
            if heard.closed:
                break
        await eventually(lambda: heard.closed, claim="the reader of nothing is cut off")
        assert await echo(bystander) == "echo hello"
        writer.transport.abort()


async def test_a_client_that_is_refused_and_never_asks_holds_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(early_answer, "LINGER_S", 0.1)
    heard = Heard(turned_away=Refusal(reason=RefusalReason.RATE, status=429, detail="x"))
    async with port(heard) as listener:
        reader, writer = await raw(listener, b"G")
        assert (await ends(reader)).startswith(b"HTTP/1.1 429")
        writer.close()
