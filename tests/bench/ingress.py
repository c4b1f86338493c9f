"""How many calls of stations a server answers, how late, and what a connection costs."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.contenders import LOAD_CORE, ROOT, Contender, pin, running

ACTIONS = ("Heartbeat", "MeterValues")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
LOAD_ANSWERS_WITHIN_S = 120


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
    contender: Contender, stations: int, *, seconds: float
) -> tuple[Connected, list[Measured]]:
    """Start a server, connect stations, let them talk."""
    with running(contender, stations) as (pid, port):
        before_kb = resident_kb(pid)
        with load_generator(port, stations) as (told, load):
            connected = Connected(
                contender=contender.name,
                stations=stations,
                seconds=told["seconds"],
                kb_each=(resident_kb(pid) - before_kb) / stations,
            )
            results = [
                _run(load, contender, pid, stations=stations, action=action, seconds=seconds)
                for action in ACTIONS
            ]
        return connected, results


def _run(
    load: "subprocess.Popen[str]",
    contender: Contender,
    pid: int,
    *,
    stations: int,
    action: str,
    seconds: float,
) -> Measured:
    ours = (pid, load.pid, os.getpid())
    _send(load, f"run {action} {seconds}")
    _hear(load)
    server_s, ours_s, machine_s = cpu_seconds(pid), sum(map(cpu_seconds, ours)), busy_seconds()
    _hear(load)
    server_s = cpu_seconds(pid) - server_s
    ours_s = sum(map(cpu_seconds, ours)) - ours_s
    machine_s = busy_seconds() - machine_s
    told = _hear(load)
    return Measured(
        contender=contender.name,
        stations=stations,
        action=action,
        per_second=told["answers"] / told["seconds"],
        per_cpu_second=told["answers"] / server_s,
        other_cores=max(0.0, machine_s - ours_s) / told["seconds"],
        p50_ms=told["p50_ms"],
        p99_ms=told["p99_ms"],
        errors=int(told["errors"]),
    )


@contextlib.contextmanager
def load_generator(
    port: int, stations: int
) -> Iterator[tuple[dict[str, Any], "subprocess.Popen[str]"]]:
    """Run the generator on the other core; yields what it said when all were connected."""
    command = [sys.executable, "-m", "tests.bench.load", str(port), "/", str(stations)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as load:
        try:
            pin(load.pid, LOAD_CORE)
            yield _hear(load), load
            _send(load, "quit")
        finally:
            load.kill()


def _send(load: "subprocess.Popen[str]", command: str) -> None:
    assert load.stdin is not None
    load.stdin.write(command + "\n")
    load.stdin.flush()


def _hear(load: "subprocess.Popen[str]") -> dict[str, Any]:
    assert load.stdout is not None
    line = load.stdout.readline()
    if not line:
        raise RuntimeError(f"the load generator ended with {load.wait()}")
    answer: dict[str, Any] = json.loads(line)
    return answer


def resident_kb(pid: int) -> int:
    """Return a process's resident memory."""
    with Path(f"/proc/{pid}/status").open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def cpu_seconds(pid: int) -> float:
    """Return the CPU time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def busy_seconds() -> float:
    """Return the CPU time that all processes of the machine have used."""
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) / TICKS_PER_S
