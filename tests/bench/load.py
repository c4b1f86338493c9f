"""The load generator, a process of its own.

``python -m tests.bench.load PORT PATH STATIONS [tls]`` obeys one command a line from standard input
and answers each with JSON lines:

- ``run ACTION SECONDS``: flood, warm up, measure, rest
- ``flood ACTION``, ``pace ACTION EVERY_S``: begin to talk; ``rest``: stop
- ``measure SECONDS``: three lines, when the time begins, when it ended, and the result
- ``add STATIONS``: connect more
- ``state``: who is admitted and what was heard; ``acknowledged``: how many MeterValues of each
- ``quit``
"""

import asyncio
import gc
import json
import ssl
import sys
import time
from typing import Any

import uvloop

from tests.bench.descriptors import raise_file_limit
from tests.bench.talker import Dial, Talker

CONNECTING_AT_ONCE = 50
WARM_UP_S = 1.0
LAST_ANSWERS_WITHIN_S = 20.0
LOOK_EVERY_S = 0.02


class Load:
    """All stations of the generator."""

    def __init__(self, dial: Dial, group: asyncio.TaskGroup) -> None:
        self._dial = dial
        self._group = group
        self._gate = asyncio.Semaphore(CONNECTING_AT_ONCE)
        self._talkers: list[Talker] = []
        self._lives: list[asyncio.Task[None]] = []

    async def add(self, count: int) -> dict[str, Any]:
        """Connect and boot so many more stations."""
        refusal = raise_file_limit(len(self._talkers) + count)
        if refusal is not None:
            raise RuntimeError(refusal)
        begin = time.perf_counter()
        for number in range(len(self._talkers), len(self._talkers) + count):
            talker = Talker(number, self._dial)
            self._talkers.append(talker)
            self._lives.append(self._group.create_task(talker.live(self._gate)))
        while not all(talker.is_admitted for talker in self._talkers):
            await asyncio.sleep(LOOK_EVERY_S)
        gc.collect()
        gc.freeze()  # so that what is measured is not the generator's garbage collector
        return {"connected": len(self._talkers), "seconds": time.perf_counter() - begin}

    def flood(self, action: str) -> None:
        """Let every station send as fast as it is answered."""
        for talker in self._talkers:
            talker.flood(action)

    def pace(self, action: str, every_s: float) -> None:
        """Let every station send once in this time, evenly spread."""
        for number, talker in enumerate(self._talkers):
            first_in_s = every_s * number / len(self._talkers)
            talker.pace(action, every_s=every_s, first_in_s=first_in_s)

    async def rest(self) -> None:
        """Send nothing new, and wait for the last answers."""
        for talker in self._talkers:
            talker.rest()
        deadline = time.monotonic() + LAST_ANSWERS_WITHIN_S
        while any(talker.is_waiting for talker in self._talkers) and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_EVERY_S)

    async def measure(self, seconds: float) -> dict[str, Any]:
        """Take the times of all answers from now on."""
        for talker in self._talkers:
            talker.latencies_s.clear()
        before = self._counts()
        say({"begins": 1})  # the parent reads the CPU clocks here ...
        begin = time.perf_counter()
        await asyncio.sleep(seconds)
        taken_s = time.perf_counter() - begin
        say({"ended": 1})  # ... and here
        after = self._counts()
        latencies = sorted(one for talker in self._talkers for one in talker.latencies_s)
        if not latencies:
            raise RuntimeError("nothing was answered")
        counts = {name: after[name] - before[name] for name in after}
        return {"answers": len(latencies), "seconds": taken_s, **counts, **_quantiles(latencies)}

    async def run(self, action: str, seconds: float) -> dict[str, Any]:
        """Flood, warm up, measure, rest."""
        self.flood(action)
        await asyncio.sleep(WARM_UP_S)
        result = await self.measure(seconds)
        await self.rest()
        return result

    def state(self) -> dict[str, Any]:
        """Return how the stations are. Moments are of the machine's monotonic clock."""
        admitted_at = [talker.admitted_at for talker in self._talkers]
        limited_at = [talker.limited_at for talker in self._talkers]
        return {
            "calls_heard": sum(talker.calls_heard for talker in self._talkers),
            "admitted": sum(talker.is_admitted for talker in self._talkers),
            "first_admitted_at": min(admitted_at),
            "last_admitted_at": max(admitted_at),
            "first_limited_at": min(limited_at),
            "last_limited_at": max(limited_at),
        }

    def acknowledged(self) -> dict[str, Any]:
        """Return how many MeterValues of each station are acknowledged."""
        return {"acknowledged": [talker.acknowledged for talker in self._talkers]}

    def close(self) -> None:
        """Hang up, and come back no more."""
        for life in self._lives:
            life.cancel()
        for talker in self._talkers:
            talker.close()

    def _counts(self) -> dict[str, int]:
        return {
            "errors": sum(talker.errors for talker in self._talkers),
            "dropped": sum(talker.losses for talker in self._talkers),
            "skipped": sum(talker.skipped for talker in self._talkers),
        }


async def obey(load: Load, words: list[str]) -> dict[str, Any] | None:
    """Carry one command out; None = it was the last one."""
    match words:
        case ["flood", action]:
            load.flood(action)
        case ["pace", action, every_s]:
            load.pace(action, float(every_s))
        case ["rest"]:
            await load.rest()
        case _:
            return await answer(load, words)
    return {"done": words[0]}


async def answer(load: Load, words: list[str]) -> dict[str, Any] | None:
    """Carry out a command that has a result; None = it has none, and is the last one."""
    match words:
        case ["run", action, seconds]:
            return await load.run(action, float(seconds))
        case ["measure", seconds]:
            return await load.measure(float(seconds))
        case ["add", count]:
            return await load.add(int(count))
        case ["state"]:
            return load.state()
        case ["acknowledged"]:
            return load.acknowledged()
        case _:
            return None


async def serve_commands(dial: Dial, count: int) -> None:
    """Connect, say so, and obey until told to quit."""
    async with asyncio.TaskGroup() as group:
        load = Load(dial, group)
        say(await load.add(count))
        while True:
            line = await asyncio.to_thread(sys.stdin.readline)
            answer = await obey(load, line.split())
            if answer is None:
                break
            say(answer)
        load.close()


def _quantiles(latencies: list[float]) -> dict[str, float]:
    """Of sorted seconds, in milliseconds."""
    at = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999, "max_ms": 1.0}
    last = len(latencies) - 1
    return {name: latencies[min(last, int(len(latencies) * q))] * 1000 for name, q in at.items()}


def trusting() -> ssl.SSLContext:
    """Return a client's TLS that believes every certificate, as the server's is its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def say(result: dict[str, Any]) -> None:
    """Print one line."""
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    gc.set_threshold(50_000, 20, 50)
    where = Dial(
        port=int(sys.argv[1]), path=sys.argv[2], tls=trusting() if "tls" in sys.argv[4:] else None
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_commands(where, int(sys.argv[3])))
