"""The figures as a page: ``docs/benchmarks.md``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.bench.contenders import PACKAGE, Contender
from tests.bench.ingress import ACTIONS, Connected, Measured

INTRODUCTION = """# Benchmarks

Written by `make bench` (`python -m tests.bench`); do not edit. The servers are measured one after
another on the same machine, each once. *Others* says how many cores other processes of the machine
used meanwhile. Where it is not near 0, answers per second and latencies are worse than they would
be on an idle machine, and not comparable between rows that had different neighbours.

The load generator is a process of its own on another core. Every station sends its next call as
soon as the last one is answered, so p99 is the latency of a saturated server. MeterValues carry 10
sampled values. *Per CPU s* divides the answers by the CPU time of the server's process; it suffers
least from neighbours, so *ratio* compares it with that of the `ocpp` package's server.
"""


@dataclass
class Report:
    """What was measured so far."""

    machine: dict[str, str]
    contenders: Sequence[Contender]
    seconds: float
    ingress: list[Measured] = field(default_factory=list)
    connections: list[Connected] = field(default_factory=list)
    reactions: list[dict[str, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Return the whole page."""
        parts = [
            INTRODUCTION,
            _table(["Measured on", ""], self.machine.items()),
            f"Each figure is one run of {self.seconds:g} s after 1 s of warm-up.\n",
            "## Servers\n",
            _table(["Server", "What it is"], ((c.name, c.note) for c in self.contenders)),
            "## Calls answered\n",
            *(self._ingress_table(action) for action in ACTIONS),
            "## Connections\n",
            self._connections_table(),
            "## From a meter value on the bus to the new limit at the station\n",
            self._reactions_table(),
        ]
        if self.failures:
            parts += ["## Not measured\n", "\n".join(f"- {line}" for line in self.failures) + "\n"]
        return "\n".join(parts)

    def _ingress_table(self, action: str) -> str:
        rows = []
        for one in self.ingress:
            if one.action != action:
                continue
            rows.append(
                (
                    one.contender,
                    f"{one.stations:,}",
                    f"{one.per_cpu_second:,.0f}",
                    self._ratio(one),
                    f"{one.per_second:,.0f}",
                    f"{one.p50_ms:.1f}",
                    f"{one.p99_ms:.1f}",
                    str(one.errors),
                    f"{one.other_cores:.1f}",
                )
            )
        head = ["Server", "Stations", "Per CPU s", "Ratio", "Answers/s", "p50 ms", "p99 ms"]
        head += ["Errors", "Others"]
        return f"### {action}\n\n" + _table(head, rows)

    def _ratio(self, one: Measured) -> str:
        """How many times the answers per CPU second of the ``ocpp`` package's server."""
        for base in self.ingress:
            same = (base.action, base.stations) == (one.action, one.stations)
            if same and base.contender == PACKAGE.name:
                return f"{one.per_cpu_second / base.per_cpu_second:.1f} x"
        return ""

    def _connections_table(self) -> str:
        rows = [
            (c.contender, f"{c.stations:,}", f"{c.seconds:.1f}", f"{c.kb_each:.1f}")
            for c in self.connections
        ]
        note = (
            "Growth of resident memory from the start of the server until every station is booted, "
            "divided by the stations. It contains what a server allocates once, and a garbage-"
            "collected heap may hold more than it needs. Parkade's includes the state of station "
            "and EVSE.\n"
        )
        return note + "\n" + _table(["Server", "Stations", "Boot all, s", "kB each"], rows)

    def _reactions_table(self) -> str:
        rows = [
            (f"{r['stations']:,}", f"{r['samples']:,}", *(f"{r[k]:.0f}" for k in TIMES))
            for r in self.reactions
        ]
        note = (
            "api, ocpp-server, loadmgr and light stations in one process. The meter of the other "
            "consumers shows more, every station must give up 1 A, and the time runs until its "
            "SetChargingProfile has arrived.\n"
        )
        return note + "\n" + _table(["Stations", "Limits", "p50 ms", "p99 ms", "max ms"], rows)


TIMES = ("p50_ms", "p99_ms", "max_ms")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rows = list(rows)
    if any(len(row) != len(head) for row in rows):
        raise ValueError(f"every row needs {len(head)} cells: {head}")
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
