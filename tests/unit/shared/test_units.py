"""Rounding: always down, always exact."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from shared.units import Phase, PhaseAmps, floor_to


@given(st.floats(0, 1000), st.sampled_from([0.1, 0.5, 1.0, 2.0]))
def test_floor_never_exceeds_what_was_granted_and_loses_less_than_a_step(
    value: float, step: float
) -> None:
    floored = floor_to(value, step)
    assert floored <= value
    assert Decimal(repr(value)) - Decimal(repr(floored)) < Decimal(repr(step))


def test_floor_has_no_float_noise() -> None:
    assert floor_to(10.25, 0.1) == 10.2
    assert floor_to(8.1, 0.1) == 8.1
    assert floor_to(13.000000001, 0.1) == 13.0


def test_unknown_current_stays_unknown() -> None:
    amps = PhaseAmps(l1=1.0, l3=0.0)
    assert amps.on(Phase.L2) is None
    assert amps.known == (1.0, 0.0)
