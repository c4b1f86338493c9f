"""Mutated frames against the running core: it answers or closes by the rules, and harms nobody.

100,000 frames in bursts through the WebSocket protocol of the server, with a station beside that
charges and is asked for its pulse all the time. The seed is fixed; set ``PARKADE_FUZZ_SEED`` for
another one. It is printed when a test fails.
"""

import asyncio
import os
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from ocpp_server.v16.schemas import request_validator
from tests.fuzz.harness import BINARY, TEXT, Hostile, World, fuzzed_core, ws_frame
from tests.fuzz.mutator import bent, call, mutated
from tests.fuzz.seeds import CALLS

SEED = int(os.environ.get("PARKADE_FUZZ_SEED", "20260101"))
BURSTS = 112
FRAMES_OF_A_BURST = 900
CHUNK = 100
"""So many are sent before answers are awaited; the server allows 256."""
INVALID_SHARE = 0.02
"""What is no UTF-8 ends a connection, and a new one costs more than a hundred frames."""
WIRE_BURSTS = 40
FRAMES_OF_A_STREAM = 12
STREAMS_OF_A_BURST = 10

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("action", CALLS)
def test_what_is_mutated_was_valid(action: str) -> None:
    assert request_validator(action).is_valid(CALLS[action])


async def test_mutated_messages_are_answered_by_the_rules(tmp_path: Path) -> None:
    async with fuzzed_core(tmp_path, SEED) as world:
        for burst in range(BURSTS):
            await _burst(world, burst)
        referee = world.referee
        assert referee.sent >= BURSTS * FRAMES_OF_A_BURST
        assert referee.results > referee.sent / 20, "many are still served"
        assert sum(referee.errors.values()) > referee.sent / 20, "many are refused"


async def _burst(world: World, burst: int) -> None:
    hostile = await world.hostile()
    for chunk in range(FRAMES_OF_A_BURST // CHUNK):
        for number in range(CHUNK):
            if not hostile.is_open:
                hostile = await world.hostile(hostile)
            hostile.say(_message(world.rng, f"f{burst}-{chunk}-{number}"))
            if number % 10 == 0:
                world.ask_beside()
        world.check_bounds()
        await hostile.settled()
    await hostile.leave()
    await world.check_harmless()


def _message(rng: Random, message_id: str) -> bytes:
    """Half of them are sound JSON; of the rest, half keep their id, so that an answer is owed."""
    if rng.random() < 0.5:
        return bent(rng, message_id)
    frame = call(rng, message_id)
    keep = len(f'[2, "{message_id}", ') if rng.random() < 0.5 else 0
    frame = mutated(rng, frame, keep=keep)
    if rng.random() < INVALID_SHARE:
        return frame
    return frame.decode(errors="replace").encode()


async def test_mutated_websocket_bytes_end_that_connection_only(tmp_path: Path) -> None:
    async with fuzzed_core(tmp_path, SEED + 1) as world:
        codes: Counter[int] = Counter()
        for _ in range(WIRE_BURSTS):
            hostile = await world.hostile()
            for _ in range(STREAMS_OF_A_BURST):
                if not hostile.is_open:
                    codes[hostile.close_code] += 1
                    hostile = await world.hostile(hostile)
                _send_in_pieces(hostile, _stream(world.rng), world.rng)
                world.ask_beside()
                await asyncio.sleep(0)
            world.check_bounds()
            await hostile.leave()
            await world.check_harmless()
            assert world.referee.violations == []
        assert codes[1002] > WIRE_BURSTS, "headers are broken"
        assert codes[1007] > 0, codes


def _stream(rng: Random) -> bytes:
    """Some frames as they are, and one or two broken in their header, mask or middle."""
    frames = []
    for number in range(FRAMES_OF_A_STREAM):
        text = bent(rng, f"w{number}") if rng.random() < 0.5 else call(rng, f"w{number}")
        opcode = TEXT if rng.random() < 0.9 else rng.choice((0, BINARY, 3, 7, 8, 9, 10, 15))
        frames.append(ws_frame(text, opcode=opcode, mask=rng.randbytes(4)))
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(frames))
        frames[at] = (
            _broken_head(rng, frames[at]) if rng.random() < 0.5 else mutated(rng, frames[at])
        )
    return b"".join(frames)


def _broken_head(rng: Random, frame: bytes) -> bytes:
    """Flip a bit of the first bytes: FIN, reserved bits, opcode, mask bit, length, mask."""
    at = rng.randrange(min(14, len(frame)))
    return frame[:at] + bytes([frame[at] ^ (1 << rng.randrange(8))]) + frame[at + 1 :]


def _send_in_pieces(hostile: Hostile, stream: bytes, rng: Random) -> None:
    while stream:
        length = rng.choice((1, 2, 7, 500, 100_000))
        hostile.send(stream[:length])
        stream = stream[length:]
