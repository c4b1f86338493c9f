"""The figures of calls answered, connections and reactions, as parts of the page."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.bench.contenders import NPM, OCPP_SERVER, PACKAGE, Contender
from tests.bench.goal import Goal, lines
from tests.bench.ingress import ACTIONS, Connected, Measured
from tests.bench.markdown import table

GOALS_PER_CPU_S = {"MeterValues": 12_000, "Heartbeat": 25_000}
NOTE = """
The servers are measured one after another. The load generator is a process of its own on another
core. Every station sends its next call as soon as the last one is answered, so p99 is the latency
of a saturated server. MeterValues carry 10 sampled values, and no two are equal. *Per CPU s*
divides the answers by the CPU time of the server's process; it suffers least from neighbours, so
the last columns compare it with that of the `ocpp` package's example server and of `ocpp-rpc`.
"""
CONNECTIONS = """### Connections

Growth of resident memory from the start of the server until every station is booted, divided by the
stations. It contains what a server allocates once, and a garbage-collected heap may hold more than
it needs. Parkade's includes the state of station and EVSE.
"""
REACTIONS = """## From a meter value on the bus to the new limit at the station

api, ocpp-server, loadmgr and light stations in one process. The meter of the other consumers shows
more, every station must give up 1 A, and the time runs until its SetChargingProfile has arrived.
"""
TIMES = ("p50_ms", "p99_ms", "max_ms")


@dataclass
class Ingress:
    """What was measured of each server."""

    contenders: Sequence[Contender]
    seconds: float
    measured: list[Measured] = field(default_factory=list)
    connections: list[Connected] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def section(self) -> str:
        """Return the figures as Markdown."""
        servers = ((one.name, one.note) for one in self.contenders)
        failures = [f"- not measured: {line}" for line in self.failures]
        return "\n".join(
            [
                "## Calls answered\n",
                lines([self._goal(action) for action in GOALS_PER_CPU_S]),
                NOTE,
                f"Each figure is one run of {self.seconds:g} s after 1 s of warm-up.\n",
                table(["Server", "What it is"], servers),
                *(self._calls(action) for action in ACTIONS),
                CONNECTIONS,
                self._connections(),
                *failures,
            ]
        )

    def _calls(self, action: str) -> str:
        rows = [self._row(one) for one in self.measured if one.action == action]
        head = ["Server", "Stations", "Per CPU s", "Answers/s", "p50 ms", "p99 ms", "Errors"]
        head += ["Others", "x ocpp", "x ocpp-rpc"]
        return f"### {action}\n\n" + table(head, rows)

    def _row(self, one: Measured) -> list[str]:
        return [
            one.contender,
            f"{one.stations:,}",
            f"{one.per_cpu_second:,.0f}",
            f"{one.per_second:,.0f}",
            f"{one.p50_ms:.1f}",
            f"{one.p99_ms:.1f}",
            str(one.errors),
            f"{one.other_cores:.1f}",
            self._ratio(one, PACKAGE),
            self._ratio(one, NPM),
        ]

    def _ratio(self, one: Measured, other: Contender) -> str:
        """How many times the answers per CPU second of another server of the same run."""
        for base in self.measured:
            same = (base.action, base.stations) == (one.action, one.stations)
            if same and base.contender == other.name:
                return f"{one.per_cpu_second / base.per_cpu_second:.2f}"
        return ""

    def _goal(self, action: str) -> Goal:
        wanted = GOALS_PER_CPU_S[action]
        ours = [
            one
            for one in self.measured
            if one.contender == OCPP_SERVER.name and one.action == action
        ]
        told = [
            f"{one.per_cpu_second:,.0f} with {one.stations:,} stations "
            f"({self._ratio(one, PACKAGE) or '?'} times the package's example server, "
            f"{self._ratio(one, NPM) or '?'} times bare ocpp-rpc)"
            for one in ours
        ]
        return Goal(
            wanted=f"at least {wanted:,} {action} a second and core of ocpp-server",
            measured="; ".join(told) or "nothing",
            is_met=bool(ours) and all(one.per_cpu_second >= wanted for one in ours),
        )

    def _connections(self) -> str:
        rows = [
            (one.contender, f"{one.stations:,}", f"{one.seconds:.1f}", f"{one.kb_each:.1f}")
            for one in self.connections
        ]
        return table(["Server", "Stations", "Boot all, s", "kB each"], rows)


def reactions_section(reactions: Sequence[dict[str, float]]) -> str:
    """Return the figures as Markdown."""
    rows = [
        (f"{one['stations']:,}", f"{one['samples']:,}", *(f"{one[name]:.0f}" for name in TIMES))
        for one in reactions
    ]
    return REACTIONS + "\n" + table(["Stations", "Limits", "p50 ms", "p99 ms", "max ms"], rows)
