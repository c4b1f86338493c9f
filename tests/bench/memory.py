"""What a connected and booted station costs in memory, plain and over TLS."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.contenders import OCPP_SERVER, running
from tests.bench.generator import load_generator
from tests.bench.goal import Goal, lines
from tests.bench.markdown import table
from tests.bench.process import resident_kb

STATIONS = 1_000
FIRST_STATIONS = 100
"""Connected before, so that what a server allocates once is not counted."""
CALM_S = 3.0
GOALS_KB = {"plain": 25.0, "TLS": 60.0}


@dataclass(frozen=True, kw_only=True)
class Memory:
    """One server."""

    kind: str
    stations: int
    kb_each: float
    kb_each_from_empty: float
    """With what the first stations cost, so with what is allocated once."""
    connected_s: float
    """How long the stations took to be connected and booted."""


def measure(*, stations: int = STATIONS) -> list[Memory]:
    """Measure plain and TLS, each with a server of its own."""
    return [_measure(kind, stations) for kind in GOALS_KB]


def _measure(kind: str, stations: int) -> Memory:
    everybody = stations + FIRST_STATIONS
    with running(OCPP_SERVER, everybody) as (server, port):
        empty_kb = resident_kb(server.pid)
        with load_generator(port, FIRST_STATIONS, tls=kind == "TLS") as load:
            load.settle()
            time.sleep(CALM_S)
            before_kb = resident_kb(server.pid)
            connected_s = load.ask(f"add {stations}")["seconds"]
            load.settle()
            time.sleep(CALM_S)
            after_kb = resident_kb(server.pid)
    return Memory(
        kind=kind,
        stations=stations,
        kb_each=(after_kb - before_kb) / stations,
        kb_each_from_empty=(after_kb - empty_kb) / everybody,
        connected_s=connected_s,
    )


def section(measured: Sequence[Memory]) -> str:
    """Return the figures as Markdown."""
    rows = [
        (
            one.kind,
            f"{one.stations:,}",
            f"{one.kb_each:.1f}",
            f"{one.kb_each_from_empty:.1f}",
            f"{one.connected_s:.1f}",
        )
        for one in measured
    ]
    return "\n".join(
        [
            "## Memory of a station\n",
            lines([_goal(one) for one in measured]),
            "\nocpp-server alone, memory bus. Growth of resident memory after 100 stations were "
            "there, until all are connected, booted, have a base profile and were asked for their "
            "configuration; divided by the stations that came. The last frames of the message log "
            "and freed memory that Python keeps are in it. The configuration of the stations is "
            "loaded before.\n",
            table(["", "Stations", "kB each", "kB each with the first 100", "Boot all, s"], rows),
        ]
    )


def _goal(one: Memory) -> Goal:
    wanted = GOALS_KB[one.kind]
    return Goal(
        wanted=f"at most {wanted:.0f} kB for a connected station, {one.kind}",
        measured=f"{one.kb_each:.1f} kB",
        is_met=one.kb_each <= wanted,
    )
