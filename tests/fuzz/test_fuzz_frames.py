"""Mutated frames against the running core: it answers or closes by the rules, and harms nobody.

100,000 frames in bursts through the WebSocket protocol of the server, with a station beside that
charges and is asked for its pulse all the time. The seed is fixed; set ``PARKADE_FUZZ_SEED`` for
another one. It is printed when a test fails.
"""

import os
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.harness import BINARY, TEXT, Hostile, World, fuzzed_core, ws_frame
from tests.fuzz.mutator import bent, call, mutated
from tests.fuzz.seeds import CALLS
from ocpp_server.v16.schemas import request_validator

SEED = int(os.environ.get("PARKADE_FUZZ_SEED", "20260101"))
BURSTS = 3
FRAMES_OF_A_BURST = 900
CHUNK = 100
"""So many are sent before answers are awaited; the server allows 256."""
INVALID_SHARE = 0.02
"""What is no UTF-8 ends a connection, and a new one costs more than a hundred frames."""
WIRE_FRAMES = 10_000

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
