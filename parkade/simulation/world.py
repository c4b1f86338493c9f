"""The world: outlets on circuits, base load, a clock. Keeps what really flowed, and the most."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from parkade.simulation.outlet import Outlet
from shared.clock import SYSTEM_CLOCK, Clock
from shared.units import NOMINAL_VOLTAGE_V, PhaseAmps

STEP_S = 0.1
HISTORY_LENGTH = 36_000
"""One hour of steps."""

Amps3 = tuple[float, float, float]
StepListener = Callable[[float], None]


def _phase_amps(amps: Amps3) -> PhaseAmps:
    return PhaseAmps(l1=amps[0], l2=amps[1], l3=amps[2])


def _plus(one: Amps3, other: Amps3) -> Amps3:
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2])


@dataclass
class WorldCircuit:
    """A fuse, and what flowed through it."""

    id: str
    parent: str | None = None
    base_load: Amps3 = (0.0, 0.0, 0.0)
    """Other consumers here; negative = solar power fed in."""
    amps: Amps3 = (0.0, 0.0, 0.0)
    peak: Amps3 = (0.0, 0.0, 0.0)
    import_wh: float = 0.0
    export_wh: float = 0.0
    history: deque[tuple[float, Amps3]] = field(
        default_factory=lambda: deque(maxlen=HISTORY_LENGTH)
    )

    def record(self, now_s: float, dt_s: float) -> None:
        """Keep what flows now."""
        one, two, three = zip(self.peak, self.amps, strict=True)
        self.peak = (max(one), max(two), max(three))
        self.history.append((now_s, self.amps))
        energy_wh = sum(self.amps) * NOMINAL_VOLTAGE_V * dt_s / 3600
        self.import_wh += max(energy_wh, 0.0)
        self.export_wh += max(-energy_wh, 0.0)


class World:
    """Everything physical. Steps every 100 ms while ``run`` runs, or when a test calls ``step``."""

    def __init__(
        self, *, circuits: dict[str, str | None] | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.clock = clock
        self.outlets: dict[str, Outlet] = {}
        self.now_s = 0.0
        """Simulated seconds since the beginning."""
        parents = circuits or {"grid": None}
        self._circuits = {name: WorldCircuit(name, parent) for name, parent in parents.items()}
        self._listeners: list[StepListener] = []

    def add(self, outlet: Outlet) -> Outlet:
        """Put an outlet into the world. Its circuit must exist."""
        if outlet.circuit not in self._circuits:
            raise ValueError(f"outlet {outlet.id}: there is no circuit {outlet.circuit}")
        if outlet.id in self.outlets:
            raise ValueError(f"there is an outlet {outlet.id} already")
        self.outlets[outlet.id] = outlet
        return outlet

    def on_step(self, listener: StepListener) -> Callable[[], None]:
        """Call ``listener`` with the seconds of every step; returns how to stop that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def set_base_load(self, circuit: str, *, l1: float, l2: float, l3: float) -> None:
        """Let other consumers of a circuit draw these currents, in ampere."""
        self._circuits[circuit].base_load = (l1, l2, l3)

    def step(self, dt_s: float) -> None:
        """Let time pass: boxes decide, cars follow, fuses are measured."""
        self.now_s += dt_s
        for listener in tuple(self._listeners):
            listener(dt_s)
        for circuit in self._circuits.values():
            circuit.amps = circuit.base_load
        for outlet in self.outlets.values():
            outlet.step(dt_s)
            self._load(outlet.circuit, outlet.grid_amps())
        for circuit in self._circuits.values():
            if circuit.parent is not None:
                self._load(circuit.parent, circuit.base_load)
            circuit.record(self.now_s, dt_s)

    def _load(self, name: str | None, amps: Amps3) -> None:
        """Add a current to a circuit and to everything above it."""
        while name is not None:
            circuit = self._circuits[name]
            circuit.amps = _plus(circuit.amps, amps)
            name = circuit.parent

    async def run(self, *, factor: float = 1.0) -> None:
        """Step in real time, for ever. ``factor`` simulated seconds pass in a real one."""
        last_s = self.clock.monotonic()
        while True:
            await asyncio.sleep(STEP_S)
            now_s = self.clock.monotonic()
            self.step((now_s - last_s) * factor)
            last_s = now_s

    def current_a(self, circuit: str) -> PhaseAmps:
        """Return what flows through a circuit now, per grid phase."""
        return _phase_amps(self._circuits[circuit].amps)

    def peak_a(self, circuit: str) -> PhaseAmps:
        """Return the most that ever flowed through a circuit, per grid phase."""
        return _phase_amps(self._circuits[circuit].peak)

    def history(self, circuit: str) -> list[tuple[float, PhaseAmps]]:
        """Return (simulated second, current) of the last 36,000 steps."""
        return [(at_s, _phase_amps(amps)) for at_s, amps in self._circuits[circuit].history]

    def energy_wh(self, circuit: str) -> tuple[float, float]:
        """Return what a circuit imported and exported so far."""
        measured = self._circuits[circuit]
        return measured.import_wh, measured.export_wh

    def forget_peaks(self) -> None:
        """Measure the peaks anew from now on."""
        for circuit in self._circuits.values():
            circuit.peak = circuit.amps
            circuit.history.clear()
