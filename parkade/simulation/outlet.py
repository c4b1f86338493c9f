"""An outlet: where a car meets a box. What flows here is the truth that tests measure."""

from collections.abc import Sequence

from parkade.simulation.car import Car
from shared.contracts.evse import EvseState
from shared.units import MINIMUM_CHARGING_A, NOMINAL_VOLTAGE_V, PHASES, Phase, PhaseAmps


class Outlet:
    """One socket or cable, with a meter, wired to a circuit."""

    def __init__(
        self,
        outlet_id: str,
        *,
        circuit: str = "grid",
        phases: int = 3,
        rotation: Sequence[Phase] = PHASES,
        max_a: float = 32.0,
    ) -> None:
        self.id = outlet_id
        self.circuit = circuit
        self.phases = phases
        """How many are wired."""
        self.live_phases = phases
        """How many are switched on: a box that can switch sets 1 or 3."""
        self.rotation = tuple(rotation)
        """Grid phase at the box's own L1, L2, L3."""
        self.max_a = max_a
        self.energy_wh = 0.0
        """Import register of the meter."""
        self.offered_a = 0.0
        self.car: Car | None = None
        self.token: str | None = None
        """The last RFID shown to the reader."""
        self.swipes = 0
        """How often a card was shown."""
        self.fault: str | None = None

    def plug(self, car: Car) -> None:
        """Plug a car in."""
        if self.car is not None:
            raise ValueError(f"outlet {self.id} is taken")
        self.car = car

    def unplug(self) -> Car:
        """Take the car out; what flowed ends at once."""
        if self.car is None:
            raise ValueError(f"no car at outlet {self.id}")
        car, self.car = self.car, None
        car.current_a = 0.0
        return car

    def swipe(self, token: str) -> None:
        """Show an RFID card to the reader."""
        self.token = token
        self.swipes += 1

    def offer(self, limit_a: float) -> None:
        """Offer the car a current (control pilot). Below 6 A there is no such offer: 0."""
        capped_a = min(limit_a, self.max_a)
        self.offered_a = capped_a if capped_a >= MINIMUM_CHARGING_A else 0.0

    def step(self, dt_s: float) -> None:
        """Let time pass for the car and the meter."""
        if self.car is None:
            return
        phases = min(self.live_phases, self.phases)
        self.car.step(dt_s, 0.0 if self.fault else self.offered_a, phases=phases)
        self.energy_wh += self.power_w * dt_s / 3600

    @property
    def state(self) -> EvseState:
        """IEC 61851-1 state of the control pilot."""
        if self.fault:
            return EvseState.F
        if self.car is None:
            return EvseState.A
        drawing = self.car.current_a > 0
        return EvseState.C if drawing else EvseState.B

    @property
    def amps(self) -> tuple[float, float, float]:
        """What really flows at the box's own L1, L2, L3. A one-phase car uses L1."""
        if self.car is None:
            return (0.0, 0.0, 0.0)
        current_a = self.car.current_a
        rest_a = current_a if self.car.phases_used == 3 else 0.0
        return (current_a, rest_a, rest_a)

    @property
    def current_a(self) -> PhaseAmps:
        """The same as ``amps``, as it travels on the bus."""
        return PhaseAmps(l1=self.amps[0], l2=self.amps[1], l3=self.amps[2])

    @property
    def power_w(self) -> float:
        """Active power now."""
        return sum(self.amps) * NOMINAL_VOLTAGE_V

    def grid_amps(self) -> tuple[float, float, float]:
        """What really flows on the grid's L1, L2, L3, after the wiring's rotation."""
        on_grid = dict(zip(self.rotation, self.amps, strict=True))
        return (on_grid[Phase.L1], on_grid[Phase.L2], on_grid[Phase.L3])
