"""A simulated car behaves as IEC 61851-1 and real chargers do."""

import pytest

from parkade.simulation.car import FLEET, HATCHBACK_22KW, SALOON, Car, CarModel


def drive(car: Car, seconds: float, offered_a: float) -> None:
    for _ in range(round(seconds * 10)):
        car.step(0.1, offered_a)


def test_it_reaches_the_offer_and_never_exceeds_it() -> None:
    car = Car(SALOON, seed=3)
    for _ in range(600):
        car.step(0.1, 10.0)
        assert car.current_a <= 10.0
    assert car.current_a == 10.0


@pytest.mark.parametrize("seed", range(20))
def test_a_lowered_offer_is_obeyed_within_five_seconds(seed: int) -> None:
    car = Car(CarModel(name="any", battery_wh=80_000, max_a=32), seed=seed)
    drive(car, 30, 32)
    assert car.current_a == 32
    drive(car, 5.0, 6)
    assert car.current_a <= 6


@pytest.mark.parametrize("seed", range(20))
def test_it_stops_within_three_seconds_when_the_offer_is_withdrawn(seed: int) -> None:
    car = Car(seed=seed, ramp_a_per_s=0.5)
    drive(car, 60, 16)
    drive(car, 3.0, 0)
    assert car.current_a == 0


def test_it_reacts_only_after_its_delay() -> None:
    car = Car(reaction_s=1.5)
    drive(car, 1.4, 16)
    assert car.current_a == 0
    drive(car, 0.2, 16)
    assert car.current_a >= 6


def test_below_its_minimum_it_draws_nothing() -> None:
    for model in FLEET:
        car = Car(model)
        drive(car, 20, model.min_a - 0.1)
        assert car.current_a == 0


def test_nothing_between_zero_and_the_minimum_is_ever_drawn() -> None:
    car = Car(HATCHBACK_22KW, ramp_a_per_s=0.5, reaction_s=0.5)
    for _ in range(200):
        car.step(0.1, 32.0)
        assert car.current_a == 0 or car.current_a >= 8


def test_it_tapers_near_the_end_and_stops_when_full() -> None:
    car = Car(CarModel(name="tiny", battery_wh=1_000), charge=0.9)
    highest = 0.0
    for _ in range(60_000):
        car.step(0.1, 16)
        highest = max(highest, car.current_a)
        if car.charge > 0.98:
            assert car.current_a < highest
    assert car.is_full
    assert car.current_a == 0


def test_the_same_seed_is_the_same_car() -> None:
    one, other, different = Car(seed=7), Car(seed=7), Car(seed=8)
    for car in (one, other, different):
        drive(car, 3, 16)
    assert one.current_a == other.current_a
    assert one.reaction_s != different.reaction_s
