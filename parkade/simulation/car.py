"""A car on alternating current: what it draws of what it is offered. Pure, stepped by time."""

import random
from dataclasses import dataclass
from typing import Literal

from parkade.simulation.delay import Delayed
from shared.units import MINIMUM_CHARGING_A, NOMINAL_VOLTAGE_V

LOWERED_WITHIN_S = 5.0
"""IEC 61851-1: a lowered offer is obeyed within 5 s ..."""
STOPPED_WITHIN_S = 3.0
"""... and current ends within 3 s when the offer is withdrawn."""
CHARGER_EFFICIENCY = 0.92


@dataclass(frozen=True, kw_only=True)
class CarModel:
    """A kind of car, as far as a wallbox can tell."""

    name: str
    battery_wh: float
    phases: Literal[1, 3] = 3
    min_a: float = MINIMUM_CHARGING_A
    """Below this offer it does not charge; some need 8 or 9 A."""
    max_a: float = 16.0
    tapers_from: float = 0.92
    """State of charge from which it draws less and less."""


CITY_CAR = CarModel(name="city car", battery_wh=36_000, phases=1, max_a=32)
PLUG_IN_HYBRID = CarModel(name="plug-in hybrid", battery_wh=12_000, phases=1, max_a=16)
SALOON = CarModel(name="saloon", battery_wh=77_000, phases=3, max_a=16)
HATCHBACK_22KW = CarModel(name="hatchback 22 kW", battery_wh=52_000, phases=3, max_a=32, min_a=8)
FLEET = (CITY_CAR, PLUG_IN_HYBRID, SALOON, HATCHBACK_22KW)


class Car:
    """One car with a battery. The same seed gives the same car."""

    def __init__(
        self,
        model: CarModel = SALOON,
        *,
        charge: float = 0.3,
        target_charge: float = 1.0,
        seed: int = 0,
        reaction_s: float | None = None,
        ramp_a_per_s: float | None = None,
    ) -> None:
        chance = random.Random(seed)  # noqa: S311 - variety, not secrecy
        self.model = model
        self.stored_wh = charge * model.battery_wh
        self.target_wh = target_charge * model.battery_wh
        self.current_a = 0.0
        """Drawn on each of the phases it uses."""
        self.phases_used: int = model.phases
        drawn_reaction_s, drawn_ramp = chance.uniform(0.5, 2.0), chance.uniform(2.0, 8.0)
        self.reaction_s = drawn_reaction_s if reaction_s is None else reaction_s
        self.ramp_a_per_s = drawn_ramp if ramp_a_per_s is None else ramp_a_per_s
        self._age_s = 0.0
        self._offer = Delayed(0.0, self.reaction_s)

    @property
    def charge(self) -> float:
        """State of charge, 0..1."""
        return self.stored_wh / self.model.battery_wh

    @property
    def is_full(self) -> bool:
        """It has what it wanted and draws nothing more."""
        return self.stored_wh >= self.target_wh

    def step(self, dt_s: float, offered_a: float, *, phases: int = 3) -> None:
        """Live for ``dt_s`` seconds with this offer (ampere per phase, 0 = none).

        ``phases`` is how many the outlet has live.
        """
        self.phases_used = min(self.model.phases, phases)
        self._age_s += dt_s
        self._offer.say(offered_a, self._age_s)
        wanted_a = self._wanted_a(self._offer.noticed(self._age_s))
        self.current_a = self._towards(wanted_a, dt_s)
        energy_wh = self.current_a * self.phases_used * NOMINAL_VOLTAGE_V * dt_s / 3600
        self.stored_wh = min(self.stored_wh + energy_wh * CHARGER_EFFICIENCY, self.target_wh)

    def _wanted_a(self, offered_a: float) -> float:
        model = self.model
        if self.is_full or offered_a < max(model.min_a, MINIMUM_CHARGING_A):
            return 0.0
        most_a = model.max_a
        if self.charge > model.tapers_from:
            left = (1.0 - self.charge) / (1.0 - model.tapers_from)
            most_a = model.min_a + (model.max_a - model.min_a) * left
        return min(offered_a, most_a)

    def _towards(self, wanted_a: float, dt_s: float) -> float:
        if wanted_a >= self.current_a:
            # Nothing between 0 and the minimum is drawn: the charger starts at its minimum.
            start_a = max(self.current_a, min(self.model.min_a, wanted_a))
            return min(wanted_a, start_a + self.ramp_a_per_s * dt_s)
        limit_s = LOWERED_WITHIN_S if wanted_a > 0 else STOPPED_WITHIN_S
        left_s = limit_s - (self._age_s - self._offer.said_at_s)
        if left_s <= dt_s:
            return wanted_a
        rate = max(self.ramp_a_per_s, (self.current_a - wanted_a) / left_s)
        return max(wanted_a, self.current_a - rate * dt_s)
