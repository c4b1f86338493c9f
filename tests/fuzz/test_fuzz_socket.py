"""Mutated frames and mutated upgrade requests over real sockets, a good station beside them."""

import asyncio
import contextlib
import json
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from ocpp_server.listener import Listener, open_listener
from shared.contracts.site import TlsMode
from tests.conditions import eventually
from tests.fuzz.harness import CLOSE, TEXT, UPGRADE, FromServer, World, fuzzed_core, ws_frame
from tests.fuzz.mutator import bent, call, mutated

SEED = int(os.environ.get("PARKADE_FUZZ_SEED", "20260102"))
CONNECTIONS = 125
FRAMES_OF_A_CONNECTION = 40
BROKEN_UPGRADES = 300

pytestmark = pytest.mark.timeout(300)


@asynccontextmanager
async def port(world: World) -> AsyncIterator[Listener]:
    """Open a port to the core."""
    async with open_listener(
        "127.0.0.1",
        0,
        front=world.core.registry.front,
        tls=lambda: TlsMode.OFF,
        context=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
    ) as listener:
        yield listener


@asynccontextmanager
async def beside(world: World, listener: Listener) -> AsyncIterator[ClientConnection]:
    """Let the good station come over a socket, too; afterwards count the tasks that there are."""
    address = f"ws://127.0.0.1:{listener.port}/CP2"
    async with connect(address, subprotocols=[Subprotocol("ocpp1.6")], proxy=None) as client:
        await eventually(lambda: world.good.closed, claim="the newer connection has replaced it")
        world.tasks = asyncio.all_tasks()
        yield client


async def heartbeat(client: ClientConnection) -> None:
    """The good station is answered."""
    await client.send('[2,"pulse","Heartbeat",{}]')
    while True:
        frame = json.loads(await asyncio.wait_for(client.recv(), 10))
        if frame[0] == 3:
            assert frame[1] == "pulse"
            return


async def no_task_is_left(world: World) -> None:
    """Whatever the hostile connections have begun is over."""
    await eventually(lambda: not asyncio.all_tasks() - world.tasks, claim="no task is left")


class Peer:
    """A hostile client at a real socket."""

    def __init__(
        self, world: World, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._world = world
        self._reader = reader
        self._writer = writer
        self._frames = FromServer()

    async def upgrade(self) -> None:
        """Ask for a WebSocket, and wait for it as RFC 6455, 4.1 demands."""
        self._writer.write(UPGRADE)
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 10)
        assert list(self._frames.frames(head)) == []

    async def say(self, data: bytes) -> None:
        """Send bytes; the server may have closed already."""
        self._writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def hears_the_end(self) -> bool:
        """Read until the last call is answered (True) or the server has closed (False)."""
        with contextlib.suppress(ConnectionError):
            while data := await asyncio.wait_for(self._reader.read(65_536), 10):
                for opcode, payload in self._frames.frames(data):
                    if opcode == CLOSE:
                        return False
                    if opcode != TEXT:
                        continue
                    frame = json.loads(payload)
                    if frame[:2] == [3, "the end"]:
                        return True
                    if frame[0] != 2:
                        self._world.referee.answered(frame)
        return False

    def leave(self) -> None:
        """Cut the connection."""
        self._writer.transport.abort()


async def test_mutated_frames_over_a_socket_harm_nobody(tmp_path: Path) -> None:
    rng = Random(SEED)
    answered = 0
    async with (
        fuzzed_core(tmp_path, SEED) as world,
        port(world) as listener,
        beside(world, listener) as client,
    ):
        for _ in range(CONNECTIONS):
            streams = await asyncio.open_connection("127.0.0.1", listener.port)
            peer = Peer(world, *streams)
            await peer.upgrade()
            for number in range(FRAMES_OF_A_CONNECTION):
                text = _message(rng, f"s{number}")
                world.referee.sends(text)
                await peer.say(ws_frame(text, mask=rng.randbytes(4)))
            await peer.say(ws_frame(b'[2,"the end","Heartbeat",{}]'))
            await heartbeat(client)
            if await peer.hears_the_end():
                answered += 1
                assert not world.referee.owed
            world.referee.forgives()
            peer.leave()
        await eventually(lambda: world.core.registry.station("CP1") is None)
        await no_task_is_left(world)
        await heartbeat(client)
        running = await world.core.ledger.open_transactions("CP2")
        assert [t.id for t in running] == [world.transaction_id]
        assert world.referee.violations == []
        assert world.referee.sent == CONNECTIONS * FRAMES_OF_A_CONNECTION
        assert answered > CONNECTIONS / 2, "most connections are served to their end"


def _message(rng: Random, message_id: str) -> bytes:
    if rng.random() < 0.5:
        return bent(rng, message_id)
    frame = mutated(rng, call(rng, message_id), keep=len(f'[2, "{message_id}", '))
    return frame if rng.random() < 0.002 else frame.decode(errors="replace").encode()


async def test_mutated_upgrade_requests_are_refused_or_served(tmp_path: Path) -> None:
    rng = Random(SEED)
    statuses: set[bytes] = set()
    async with (
        fuzzed_core(tmp_path, SEED) as world,
        port(world) as listener,
        beside(world, listener) as client,
    ):
        for _ in range(BROKEN_UPGRADES):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            head, blank, _ = mutated(rng, UPGRADE).partition(b"\r\n\r\n")
            writer.write(head + blank)  # what may come behind it is in test_found.py
            patience_s = 10 if blank else 0.02  # without its end the server waits for the rest
            with contextlib.suppress(ConnectionError, TimeoutError):
                answer = await asyncio.wait_for(reader.read(65_536), patience_s)
                statuses.add(answer[9:12])
            writer.transport.abort()
            await heartbeat(client)
        await eventually(lambda: world.core.registry.station("CP1") is None)
        await no_task_is_left(world)
    assert {b"101", b"400"} <= statuses
    assert b"500" not in statuses
