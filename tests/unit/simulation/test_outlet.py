"""An outlet shows what really flows, at the box and on the grid."""

import pytest

from parkade.simulation.car import CITY_CAR, SALOON, Car
from parkade.simulation.outlet import Outlet
from shared.contracts.evse import EvseState
from shared.units import Phase, PhaseAmps


def charging(outlet: Outlet, car: Car, offered_a: float = 16.0) -> Outlet:
    outlet.plug(car)
    outlet.offer(offered_a)
    for _ in range(300):
        outlet.step(0.1)
    return outlet


def test_states_follow_the_control_pilot() -> None:
    outlet = Outlet("a")
    assert outlet.state is EvseState.A
    outlet.plug(Car())
    assert outlet.state is EvseState.B
    outlet.offer(16)
    for _ in range(100):
        outlet.step(0.1)
    assert outlet.state is EvseState.C
    outlet.fault = "ground fault"
    assert outlet.state is EvseState.F
    outlet.fault = None
    outlet.unplug()
    assert outlet.state is EvseState.A


def test_a_one_phase_car_uses_the_first_phase_of_the_box() -> None:
    outlet = charging(Outlet("a", max_a=32), Car(CITY_CAR))
    assert outlet.current_a == PhaseAmps(l1=16, l2=0, l3=0)


def test_rotation_says_which_grid_phase_that_is() -> None:
    rotated = Outlet("a", rotation=(Phase.L2, Phase.L3, Phase.L1))
    assert charging(rotated, Car(CITY_CAR)).grid_amps() == (0, 16, 0)


def test_a_box_never_offers_more_than_its_cable_or_less_than_six_ampere() -> None:
    outlet = Outlet("a", max_a=16)
    outlet.offer(32)
    assert outlet.offered_a == 16
    outlet.offer(5.9)
    assert outlet.offered_a == 0


def test_energy_is_current_times_time() -> None:
    outlet = Outlet("a")
    outlet.plug(Car(SALOON, reaction_s=0, ramp_a_per_s=1000, charge=0.1))
    outlet.offer(10)
    for _ in range(36_000):
        outlet.step(0.1)
    assert outlet.energy_wh == pytest.approx(10 * 3 * 230, rel=0.001)


def test_unplugging_ends_the_current_at_once() -> None:
    outlet = charging(Outlet("a"), Car())
    outlet.unplug()
    assert outlet.current_a == PhaseAmps(l1=0, l2=0, l3=0)


def test_only_one_live_phase_means_current_on_one_phase() -> None:
    outlet = Outlet("a")
    outlet.live_phases = 1
    assert charging(outlet, Car(SALOON)).current_a == PhaseAmps(l1=16, l2=0, l3=0)
