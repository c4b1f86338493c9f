"""Thousands of stations that talk as seldom as real ones, and a restart of their server."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.backbone import Backbone, backbone
from tests.bench.generator import Generator, load_generator
from tests.bench.goal import Goal, lines
from tests.bench.markdown import table
from tests.bench.process import Meter, Used

STATIONS = 5_000
EVERY_S = 10.0
GOAL_P99_MS = 50.0
GOAL_READMITTED_S = 30.0
GOAL_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A quiet time that was measured."""

    what: str
    told: dict[str, Any]
    """Of the load generator."""
    used: Used


@dataclass(frozen=True, kw_only=True)
class Restart:
    """Stations storm a server that has just started."""

    stopped_s: float
    """From the order to stop until the old process had ended."""
    started_s: float
    """From then until the new one was ready."""
    readmitted_s: float
    """From then until the last station was booted."""
    used: Used
    """Meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Soak:
    """The whole run."""

    stations: int
    first_admitted_s: float
    """At the start, all of them."""
    stretches: Sequence[Stretch]
    restart: Restart


def measure(seconds: float, *, stations: int = STATIONS) -> Soak:
    """Measure half of the time, restart ocpp-server, and measure the other half."""
    with (
        backbone(stations) as running,
        load_generator(running.ocpp_port, stations, pinned=False) as load,
    ):
        load.settle()
        load.ask(f"pace MeterValues {EVERY_S}")
        time.sleep(EVERY_S)
        before = _stretch("before the restart", running, load, seconds=seconds / 2)
        restart = _restart(running, load, stations)
        load.settle()
        time.sleep(EVERY_S)
        after = _stretch("after the restart", running, load, seconds=seconds / 2)
        load.ask("rest")
    return Soak(
        stations=stations,
        first_admitted_s=load.connected_s,
        stretches=(before, after),
        restart=restart,
    )


def _stretch(what: str, running: Backbone, load: Generator, *, seconds: float) -> Stretch:
    told, used = load.measure(f"measure {seconds}", running.pids)
    return Stretch(what=what, told=told, used=used)


def _restart(running: Backbone, load: Generator, stations: int) -> Restart:
    ordered_at = time.monotonic()
    running.ocpp_server.stop()
    stopped_at = time.monotonic()
    running.ocpp_server.start()
    running.ocpp_server.wait_until_ready()
    ready_at = time.monotonic()
    meter = Meter({**running.pids, "load": load.pid})
    load.wait_until_back(stations, since=stopped_at)
    running.check()
    return Restart(
        stopped_s=stopped_at - ordered_at,
        started_s=ready_at - stopped_at,
        readmitted_s=time.monotonic() - ready_at,
        used=meter.used(),
    )


def section(soak: Soak) -> str:
    """Return the figures as Markdown."""
    return "\n".join(
        [
            f"## {soak.stations:,} stations, one MeterValues each in {EVERY_S:g} s\n",
            lines(_goals(soak)),
            NOTE,
            table(HEAD, map(_row, soak.stretches)),
            f"At the start all stations were admitted and booted {soak.first_admitted_s:.1f} s "
            "after the first one called (50 at once).\n",
            _restart_text(soak.restart),
        ]
    )


def _restart_text(restart: Restart) -> str:
    used = restart.used
    cores = ", ".join(f"{name} {cpu_s / used.seconds:.2f}" for name, cpu_s in used.cpu_s.items())
    return (
        f"Restart: the old process had ended after {restart.stopped_s:.1f} s, the new one was "
        f"ready {restart.started_s:.1f} s later, and after another {restart.readmitted_s:.1f} s "
        f"the last station was booted again. Cores used in this last time: {cores}; others "
        f"{used.other_cores:.1f}.\n"
    )


def _goals(soak: Soak) -> list[Goal]:
    worst_ms = max(one.told["p99_ms"] for one in soak.stretches)
    dropped = sum(one.told["dropped"] for one in soak.stretches)
    seconds = sum(one.told["seconds"] for one in soak.stretches)
    restart = soak.restart
    down_s = restart.stopped_s + restart.started_s
    return [
        Goal(
            wanted="5,000 stations at one MeterValues in 10 s: p99 below 50 ms over ten minutes",
            measured=f"{worst_ms:.1f} ms with {soak.stations:,} stations, over {seconds:.0f} s",
            is_met=worst_ms < GOAL_P99_MS and soak.stations >= STATIONS,
            restriction=""
            if seconds >= GOAL_SECONDS
            else f"measured over {seconds:.0f} s only (`--soak-seconds {GOAL_SECONDS}`)",
        ),
        Goal(
            wanted="none of them dropped",
            measured=f"{dropped:,} dropped",
            is_met=dropped == 0 and soak.stations >= STATIONS,
        ),
        Goal(
            wanted="after a restart all are admitted again within 30 s (plain)",
            measured=f"{restart.readmitted_s:.1f} s after the new process was ready, "
            f"{down_s + restart.readmitted_s:.1f} s after the order to stop",
            is_met=restart.readmitted_s <= GOAL_READMITTED_S and soak.stations >= STATIONS,
        ),
    ]


NOTE = """
ocpp-server and api as processes of their own on RabbitMQ and PostgreSQL, as above. The stations are
spread evenly over the time. A station that was cut off calls again at a random moment of the next
3 s, then less and less often. The time between the two rows, in which stations come back and are
asked for their configuration, is not in the figures. *Left out*: a station should have spoken, but
had no answer yet to what it said 10 s before. The collector of garbage runs as in production.
"""
HEAD = ["", "Seconds", "Answers", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "Errors", "Dropped"]
HEAD += ["Left out", "ocpp-server, cores", "api, cores", "Others"]


def _row(one: Stretch) -> list[str]:
    told, used = one.told, one.used
    times = [f"{told[name]:.1f}" for name in ("p50_ms", "p99_ms", "p999_ms", "max_ms")]
    counts = [f"{told[name]:,}" for name in ("errors", "dropped", "skipped")]
    cores = [f"{used.cpu_s[name] / used.seconds:.2f}" for name in ("ocpp-server", "api")]
    seconds, answers = f"{told['seconds']:.0f}", f"{told['answers']:,}"
    return [one.what, seconds, answers, *times, *counts, *cores, f"{used.other_cores:.1f}"]
