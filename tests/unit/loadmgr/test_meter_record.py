"""What a meter's readings say about other consumers."""

import pytest

from loadmgr.domain.meter_record import Drawn, PhaseRecord, estimate


def drawn(measured_a: float, least_a: float, most_a: float) -> Drawn:
    return Drawn(measured_a=measured_a, least_a=least_a, most_a=most_a)


@pytest.mark.parametrize(
    ("shown_a", "of_evses", "before_a", "expected_a", "because"),
    [
        (30.0, drawn(10, 10, 10), None, 20.0, "the first reading is taken as it is"),
        (30.0, drawn(10, 10, 10), 5.0, 20.0, "nothing moves, so it is exact"),
        (30.0, drawn(6, 6, 16), 15.0, 15.0, "a car that has just been raised explains it"),
        (36.0, drawn(6, 6, 16), 15.0, 20.0, "more than any car can explain"),
        (20.0, drawn(16, 6, 16), 15.0, 14.0, "less than was there before"),
        (70.0, drawn(6, 6, 16), 54.0, 64.0, "on an overloaded phase the worst is assumed"),
        (-20.0, drawn(0, 0, 0), None, 0.0, "export is no room"),
    ],
)
def test_estimate(
    shown_a: float, of_evses: Drawn, before_a: float | None, expected_a: float, because: str
) -> None:
    found = estimate(shown_a, of_evses, before_a=before_a, limit_a=63.0)
    assert found == pytest.approx(expected_a), because


def test_it_rises_at_once_and_falls_after_half_a_minute() -> None:
    phase = PhaseRecord()
    for second, amps in enumerate([5.0, 20.0, *[8.0] * 29]):
        phase.add(amps, float(second))
    assert phase.uncontrolled_a(0.0, 30.0) == 20.0
    phase.add(8.0, 31.0)
    phase.add(7.0, 32.0)
    assert phase.uncontrolled_a(0.0, 32.0) == 8.0


def test_silence_is_held_then_the_worst_seen_then_the_worst_case() -> None:
    phase = PhaseRecord()
    assert phase.is_lost(0.0)
    assert phase.uncontrolled_a(35.0, 0.0) == 35.0
    phase.add(25.0, 0.0)
    phase.add(10.0, 100.0)
    assert phase.uncontrolled_a(35.0, 110.0) == 10.0
    assert phase.uncontrolled_a(35.0, 111.0) == 25.0
    assert phase.uncontrolled_a(35.0, 161.0) == 35.0
    assert phase.uncontrolled_a(5.0, 161.0) == 25.0


def test_a_quarter_of_an_hour_later_a_peak_is_forgotten() -> None:
    phase = PhaseRecord()
    phase.add(25.0, 0.0)
    phase.add(10.0, 1_000.0)
    assert phase.uncontrolled_a(5.0, 1_200.0) == 10.0


def test_blind_to_a_car_the_maximum_of_a_quarter_hour_counts() -> None:
    phase = PhaseRecord()
    phase.add(25.0, 0.0)
    phase.add(10.0, 100.0)
    phase.is_blind = True
    assert phase.uncontrolled_a(0.0, 100.0) == 25.0
