"""How many calls of stations a server answers, how late, and what a connection costs."""

from dataclasses import dataclass

from tests.bench.contenders import Contender, running
from tests.bench.generator import Generator, load_generator
from tests.bench.process import resident_kb

ACTIONS = ("Heartbeat", "MeterValues")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One server, one action, one number of stations."""

    contender: str
    stations: int
    action: str
    per_second: float
    per_cpu_second: float
    """Answers for each second of CPU time of the server's process."""
    other_cores: float
    """Cores that other processes of the machine used meanwhile: they take from the figures."""
    p50_ms: float
    p99_ms: float
    errors: int


@dataclass(frozen=True, kw_only=True)
class Connected:
    """What so many connected and booted stations cost a server."""

    contender: str
    stations: int
    seconds: float
    kb_each: float


def measure(
    contender: Contender,
    stations: int,
    *,
    seconds: float,
    actions: tuple[str, ...] = ACTIONS,
) -> tuple[Connected, list[Measured]]:
    """Start a server, connect stations, let them talk."""
    with running(contender, stations) as (server, port):
        before_kb = resident_kb(server.pid)
        with load_generator(port, stations) as load:
            connected = Connected(
                contender=contender.name,
                stations=stations,
                seconds=load.connected_s,
                kb_each=(resident_kb(server.pid) - before_kb) / stations,
            )
            load.settle()
            results = [
                _run(load, contender, server.pid, stations=stations, action=action, seconds=seconds)
                for action in actions
            ]
        return connected, results


def _run(
    load: Generator,
    contender: Contender,
    pid: int,
    *,
    stations: int,
    action: str,
    seconds: float,
) -> Measured:
    told, used = load.measure(f"run {action} {seconds}", {"server": pid})
    return Measured(
        contender=contender.name,
        stations=stations,
        action=action,
        per_second=told["answers"] / told["seconds"],
        per_cpu_second=told["answers"] / max(used.cpu_s["server"], 0.01),
        other_cores=used.other_cores,
        p50_ms=told["p50_ms"],
        p99_ms=told["p99_ms"],
        errors=int(told["errors"]),
    )
