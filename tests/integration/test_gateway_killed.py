"""``kill -9`` of the gateway loses nothing and doubles nothing."""

import asyncio
import contextlib
import sqlite3
import sys
from functools import partial
from pathlib import Path

from parkade.simulation.backend import RecordedCall, SimulatedBackend
from tests.conditions import eventually
from tests.integration.gateway_victim import CLIENT_ID, FRAMES, TRANSACTIONS

ROOT = Path(__file__).parents[2]
VICTIM = Path(__file__).parent / "gateway_victim.py"
KILLED_AFTER = (7, 18)
"""How many frames become safe before each kill."""


async def live_and_die(url: str, data: Path, first: int, *, frames: int) -> int:
    """Run the gateway until some frames more are safe, kill it, and return the next frame."""
    async with victim(url, data, first) as process:
        last = first - 1
        assert process.stdout is not None
        for _ in range(frames):
            last = int(await process.stdout.readline())
    return last + 1


@contextlib.asynccontextmanager
async def victim(url: str, data: Path, first: int):  # type: ignore[no-untyped-def]  # a process
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(VICTIM),
        url,
        str(data),
        str(first),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            yield process
    finally:
        process.kill()
        await process.wait()


def billing(backend: SimulatedBackend) -> list[RecordedCall]:
    """Return what the backend counts: a message id that it knows is the same message again."""
    known: dict[str, RecordedCall] = {}
    for call in backend.calls_of(CLIENT_ID):
        if call.action in {"StartTransaction", "MeterValues", "StopTransaction"}:
            known.setdefault(call.message_id, call)
    return list(known.values())


def has_sent_all(data: Path) -> bool:
    with contextlib.closing(sqlite3.connect(data / "gateway.sqlite3")) as database:
        waiting = "SELECT count(*) FROM messages WHERE state != 'answered'"
        return bool(database.execute(waiting).fetchone()[0] == 0)


async def test_nothing_is_lost_or_doubled_by_kill_9(tmp_path: Path) -> None:
    async with SimulatedBackend() as backend:
        backend.delay_s = 0.01
        first = 0
        for frames in KILLED_AFTER:
            first = await live_and_die(backend.url, tmp_path, first, frames=frames)
        async with victim(backend.url, tmp_path, first):
            await eventually(lambda: len(billing(backend)) >= len(FRAMES), within_s=50)
            await eventually(partial(has_sent_all, tmp_path))
        got = billing(backend)
        assert [c.action for c in got] == [f.action for f in FRAMES], "in order"
        starts = [c.payload["idTag"] for c in got if c.action == "StartTransaction"]
        assert starts == [f"T{number}" for number in range(TRANSACTIONS)]
        numbers = [c.payload["transactionId"] for c in got if c.action == "StopTransaction"]
        assert len(set(numbers)) == TRANSACTIONS
        assert not backend.open_transactions(CLIENT_ID)
