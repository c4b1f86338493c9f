"""Drivers: they arrive, plug in, show a card where one is wanted, and leave again."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

from parkade.simulation.car import FLEET, Car
from parkade.simulation.outlet import Outlet
from parkade.simulation.world import World


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How busy a garage is. Durations are in seconds, each drawn between its two ends."""

    tokens: Sequence[str] = ("DEMO-CARD-1",)
    first_arrival_s: tuple[float, float] = (2.0, 30.0)
    stay_s: tuple[float, float] = (180.0, 900.0)
    empty_s: tuple[float, float] = (20.0, 120.0)
    card_after_s: tuple[float, float] = (1.0, 4.0)


async def visitors(outlet: Outlet, habits: Habits, *, seed: str, shows_card: bool) -> None:
    """Let one driver after another use an outlet, for ever. The same seed, the same day."""
    chance = random.Random(seed)  # noqa: S311 - variety, not secrecy
    await asyncio.sleep(chance.uniform(*habits.first_arrival_s))
    while True:
        model = chance.choice(FLEET)
        car = Car(model, charge=chance.uniform(0.15, 0.8), seed=chance.randrange(2**31))
        outlet.plug(car)
        if shows_card:
            await asyncio.sleep(chance.uniform(*habits.card_after_s))
            outlet.swipe(chance.choice(habits.tokens))
        await asyncio.sleep(chance.uniform(*habits.stay_s))
        outlet.unplug()
        await asyncio.sleep(chance.uniform(*habits.empty_s))


async def household(world: World, circuit: str, *, upto_a: float, seed: str) -> None:
    """Let lifts, light and ventilation draw a changing current on a circuit, for ever."""
    chance = random.Random(seed)  # noqa: S311 - variety, not secrecy
    amps = [upto_a * chance.uniform(0.2, 0.6) for _ in range(3)]
    while True:
        amps = [min(upto_a, max(0.0, a + chance.uniform(-0.1, 0.1) * upto_a)) for a in amps]
        world.set_base_load(circuit, l1=amps[0], l2=amps[1], l3=amps[2])
        await asyncio.sleep(chance.uniform(2.0, 6.0))
