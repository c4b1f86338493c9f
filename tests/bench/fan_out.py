"""A limit for a thousand stations at once: from the orders on the bus to the last answer."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.contenders import Contender, Launch, running
from tests.bench.generator import Generator, load_generator
from tests.bench.goal import Goal, lines
from tests.bench.markdown import table
from tests.bench.process import Meter

STATIONS = 1_000
GOAL_MS = 150.0
LIMITS_A = (16.0, 10.0)
"""Ordered in turn, because a limit that holds already is not sent again."""
ROUNDS = 10


def _launch(port: int, stations: int, folder: Path) -> Launch:
    module = "tests.bench.servers.parkade_limits"
    return Launch([sys.executable, "-m", module, str(port), str(stations), str(folder)], {})


SERVER = Contender("Parkade ocpp-server", "alone, memory bus, SQLite ledger", _launch)


@dataclass(frozen=True, kw_only=True)
class Round:
    """One order for everybody. Milliseconds from the first of the orders."""

    ordered_ms: float
    """Until the last order was on the bus."""
    answered_ms: float
    """Until the last station had sent its answer."""
    confirmed_ms: float
    """Until the last SetpointApplied was heard on the bus."""
    cpu_ms: float
    """CPU time of the server."""
    load_cpu_ms: float
    """CPU time of the stations."""
    other_cores: float


@dataclass(frozen=True, kw_only=True)
class FanOut:
    """All rounds."""

    stations: int
    rounds: Sequence[Round]

    def middle(self, of: str) -> float:
        """The median of one column."""
        return sorted(float(getattr(one, of)) for one in self.rounds)[len(self.rounds) // 2]

    def worst(self, of: str) -> float:
        """The largest of one column."""
        return max(float(getattr(one, of)) for one in self.rounds)


def measure(*, stations: int = STATIONS, rounds: int = ROUNDS) -> FanOut:
    """Order, and order again, until all rounds are measured."""
    with (
        running(SERVER, stations, talks=True) as (server, port),
        load_generator(port, stations) as load,
    ):
        load.settle()
        for revision in (1, 2):  # the first order also brings the base profile
            _order(server, LIMITS_A[revision % 2], revision)
        load.settle()
        measured = [_round(server, load, revision) for revision in range(3, 3 + rounds)]
    return FanOut(stations=stations, rounds=measured)


def _round(server: "subprocess.Popen[bytes]", load: Generator, revision: int) -> Round:
    meter = Meter({"server": server.pid, "load": load.pid})
    told = _order(server, LIMITS_A[revision % 2], revision)
    used = meter.used()
    state = load.ask("state")
    begin = told["begin"]
    if state["first_limited_at"] < begin:
        raise RuntimeError("a station has taken a limit that it was not sent")
    return Round(
        ordered_ms=(told["ordered"] - begin) * 1000,
        answered_ms=(state["last_limited_at"] - begin) * 1000,
        confirmed_ms=(told["confirmed"] - begin) * 1000,
        cpu_ms=used.cpu_s["server"] * 1000,
        load_cpu_ms=used.cpu_s["load"] * 1000,
        other_cores=used.other_cores,
    )


def _order(server: "subprocess.Popen[bytes]", limit_a: float, revision: int) -> dict[str, Any]:
    """Have the server send a limit. Raises ``RuntimeError`` when not every station takes it."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(f"{limit_a} {revision}\n".encode())
    server.stdin.flush()
    line = server.stdout.readline()
    if not line:
        raise RuntimeError("the server has ended")
    told: dict[str, Any] = json.loads(line)
    if told["missing"]:
        raise RuntimeError(f"{told['missing']} stations did not take a limit: {told}")
    return told


def section(fan_out: FanOut) -> str:
    """Return the figures as Markdown."""
    columns = {
        "ordered_ms": "all orders on the bus",
        "answered_ms": "last station has answered",
        "confirmed_ms": "last answer told on the bus",
        "cpu_ms": "CPU time of the server",
        "load_cpu_ms": "CPU time of the stations",
    }
    rows = [
        (what, f"{fan_out.middle(name):.0f}", f"{fan_out.worst(name):.0f}")
        for name, what in columns.items()
    ]
    others = max(one.other_cores for one in fan_out.rounds)
    return "\n".join(
        [
            f"## A limit for {fan_out.stations:,} stations at once\n",
            lines([_goal(fan_out)]),
            f"\nocpp-server alone, memory bus. An ApplySetpoint for each station is published as "
            "fast as the bus takes them, and each becomes a SetChargingProfile. All stations are "
            "one process on the other core, and answer without parsing JSON, because the server is "
            "what is measured. Milliseconds from the first order, "
            f"of {len(fan_out.rounds)} rounds; other processes took up to {others:.1f} cores.\n",
            table(["Until", "Median", "Worst"], rows),
        ]
    )


def _goal(fan_out: FanOut) -> Goal:
    middle, worst = fan_out.middle("confirmed_ms"), fan_out.worst("confirmed_ms")
    return Goal(
        wanted="a limit for 1,000 stations at once: last answer within 150 ms",
        measured=f"{middle:.0f} ms (median), {worst:.0f} ms (worst), until the last answer was "
        f"told on the bus, {fan_out.stations:,} stations",
        is_met=middle <= GOAL_MS and fan_out.stations >= STATIONS,
    )
