"""From a meter's news on the bus to the setpoints on the bus, in memory and over RabbitMQ."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.goal import Goal, lines
from tests.bench.loadmgr.program import told_by
from tests.bench.markdown import table
from tests.broker import Broker, find_server

GOAL_MS = 50.0
WITHIN_S = 2_400.0
MEMORY, RABBIT = "memory, one process", "RabbitMQ, a process of its own"
NOTE = """
`loadmgr.service.run` with 1,000 EVSEs on one fuse that they use in full. The meter of the other
consumers shows more, at any moment of load management's second, and every EVSE has to give up
1.5 A. The clock runs from `MeterSampled` on the bus to the arrival of each EVSE's first
`ApplySetpoint` that lowers it. Boxes answer 0.2 s later and report every ten seconds; the next step
comes when what this one leaves is given out.
"""


@dataclass(frozen=True, kw_only=True)
class Reaction:
    """The setpoints of all steps over one bus, in milliseconds."""

    bus: str
    evses: int
    each_ms: Sequence[float]
    """Every setpoint of every step."""
    first_ms: Sequence[float]
    """The first one of each step."""
    last_ms: Sequence[float]
    """The last one of each step."""


def measure() -> list[Reaction]:
    """Measure both buses; without RabbitMQ on this machine only the one in memory."""
    measured = [_reaction(MEMORY)]
    server = find_server()
    if server is not None:
        with tempfile.TemporaryDirectory(prefix="parkade-bench-") as folder:
            broker = Broker(server, Path(folder) / "broker")
            try:
                broker.start()
                measured.append(_reaction(RABBIT, broker.url))
            finally:
                broker.stop()
    return measured


def _reaction(bus: str, *url: str) -> Reaction:
    told = json.loads(told_by("jump", *url, within_s=WITHIN_S)[-1])
    return Reaction(
        bus=bus,
        evses=told["evses"],
        each_ms=told["each_ms"],
        first_ms=told["first_ms"],
        last_ms=told["last_ms"],
    )


def quantile(values: Sequence[float], part: float) -> float:
    """Return what this part of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


def section(reactions: Sequence[Reaction]) -> str:
    """Return the figures as Markdown."""
    rows = [
        (one.bus, what, f"{len(values):,}", *(f"{ms:.0f}" for ms in _middle_to_worst(values)))
        for one in reactions
        for what, values in (
            ("first of a step", one.first_ms),
            ("every one", one.each_ms),
            ("last of a step", one.last_ms),
        )
    ]
    missing = "" if len(reactions) == 2 else "RabbitMQ is not installed here, so not measured.\n"
    return "\n".join(
        [
            "## From a meter to the setpoints\n",
            lines([_goal(one) for one in reactions]),
            NOTE,
            table(["Bus", "Setpoint", "Times", "Median ms", "p90 ms", "p99 ms", "Max ms"], rows),
            missing,
        ]
    )


def _middle_to_worst(values: Sequence[float]) -> list[float]:
    return [*(quantile(values, part) for part in (0.5, 0.9, 0.99)), max(values)]


def _goal(one: Reaction) -> Goal:
    p99_ms = quantile(one.each_ms, 0.99)
    return Goal(
        wanted=f"from a meter's news to a setpoint below {GOAL_MS:.0f} ms (p99), "
        f"{one.evses:,} EVSEs, {one.bus}",
        measured=f"{p99_ms:.0f} ms for any setpoint, {quantile(one.first_ms, 0.99):.0f} ms for "
        f"the first of a step, {quantile(one.last_ms, 0.99):.0f} ms for the last",
        is_met=p99_ms < GOAL_MS,
    )
