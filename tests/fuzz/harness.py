"""A running core, a hostile connection at its WebSocket protocol, and a good station beside it.

The hostile bytes go through ``Session.data_received``, as the event loop would hand them over; what
comes back is taken apart by a reader of our own.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import orjson

from ocpp_server import conversation, message_log
from ocpp_server.peer import Peer
from ocpp_server.session import Session
from shared.contracts.site import SiteConfig
from tests.conditions import eventually
from tests.fuzz.mutator import answer, mutated
from tests.fuzz.rules import Referee
from tests.fuzz.seeds import AT, TAG
from tests.ocpp_core import Core, FakeStation, evse, running_core, site_of

UPGRADE = (
    b"GET /CP1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
)
TEXT, BINARY, CLOSE = 1, 2, 8
CLOSES_BY_THE_RULES = frozenset({1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009})


def ws_frame(payload: bytes, *, opcode: int = TEXT, mask: bytes = b"\x00\x00\x00\x00") -> bytes:
    """Return a masked frame as a client sends it (RFC 6455, 5.2)."""
    length = len(payload)
    if length < 126:
        head = bytes([0x80 | opcode, 0x80 | length])
    elif length < 65_536:
        head = bytes([0x80 | opcode, 0xFE]) + length.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, 0xFF]) + length.to_bytes(8, "big")
    if mask != b"\x00\x00\x00\x00":
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return head + mask + payload


def is_utf8(data: bytes) -> bool:
    """Tell whether bytes are UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class FromServer:
    """Takes apart what a server sends: an HTTP answer, then frames without mask."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_open = False

    def frames(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield (opcode, payload) of every frame that is complete now."""
        self._buffer += data
        if not self._is_open:
            head, blank, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not blank:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._buffer, self._is_open = bytearray(rest), True
        while (found := self._next()) is not None:
            yield found

    def _next(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, start = buffer[1] & 0x7F, 2
        assert not buffer[1] & 0x80, "a server masks nothing"
        if length >= 126:
            start += 2 if length == 126 else 8
            length = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + length:
            return None
        opcode, payload = buffer[0] & 0x0F, bytes(buffer[start : start + length])
        del buffer[: start + length]
        return opcode, payload


class FakeTransport(asyncio.Transport):
    """The socket of a connection, which is none."""

    def __init__(self, hostile: "Hostile") -> None:
        super().__init__()
        self._hostile = hostile
        self._is_closing = False
        self._is_half_closed = False

    def write(self, data: Any) -> None:
        """Hand over what the server sends."""
        if self._is_half_closed:
            raise RuntimeError("Cannot call write() after write_eof()")  # as asyncio does
        self._hostile.take(bytes(data))

    def close(self) -> None:
        """The server closes."""
        if not self._is_closing:
            self._is_closing = True
            asyncio.get_running_loop().call_soon(self._hostile.lose)

    abort = close

    def is_closing(self) -> bool:
        """Tell whether it is closed."""
        return self._is_closing

    def can_write_eof(self) -> bool:
        """TCP can."""
        return True

    def write_eof(self) -> None:
        """The server writes no more, so the peer ends too."""
        self._is_half_closed = True
        asyncio.get_running_loop().call_soon(self.close)

    def get_write_buffer_size(self) -> int:
        """Everything is read at once."""
        return 0

    def pause_reading(self) -> None:
        """Nothing is read meanwhile: the tests wait for the admission."""

    def resume_reading(self) -> None:
        """See above."""


class Hostile:
    """A connection of station CP1 that sends what no station should."""

    def __init__(self, core: Core, referee: Referee, rng: Random) -> None:
        self._core = core
        self.referee = referee
        self._rng = rng
        self._reader = FromServer()
        self._transport = FakeTransport(self)
        self._session = Session(
            core.registry.front,
            tls=False,
            peer=Peer(name="203.0.113.7:4711"),
            on_lost=lambda _: None,
        )
        self.is_open = False
        """Nobody has said good-bye."""
        self._is_lost = False
        self.close_code = 0
        self._our_turn: list[bytes] = []
        """Answers to calls of the server; they go out after its call has returned."""
        self.answers_to_calls = 0

    async def connect(self) -> None:
        """Upgrade and wait until the core serves it."""
        before = self._core.registry.station("CP1")
        self._session.connection_made(self._transport)
        self._session.data_received(UPGRADE)
        handshake = await self._session.arrived
        assert handshake is not None
        self.is_open = True
        self._session.settle(await self._core.registry.admit(handshake))
        await eventually(
            lambda: self._core.registry.station("CP1") not in (None, before), every_s=0
        )

    def send(self, data: bytes) -> None:
        """Send bytes, and then whatever the server's calls are answered with."""
        if self.is_open:
            self._session.data_received(data)

    def say(self, text: bytes, *, opcode: int = TEXT) -> None:
        """Send one message; the referee expects what the rules say."""
        if self.is_open:
            self.referee.sends(text)
            self._session.data_received(ws_frame(text, opcode=opcode))
            if not is_utf8(text):
                assert self.close_code == (1007 if opcode == TEXT else 1003)

    def take(self, data: bytes) -> None:
        """Judge what the server sends."""
        for opcode, payload in self._reader.frames(data):
            if opcode == CLOSE:
                self.close_code = int.from_bytes(payload[:2], "big") if payload else 1005
                self.is_open = False
                if self.close_code not in CLOSES_BY_THE_RULES:
                    self.referee.violations.append(payload)
                asyncio.get_running_loop().call_soon(self._transport.close)
            elif opcode == TEXT:
                self._take_message(orjson.loads(payload))

    def _take_message(self, frame: list[Any]) -> None:
        if frame[0] != 2:
            self.referee.answered(frame)
            return
        text = answer(self._rng, frame[1], frame[2])
        if self._rng.random() < 0.7:  # behind its id, so that it is taken for the answer
            text = mutated(self._rng, text, keep=text.index(b", ", 4) + 2)
            text = text.decode(errors="replace").encode()
        self.answers_to_calls += 1
        self._our_turn.append(text)
        asyncio.get_running_loop().call_soon(self._give_turn)

    def _give_turn(self) -> None:
        while self._our_turn and self.is_open:
            self._session.data_received(ws_frame(self._our_turn.pop(0)))

    def lose(self) -> None:
        """The socket is gone."""
        self.is_open = False
        self.referee.forgives()
        if not self._is_lost:
            self._is_lost = True
            self._session.connection_lost(None)

    async def settled(self) -> None:
        """Wait until everything that must be answered is, and see that all was by the rules."""
        await eventually(
            lambda: not self.referee.owed or not self.is_open,
            every_s=0.0005,
            claim="every call with an id is answered",
        )
        assert self.referee.violations == []

    async def leave(self) -> None:
        """End the connection, and wait until the core knows."""
        self._transport.close()
        await eventually(lambda: self._core.registry.station("CP1") is None, every_s=0.0005)


class World:
    """The core, the good station, and what must never change."""

    def __init__(self, core: Core, good: FakeStation, transaction_id: int, rng: Random) -> None:
        self.core = core
        self.good = good
        self.transaction_id = transaction_id
        self.rng = rng
        self.referee = Referee()
        self.tasks = asyncio.all_tasks()

    def ask_beside(self) -> None:
        """The good station is answered within its turn: before its call returns."""
        before = len(self.good.sent)
        self.good.say(f'[2,"good-{before}","Heartbeat",{{}}]')
        frames = [orjson.loads(text) for text in self.good.sent[before:]]
        assert [f[:2] for f in frames] == [[3, f"good-{before}"]], frames

    async def hostile(self, old: Hostile | None = None) -> Hostile:
        """Let a hostile connection come, when the one before is gone."""
        if old is not None:
            await old.leave()
        found = Hostile(self.core, self.referee, self.rng)
        await found.connect()
        return found

    def check_bounds(self) -> None:
        """What is kept of hostile frames is bounded."""
        station = self.core.registry.station("CP1")
        if station is not None:
            talk = station.conversation
            assert len(talk._inbox) <= conversation.INBOX_LIMIT
            assert len(talk._remembered) <= conversation.REMEMBERED_ANSWERS
            assert len(station._memory.connectors) <= 1
        log = self.core.facilities.log
        assert len(log._waiting) <= message_log.WAITING_LIMIT
        assert log._bytes <= message_log.WAITING_BYTES
        assert set(self.core.facilities._memories) <= {"CP1", "CP2"}

    async def check_harmless(self) -> None:
        """Nothing is left of the hostile connection, and nothing of the other was touched."""
        self.ask_beside()
        await eventually(
            lambda: not asyncio.all_tasks() - self.tasks, every_s=0.0005, claim="no task is left"
        )
        assert self.tasks <= asyncio.all_tasks(), "nothing of the server has ended"
        await self.core.facilities.log.flush()
        running = await self.core.ledger.open_transactions("CP2")
        kept = [(t.id, t.meter_start, t.id_tag) for t in running]
        assert kept == [(self.transaction_id, 42, TAG)]
        assert self.good.closed is None
        self.core.heard.clear()


def two_stations() -> SiteConfig:
    """CP1 is the hostile one, CP2 the one beside it."""
    return site_of(evse(), evse(id="beside", station="CP2"))


@asynccontextmanager
async def fuzzed_core(folder: Path, seed: int) -> AsyncIterator[World]:
    """Run a core with a station that charges beside the hostile one; print the seed on failure."""
    noise = Complaints()
    logging.getLogger().addHandler(noise)
    logging.getLogger("ocpp_server").setLevel(logging.ERROR)
    asyncio.get_running_loop().set_exception_handler(noise.loop_complains)
    try:
        async with running_core(two_stations(), folder) as core:
            good = await core.booted("CP2")
            start = {"connectorId": 1, "idTag": TAG, "meterStart": 42, "timestamp": AT}
            started = await good.call("StartTransaction", start)
            await good.idle()
            yield World(core, good, started["transactionId"], Random(seed))
        assert noise.heard == []
    except BaseException:
        print(f"seed {seed}")
        raise
    finally:
        logging.getLogger().removeHandler(noise)
        logging.getLogger("ocpp_server").setLevel(logging.NOTSET)


class Complaints(logging.Handler):
    """Whatever the server reports as an error of its own, and what the event loop does."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.heard.append(self.format(record))

    def loop_complains(self, _loop: object, context: dict[str, Any]) -> None:
        """Keep what nobody else has caught."""
        self.heard.append(repr(context))
