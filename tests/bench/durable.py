"""MeterValues from the socket to the row in PostgreSQL, answered when RabbitMQ has them."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.bench.backbone import Backbone, backbone
from tests.bench.bookkeeping import Books, compare
from tests.bench.generator import Generator, load_generator
from tests.bench.goal import Goal, lines
from tests.bench.markdown import table
from tests.bench.process import Used

GOAL_PER_S = 5_000
GOAL_P99_MS = 100.0
FLOODING_STATIONS = 200
PACED_STATIONS = 500
WARM_UP_S = 3.0
STORED_WITHIN_S = 60.0
PROCESSES = ("ocpp-server", "api", "RabbitMQ", "PostgreSQL", "load")


@dataclass(frozen=True, kw_only=True)
class Durable:
    """One run."""

    what: str
    stations: int
    told: dict[str, Any]
    """Of the load generator."""
    used: Used | None
    """None where a process was replaced meanwhile."""
    books: Books
    stored_after_s: float
    """How long after the last answer the last row was there."""
    back_after_s: float | None = None
    """From the kill until every station was admitted again."""

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return float(self.told["answers"] / self.told["seconds"])


def measure(seconds: float) -> list[Durable]:
    """Measure a flood, the rate of the goal, and a flood with a kill in the middle."""
    every_s = PACED_STATIONS / GOAL_PER_S
    return [
        _run("as fast as answered", FLOODING_STATIONS, "flood MeterValues", seconds),
        _run(f"{GOAL_PER_S:,}/s offered", PACED_STATIONS, f"pace MeterValues {every_s}", seconds),
        _run(
            "ocpp-server killed in the middle",
            FLOODING_STATIONS,
            "flood MeterValues",
            max(seconds, 10.0) + 10.0,
            kill_after_s=max(seconds, 10.0) / 2,
        ),
    ]


def _run(
    what: str, stations: int, command: str, seconds: float, *, kill_after_s: float | None = None
) -> Durable:
    with (
        backbone(stations) as running,
        load_generator(running.ocpp_port, stations, pinned=False) as load,
    ):
        load.settle()
        load.ask(command)
        time.sleep(WARM_UP_S)
        back_after_s = used = None
        if kill_after_s is None:
            told, used = load.measure(f"measure {seconds}", running.pids)
        else:
            told, killed_at = _measure_killing(running, load, seconds, kill_after_s)
            back_after_s = load.wait_until_back(stations, since=killed_at)
        load.ask("rest")
        books, stored_after_s = _books(running, load)
    return Durable(
        what=what,
        stations=stations,
        told=told,
        used=used,
        books=books,
        stored_after_s=stored_after_s,
        back_after_s=back_after_s,
    )


def _measure_killing(
    running: Backbone, load: Generator, seconds: float, kill_after_s: float
) -> tuple[dict[str, Any], float]:
    """Measure; meanwhile kill ocpp-server and start it again. Return the result and its death."""

    def kill_and_start() -> float:
        time.sleep(kill_after_s)
        killed_at = time.monotonic()
        running.ocpp_server.kill()
        running.ocpp_server.start()
        running.ocpp_server.wait_until_ready()
        return killed_at

    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill_and_start)
        told, _ = load.measure(f"measure {seconds}", {})
        return told, killing.result()


def _books(running: Backbone, load: Generator) -> tuple[Books, float]:
    """Wait until the database has everything, or too long, and compare."""
    acknowledged = load.ask("acknowledged")["acknowledged"]
    begin = time.monotonic()
    while running.stored_count() < sum(acknowledged):
        if time.monotonic() - begin > STORED_WITHIN_S:
            break
        time.sleep(0.1)
    stored_after_s = time.monotonic() - begin
    time.sleep(1.0)  # what is there twice by mistake may come later
    return compare(acknowledged, running.stored_energies()), stored_after_s


def section(runs: Sequence[Durable]) -> str:
    """Return the figures as Markdown."""
    return "\n".join(
        [
            "## Durable, end to end\n",
            lines(_goals(runs)),
            NOTE,
            table(SPEEDS, map(_speed, runs)),
            "CPU seconds a second (cores) of each process with its children, and what other "
            "processes of the machine took:\n",
            table(
                ["Run", *PROCESSES, "Others"], [_cores(run) for run in runs if run.used is not None]
            ),
            "What stations were told is safe, against table `meter_values`, value by value:\n",
            table(BOOKS, map(_booked, runs)),
        ]
    )


def _goals(runs: Sequence[Durable]) -> list[Goal]:
    best = max(runs[:2], key=lambda run: run.per_second)
    paced = runs[1]
    wrong = [run.what for run in runs if not run.books.are_right]
    return [
        Goal(
            wanted="at least 5,000 durable MeterValues/s on two cores, load generator included",
            measured=f"{best.per_second:,.0f}/s ({best.what})",
            is_met=best.per_second >= GOAL_PER_S * NEARLY,
        ),
        Goal(
            wanted="p99 of their answers below 100 ms at that rate",
            measured=f"{paced.told['p99_ms']:,.0f} ms with 5,000/s offered, of which "
            f"{paced.per_second:,.0f}/s were answered",
            is_met=paced.told["p99_ms"] < GOAL_P99_MS and paced.per_second >= GOAL_PER_S * NEARLY,
        ),
        Goal(
            wanted="every acknowledged value exactly once in the database, also after SIGKILL",
            measured="so in all runs" if not wrong else f"wrong in: {', '.join(wrong)}",
            is_met=not wrong,
        ),
    ]


NEARLY = 0.995
"""Of a rate that is offered at fixed times not every last answer falls into the time measured."""
NOTE = """
ocpp-server and api run as processes of their own on RabbitMQ and PostgreSQL; these, and the load
generator, share the cores of this machine, nothing is pinned. Every MeterValues has a timestamp and
an energy of its own. A station is answered when the broker has confirmed the value. PostgreSQL runs
without fsync here (`tests/postgres.py`); the broker as it is installed.
"""
SPEEDS = ["Run", "Stations", "Answers/s", "p50 ms", "p99 ms", "max ms", "Errors", "Left out"]
BOOKS = ["Run", "Acknowledged", "Rows", "Missing", "Twice", "Not acknowledged", "Last row after, s"]
BOOKS += ["All back after, s"]


def _speed(run: Durable) -> list[str]:
    told = run.told
    times = [f"{told[name]:,.1f}" for name in ("p50_ms", "p99_ms", "max_ms")]
    counts = [f"{told[name]:,}" for name in ("errors", "skipped")]
    return [run.what, f"{run.stations:,}", f"{run.per_second:,.0f}", *times, *counts]


def _cores(run: Durable) -> list[str]:
    assert run.used is not None
    each = [f"{run.used.cpu_s[name] / run.used.seconds:.2f}" for name in PROCESSES]
    return [run.what, *each, f"{run.used.other_cores:.1f}"]


def _booked(run: Durable) -> list[str]:
    books = run.books
    counts = (books.acknowledged, books.stored, books.missing, books.doubled, books.unasked)
    back = "" if run.back_after_s is None else f"{run.back_after_s:.1f}"
    return [run.what, *(f"{count:,}" for count in counts), f"{run.stored_after_s:.1f}", back]
