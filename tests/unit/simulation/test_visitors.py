"""Drivers of the demo come, show their cards, and go."""

import asyncio

import pytest

from parkade.simulation.outlet import Outlet
from parkade.simulation.visitors import Habits, household, visitors
from parkade.simulation.world import World
from tests.conditions import eventually

HASTY = Habits(
    tokens=("CARD",),
    first_arrival_s=(0, 0.001),
    stay_s=(0.01, 0.02),
    empty_s=(0.01, 0.02),
    card_after_s=(0, 0.001),
)


@pytest.mark.parametrize(("shows_card", "token"), [(True, "CARD"), (False, None)])
async def test_they_come_and_go(shows_card: bool, token: str | None) -> None:
    outlet = Outlet("bay")
    day = asyncio.create_task(visitors(outlet, HASTY, seed="s", shows_card=shows_card))
    first = await eventually(lambda: outlet.car, every_s=0.001)
    await eventually(lambda: outlet.car not in {None, first}, every_s=0.001, claim="the next one")
    assert outlet.token == token
    day.cancel()
    with pytest.raises(asyncio.CancelledError):
        await day


async def test_the_base_load_stays_within_its_bounds() -> None:
    world = World()
    home = asyncio.create_task(household(world, "grid", upto_a=8, seed="s"))
    await asyncio.sleep(0)
    world.step(0.1)
    assert all(0 < current <= 8 for current in world.current_a("grid").known)
    home.cancel()
    with pytest.raises(asyncio.CancelledError):
        await home
