"""What processes use: CPU time and memory, from /proc."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def resident_kb(pid: int) -> int:
    """Return a process's resident memory."""
    with Path(f"/proc/{pid}/status").open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def cpu_seconds(pid: int) -> float:
    """Return the CPU time a process has used, without its children."""
    return sum(_fields(pid)[11:13]) / TICKS_PER_S


def family_cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and all its children, ended ones included."""
    family, waiting = _children(), [pid]
    ticks = 0
    while waiting:
        one = waiting.pop()
        waiting += family.get(one, [])
        try:
            ticks += sum(_fields(one)[11:15])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile; its parent counts it from now on
    return ticks / TICKS_PER_S


def busy_seconds() -> float:
    """Return the CPU time that all processes of the machine have used."""
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) / TICKS_PER_S


@dataclass(frozen=True, kw_only=True)
class Used:
    """CPU time in a stretch of time."""

    seconds: float
    """How long it was."""
    cpu_s: dict[str, float]
    """By the name of the process; its children are counted with it."""
    other_cores: float
    """Cores that other processes of the machine used meanwhile: they take from the figures."""


class Meter:
    """Reads the CPU clocks of named processes, once at the beginning and once at the end."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._began = time.perf_counter()
        self._busy_s = busy_seconds()
        self._own_s = cpu_seconds(os.getpid())
        self._cpu_s = self._read()

    def used(self) -> Used:
        """Return what was used since the beginning."""
        seconds = time.perf_counter() - self._began
        cpu_s = {name: total - self._cpu_s[name] for name, total in self._read().items()}
        ours_s = sum(cpu_s.values()) + cpu_seconds(os.getpid()) - self._own_s
        others_s = max(0.0, busy_seconds() - self._busy_s - ours_s)
        return Used(seconds=seconds, cpu_s=cpu_s, other_cores=others_s / seconds)

    def _read(self) -> dict[str, float]:
        return {name: family_cpu_seconds(pid) for name, pid in self._pids.items()}


def _fields(pid: int) -> list[int]:
    """The numbers of /proc/PID/stat from the state on; 11 to 14 are the CPU times."""
    told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [0, *map(int, told[1:])]


def _children() -> dict[int, list[int]]:
    family: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                family.setdefault(_fields(int(entry.name))[1], []).append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return family
