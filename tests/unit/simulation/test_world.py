"""The world adds currents up the tree of circuits and keeps the peaks."""

import pytest

from parkade.simulation.car import CITY_CAR, Car
from parkade.simulation.outlet import Outlet
from parkade.simulation.world import World
from shared.units import Phase, PhaseAmps


def run(world: World, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        world.step(0.1)


def test_currents_add_up_to_the_root_with_base_load_and_rotation() -> None:
    world = World(circuits={"grid": None, "row": "grid"})
    first = world.add(Outlet("a", circuit="row"))
    second = world.add(Outlet("b", circuit="row", rotation=(Phase.L2, Phase.L3, Phase.L1)))
    world.set_base_load("grid", l1=1, l2=2, l3=3)
    world.set_base_load("row", l1=0.5, l2=0, l3=0)
    for outlet in (first, second):
        outlet.plug(Car(CITY_CAR))
        outlet.offer(10)
    run(world, 20)
    assert world.current_a("row") == PhaseAmps(l1=10.5, l2=10, l3=0)
    assert world.current_a("grid") == PhaseAmps(l1=11.5, l2=12, l3=3)


def test_the_peak_outlives_the_current() -> None:
    world = World()
    outlet = world.add(Outlet("a"))
    outlet.plug(Car())
    outlet.offer(16)
    run(world, 20)
    outlet.offer(0)
    run(world, 5)
    assert world.current_a("grid") == PhaseAmps(l1=0, l2=0, l3=0)
    assert world.peak_a("grid") == PhaseAmps(l1=16, l2=16, l3=16)
    world.forget_peaks()
    assert world.peak_a("grid") == PhaseAmps(l1=0, l2=0, l3=0)


def test_solar_power_is_counted_as_export() -> None:
    world = World()
    world.set_base_load("grid", l1=-10, l2=-10, l3=-10)
    run(world, 3600)
    imported, exported = world.energy_wh("grid")
    assert imported == 0
    assert exported == pytest.approx(6_900)


def test_an_outlet_needs_a_circuit_that_exists() -> None:
    with pytest.raises(ValueError, match="no circuit cellar"):
        World().add(Outlet("a", circuit="cellar"))
