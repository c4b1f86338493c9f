"""What else could share the same fuses: a linear program, and turns in plain Python.

Neither knows reservation, minimum currents, turns or reasons: they answer the bare question.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from shared.contracts.site import Circuit
from shared.units import PHASES
from tests.bench.loadmgr.garage import BASE_A, PHASE_INDEX, SteadyGarage

REPEATS = 5
SLICE_A = 1.0


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The rows of a garage: one for each circuit and phase."""

    room_a: list[float]
    wants_a: list[float]
    rows_of: list[list[int]]
    """Of each EVSE: the rows that its current counts in."""
    phases: list[int]


@dataclass(frozen=True, kw_only=True)
class Rival:
    """How long one solution takes, and how much current it gives."""

    median_ms: float
    phase_amps: float


def problem_of(garage: SteadyGarage) -> Problem:
    """Return the rows of a garage, without what the other consumers draw."""
    circuits = {circuit.id: circuit for circuit in garage.site.circuits}
    number = {circuit_id: index for index, circuit_id in enumerate(circuits)}
    room_a = [
        circuit.limit_a.on(phase) - (BASE_A if circuit.parent is None else 0.0)
        for circuit in circuits.values()
        for phase in PHASES
    ]
    rows_of = []
    for box, evse in zip(garage.boxes, garage.site.evses, strict=True):
        path = [number[name] for name in _path(circuits, evse.circuit)]
        phases = [PHASE_INDEX[phase] for phase in box.rotation[: box.car.phases]]
        rows_of.append([3 * circuit + phase for circuit in path for phase in phases])
    return Problem(
        room_a=room_a,
        wants_a=[box.car.wants_a for box in garage.boxes],
        rows_of=rows_of,
        phases=[box.car.phases for box in garage.boxes],
    )


def linear_program(problem: Problem) -> Rival:
    """Let HiGHS give as many ampere and phases as fit, to whomever (facts section 2.4)."""
    lengths = [len(rows) for rows in problem.rows_of]
    row = np.concatenate([np.array(rows) for rows in problem.rows_of])
    evse = np.repeat(np.arange(len(lengths)), lengths)
    shape = (len(problem.room_a), len(lengths))
    matrix = csr_array((np.ones(len(row)), (row, evse)), shape=shape)

    def solve() -> list[float]:
        bounds = np.column_stack([np.zeros(len(lengths)), problem.wants_a])
        cost = -np.array(problem.phases, dtype=float)
        solved = linprog(cost, A_ub=matrix, b_ub=problem.room_a, bounds=bounds, method="highs")
        if not solved.success:
            raise RuntimeError(f"HiGHS has not solved it: {solved.message}")
        amps: list[float] = solved.x.tolist()
        return amps

    return _timed(solve, problem)


def round_robin(problem: Problem) -> Rival:
    """Give 1 A to one after the other until nobody can take more, without arrays."""

    def share() -> list[float]:
        room_a = list(problem.room_a)
        amps = [0.0] * len(problem.wants_a)
        waiting = deque(i for i, wants_a in enumerate(problem.wants_a) if wants_a > 0)
        while waiting:
            evse = waiting.popleft()
            rows = problem.rows_of[evse]
            if any(room_a[row] < SLICE_A for row in rows):
                continue
            for row in rows:
                room_a[row] -= SLICE_A
            amps[evse] += SLICE_A
            if amps[evse] + SLICE_A <= problem.wants_a[evse]:
                waiting.append(evse)
        return amps

    return _timed(share, problem)


def _timed(solve: Callable[[], list[float]], problem: Problem) -> Rival:
    times_s = []
    amps: list[float] = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        amps = solve()
        times_s.append(time.perf_counter() - begin)
    given = sum(a * phases for a, phases in zip(amps, problem.phases, strict=True))
    return Rival(median_ms=median(times_s) * 1000, phase_amps=given)


def _path(circuits: dict[str, Circuit], circuit_id: str | None) -> list[str]:
    path = []
    while circuit_id is not None:
        path.append(circuit_id)
        circuit_id = circuits[circuit_id].parent
    return path
