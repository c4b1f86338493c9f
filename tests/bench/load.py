"""The load generator, a process of its own: ``python -m tests.bench.load PORT PATH STATIONS``.

Reads one command a line from standard input (``run ACTION SECONDS`` or ``quit``). For each run it
prints three JSON lines: when the measured time begins, when it ended, and the result.
"""

import asyncio
import json
import sys
import time

import uvloop

from tests.bench import frames
from tests.bench.station import LoadStation

CONNECTING_AT_ONCE = 50
WARM_UP_S = 1.0
PAYLOADS = {"Heartbeat": lambda: frames.HEARTBEAT, "MeterValues": frames.meter_values}


async def connect_all(port: int, path: str, count: int) -> list[LoadStation]:
    """Connect and boot so many stations."""
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)
    loop = asyncio.get_running_loop()

    async def connect(number: int) -> LoadStation:
        async with gate:
            _, station = await loop.create_connection(
                lambda: LoadStation(f"BENCH-{number}", path=path), "127.0.0.1", port
            )
            await station.boot()
            return station

    return list(await asyncio.gather(*(connect(number) for number in range(count))))


async def measure(stations: list[LoadStation], action: str, seconds: float) -> dict[str, float]:
    """Let every station send as fast as it is answered; return what was measured."""
    payload = PAYLOADS[action]()
    for station in stations:
        station.repeat(action, payload)
    await asyncio.sleep(WARM_UP_S)
    for station in stations:
        station.latencies_s.clear()
    say({"begins": 1})  # the parent reads the server's CPU clock here ...
    begin = time.perf_counter()
    await asyncio.sleep(seconds)
    taken_s = time.perf_counter() - begin
    say({"ended": 1})  # ... and here
    latencies = sorted(latency for station in stations for latency in station.latencies_s)
    for station in stations:
        station.rest()
    await asyncio.sleep(0.5)
    if not latencies:
        raise RuntimeError(f"nothing was answered to {action}")
    return {
        "answers": len(latencies),
        "seconds": taken_s,
        "errors": sum(station.errors for station in stations),
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
    }


async def serve_commands(port: int, path: str, count: int) -> None:
    """Connect, say so, and obey until told to quit."""
    begin = time.perf_counter()
    stations = await connect_all(port, path, count)
    say({"connected": count, "seconds": time.perf_counter() - begin})
    while True:
        line = await asyncio.to_thread(sys.stdin.readline)
        match line.split():
            case ["run", action, seconds]:
                say(await measure(stations, action, float(seconds)))
            case _:
                break
    for station in stations:
        station.close()


def say(result: dict[str, float]) -> None:
    """Print one line."""
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_commands(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
