"""The CPU cost of a message with few stations and with many."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests import npm_client
from tests.bench.contenders import NPM, OCPP_SERVER, PACKAGE, Contender
from tests.bench.descriptors import raise_file_limit
from tests.bench.goal import Goal, lines
from tests.bench.ingress import Measured
from tests.bench.ingress import measure as measure_ingress
from tests.bench.markdown import table
from tests.bench.plot import Curve, logarithmic_plot

STATIONS = (10, 100, 1_000, 5_000)
ANSWERED_PER_S = 500
"""By the slowest server: so long is measured that every station gets its turn."""
CONSTANT = 1.5
"""So much dearer the dearest may be than the cheapest and still be called constant."""
COLOURS = {OCPP_SERVER.name: "#2563eb", PACKAGE.name: "#d97706", NPM.name: "#059669"}


@dataclass
class Scale:
    """All servers with all numbers of stations."""

    measured: list[Measured] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def of(self, server: str) -> list[Measured]:
        """Those of one server."""
        return [one for one in self.measured if one.contender == server]


def measure(seconds: float, *, stations: Sequence[int] = STATIONS) -> Scale:
    """Measure; what a server cannot do is noted and left out."""
    scale = Scale()
    servers: list[Contender] = [OCPP_SERVER, PACKAGE]
    if npm_client.is_available():
        servers.append(NPM)
    for count in stations:
        refusal = raise_file_limit(count)
        for server in servers:
            if refusal is not None:
                scale.failures.append(f"{server.name}, {count:,} stations: {refusal}")
                continue
            try:
                _, results = measure_ingress(
                    server,
                    count,
                    seconds=max(seconds, count / ANSWERED_PER_S),
                    actions=("MeterValues",),
                )
            except (RuntimeError, OSError) as error:
                scale.failures.append(f"{server.name}, {count:,} stations: {error}")
                continue
            scale.measured += results
    return scale


def cost_us(one: Measured) -> float:
    """CPU time of the server for one MeterValues."""
    return 1e6 / one.per_cpu_second


def section(scale: Scale, picture: str) -> str:
    """Return the figures as Markdown; ``picture`` is the address of the plot."""
    rows = [
        (
            one.contender,
            f"{one.stations:,}",
            f"{cost_us(one):,.0f}",
            f"{one.per_second:,.0f}",
            f"{one.p50_ms:,.1f}",
            f"{one.p99_ms:,.1f}",
            str(one.errors),
            f"{one.other_cores:.1f}",
        )
        for one in sorted(scale.measured, key=lambda one: (one.contender, one.stations))
    ]
    head = ["Server", "Stations", "CPU us each", "Answers/s", "p50 ms", "p99 ms", "Errors"]
    failures = "".join(f"- not measured: {line}\n" for line in scale.failures)
    return "\n".join(
        [
            "## Cost of a message from 10 to 5,000 stations\n",
            lines([_goal(scale)]),
            "\nCPU time of the server's process for one MeterValues of 10 sampled values, every "
            "station sending as fast as it is answered. Latencies are those of a saturated server, "
            "so they grow with the stations.\n",
            f"![CPU time of a MeterValues by number of stations]({picture})\n",
            table([*head, "Others"], rows),
            failures,
        ]
    )


def draw(scale: Scale, target: Path) -> None:
    """Write the plot."""
    curves = [
        Curve(
            label=name,
            colour=colour,
            points=[(one.stations, cost_us(one)) for one in scale.of(name)],
        )
        for name, colour in COLOURS.items()
        if scale.of(name)
    ]
    target.write_text(
        logarithmic_plot(
            curves, title="CPU time of one MeterValues, us", across="stations, each busy"
        )
    )


def _goal(scale: Scale) -> Goal:
    ours = scale.of(OCPP_SERVER.name)
    costs = [cost_us(one) for one in ours]
    spread = max(costs) / min(costs) if costs else 0.0
    counts = ", ".join(f"{cost_us(one):,.0f} us with {one.stations:,}" for one in ours)
    return Goal(
        wanted="the cost of a message is constant from 10 to 5,000 stations "
        f"(dearest at most {CONSTANT:g} times the cheapest)",
        measured=f"{counts or 'nothing'}: {spread:.2f} times",
        is_met=spread <= CONSTANT and {one.stations for one in ours} >= set(STATIONS),
    )
