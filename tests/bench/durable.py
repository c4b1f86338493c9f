"""MeterValues from the socket to the row in PostgreSQL, answered when RabbitMQ has confirmed them."""

import time
from collections.abc import Callable
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
    used: Used
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
        back_after_s = None
        if kill_after_s is None:
            told, used = load.measure(f"measure {seconds}", running.pids)
        else:
            with _meanwhile(lambda: _kill(running, kill_after_s)) as killed:
                told, used = load.measure(f"measure {seconds}", running.pids)
            back_after_s = _back_after_s(load, killed())
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
