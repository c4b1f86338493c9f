"""How long, and by how much, a fuse that carried too much counts less."""

from math import exp, inf, log, nan

import pytest

from loadmgr.domain.overdraft import COOL_DOWN_S, DECAY_S, WARM_S, OverdraftRecord

LIMIT_A = 100.0


def carry(record: OverdraftRecord, shown_a: float, begins_s: int, seconds: int) -> None:
    """A reading every second, the last one at the end."""
    for second in range(seconds + 1):
        record.add(shown_a, LIMIT_A, float(begins_s + second))


def test_nothing_seen_counts_nothing_less() -> None:
    assert OverdraftRecord().less_a(0.0) == 0.0


def test_up_to_the_limit_nothing_happens() -> None:
    record = OverdraftRecord()
    carry(record, LIMIT_A, 0, 3_600)
    assert record.less_a(3_600.0) == 0.0


def test_an_excess_while_cars_follow_is_no_overdraft() -> None:
    record = OverdraftRecord()
    carry(record, 108.0, 0, 10)
    carry(record, 90.0, 11, 10)
    carry(record, 108.0, 21, 10)
    assert record.less_a(31.0) == 0.0


def test_an_excess_that_stays_counts_as_it_is_after_the_time_of_reaction() -> None:
    record = OverdraftRecord()
    carry(record, 108.0, 0, 5)
    carry(record, 104.0, 6, 5)
    assert record.less_a(11.0) == pytest.approx(4.0)


def test_a_large_jump_that_cars_answer_in_time_costs_nothing_afterwards() -> None:
    record = OverdraftRecord()
    carry(record, 140.0, 0, 10)
    record.add(90.0, LIMIT_A, 11.0)
    assert record.less_a(11.0) == 0.0


def test_what_may_trip_the_breaker_counts_at_once() -> None:
    record = OverdraftRecord()
    record.add(145.0, LIMIT_A, 0.0)
    assert record.less_a(0.0) == 0.0
    record.add(146.0, LIMIT_A, 1.0)
    assert record.less_a(1.0) == pytest.approx(20.0)


def test_a_fifth_of_the_limit_is_the_most() -> None:
    record = OverdraftRecord()
    record.add(190.0, LIMIT_A, 0.0)
    assert record.less_a(0.0) == pytest.approx(20.0)


def test_after_five_minutes_the_limit_returns_at_once() -> None:
    record = OverdraftRecord()
    carry(record, 112.0, 89, 11)
    record.add(95.0, LIMIT_A, 101.0)
    assert record.less_a(100.0 + COOL_DOWN_S) == pytest.approx(12.0)
    assert record.less_a(100.1 + COOL_DOWN_S) == 0.0


def test_a_smaller_overdraft_while_cooling_down_begins_it_anew_with_the_higher_excess() -> None:
    record = OverdraftRecord()
    carry(record, 115.0, 0, 11)
    record.add(90.0, LIMIT_A, 12.0)
    carry(record, 111.0, 200, 11)
    record.add(90.0, LIMIT_A, 212.0)
    assert record.less_a(211.0 + COOL_DOWN_S) == pytest.approx(15.0)
    assert record.less_a(211.1 + COOL_DOWN_S) == 0.0


def test_the_next_overdraft_is_measured_by_itself() -> None:
    record = OverdraftRecord()
    carry(record, 115.0, 0, 11)
    record.add(90.0, LIMIT_A, 12.0)
    carry(record, 111.0, 400, 11)
    assert record.less_a(411.0) == pytest.approx(11.0)


def test_heat_is_excess_squared_times_time_and_decays() -> None:
    record = OverdraftRecord()
    record.add(130.0, LIMIT_A, 0.0)
    record.add(90.0, LIMIT_A, 10.0)
    assert record.heat_s == pytest.approx(0.3**2 * 10)
    record.add(90.0, LIMIT_A, 610.0)
    assert record.heat_s == pytest.approx(0.9 * exp(-1))


def test_many_overdrafts_lengthen_the_pause() -> None:
    """Six times 30 s at 1.25 times the limit within an hour."""
    record = OverdraftRecord()
    for number in range(6):
        carry(record, 125.0, 600 * number, 30)
        record.add(90.0, LIMIT_A, 600.0 * number + 31)
    once_s = 31 * 0.25**2
    heat_s = sum(once_s * exp(-600 * number / DECAY_S) for number in range(6))
    lasts_s = DECAY_S * log(heat_s / WARM_S)
    assert record.less_a(3_031 + lasts_s - 15) == pytest.approx(20.0)
    assert record.less_a(3_031 + lasts_s + 15) == 0.0
    assert lasts_s > 2 * COOL_DOWN_S, "the model is worth having"


def test_a_small_overdraft_alone_leaves_no_heat_that_counts() -> None:
    record = OverdraftRecord()
    carry(record, 113.0, 0, 30)
    assert record.heat_s < WARM_S


def test_a_silent_meter_heats_for_a_while_only() -> None:
    record = OverdraftRecord()
    record.add(150.0, LIMIT_A, 0.0)
    record.add(90.0, LIMIT_A, 1_000.0)
    assert record.heat_s == pytest.approx(0.5**2 * 10)


@pytest.mark.parametrize("shown_a", [nan, inf, -inf])
def test_what_cannot_be_read_changes_nothing(shown_a: float) -> None:
    record = OverdraftRecord()
    record.add(shown_a, LIMIT_A, 0.0)
    assert record == OverdraftRecord()


@pytest.mark.parametrize("shown_a", [65_535.0, 3.4e38, 1e200])
def test_a_reading_of_no_fuse_heats_it_for_a_while_only(shown_a: float) -> None:
    record = OverdraftRecord()
    record.add(shown_a, LIMIT_A, 0.0)
    record.add(90.0, LIMIT_A, 10.0)
    assert record.less_a(1_800.0) > 0
    assert record.less_a(3_600.0) == 0.0


def test_an_older_reading_changes_nothing() -> None:
    record = OverdraftRecord()
    record.add(90.0, LIMIT_A, 10.0)
    record.add(190.0, LIMIT_A, 5.0)
    assert record.less_a(10.0) == 0.0


def test_a_fuse_of_nothing_has_nothing_to_lose() -> None:
    record = OverdraftRecord()
    carry(record, 5.0, 0, 20)
    assert record.less_a(20.0) == 0.0


def test_export_is_no_overdraft() -> None:
    record = OverdraftRecord()
    carry(record, -150.0, 0, 20)
    assert record.less_a(20.0) == 0.0
