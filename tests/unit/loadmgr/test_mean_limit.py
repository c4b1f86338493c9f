"""The mean power of quarter hours: by hand, and followed by cars that need 6 s."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.domain.mean_limit import QUARTER_S, MeanRecord

LIMIT_W = 9_000.0
FOLLOW_S = 6


def drawn(*parts: tuple[float, int]) -> MeanRecord:
    """A quarter that began with so many W for so many s each, sampled every second."""
    record, now_s = MeanRecord(), 0
    for power_w, seconds in parts:
        for _ in range(seconds):
            record.add(power_w, LIMIT_W, float(now_s))
            now_s += 1
    record.add(parts[-1][0], LIMIT_W, float(now_s))
    return record


def test_a_quarter_begins_a_little_below_the_limit() -> None:
    expected_w = LIMIT_W - 8 * LIMIT_W / 840
    assert MeanRecord().allowed_w(LIMIT_W, 0.0) == pytest.approx(expected_w)


def test_what_was_saved_is_spread_over_the_rest() -> None:
    record = drawn((0.0, 300))
    expected_w = LIMIT_W + (300 - 8) * LIMIT_W / (600 - 60)
    assert record.allowed_w(LIMIT_W, 300.0) == pytest.approx(expected_w)


def test_what_was_too_much_is_saved_again() -> None:
    record = drawn((1.1 * LIMIT_W, 300))
    expected_w = LIMIT_W + (-30 - 8) * LIMIT_W / (600 - 60)
    assert record.allowed_w(LIMIT_W, 300.0) == pytest.approx(expected_w)


def test_so_much_too_much_that_other_consumers_may_need_the_rest_leaves_nothing() -> None:
    assert drawn((1.3 * LIMIT_W, 300)).allowed_w(LIMIT_W, 300.0) == 0.0


def test_the_last_minute_uses_nothing_up() -> None:
    record = drawn((0.0, 860))
    assert record.allowed_w(LIMIT_W, 860.0) == LIMIT_W


def test_without_a_reserve_the_end_leaves_room_for_others() -> None:
    record = drawn((LIMIT_W, 880))
    assert record.allowed_w(LIMIT_W, 880.0) == pytest.approx(20 * 0.1 * LIMIT_W / 8)


def test_nothing_is_left_of_a_quarter_that_is_used_up() -> None:
    assert drawn((3 * LIMIT_W, 310)).allowed_w(LIMIT_W, 310.0) == 0.0


def test_after_a_start_the_limit_counts_as_drawn() -> None:
    record = MeanRecord()
    expected_w = LIMIT_W - 8 * LIMIT_W / (450 - 60)
    assert record.allowed_w(LIMIT_W, 450.0) == pytest.approx(expected_w)
    assert record.used_ws == 450 * LIMIT_W


def test_a_new_quarter_begins_with_nothing() -> None:
    record = drawn((3 * LIMIT_W, 899))
    record.add(0.0, LIMIT_W, 905.0)
    assert record.used_ws == pytest.approx(5 * 3 * LIMIT_W), "the higher of two readings counts"
    assert record.quarter == 1


def test_of_a_gap_at_least_the_limit_counts() -> None:
    record = drawn((1_000.0, 10))
    record.add(1_000.0, LIMIT_W, 30.0)
    assert record.used_ws == pytest.approx(10 * 1_000 + 20 * LIMIT_W)
    record.add(20_000.0, LIMIT_W, 40.0)
    record.add(20_000.0, LIMIT_W, 60.0)
    assert record.used_ws == pytest.approx(10 * 1_000 + 20 * LIMIT_W + 30 * 20_000)


def test_a_gap_over_the_end_of_a_quarter_counts_in_the_new_one_from_its_beginning() -> None:
    record = drawn((1_000.0, 10))
    record.add(1_000.0, LIMIT_W, 1_000.0)
    assert record.used_ws == pytest.approx(100 * LIMIT_W)


def test_what_flows_back_saves_nothing_and_no_time_passes_twice() -> None:
    record = drawn((-5_000.0, 10))
    assert record.used_ws == 0.0
    record.add(2_000.0, LIMIT_W, 5.0)
    assert record.used_ws == 0.0


def follow(uncontrolled_w: Callable[[int], float], cars_w: float, quarters: int) -> list[float]:
    """Let cars take all that is allowed: more at once, less after 6 s. Return the means."""
    record, means = MeanRecord(), []
    offers_w = [0.0] * FOLLOW_S
    used_ws = 0.0
    for second in range(int(quarters * QUARTER_S)):
        other_w = uncontrolled_w(second)
        drawn_w = max(offers_w[-FOLLOW_S:])
        used_ws += other_w + drawn_w
        record.add(other_w + drawn_w, LIMIT_W, float(second))
        allowed_w = record.allowed_w(LIMIT_W, float(second))
        offers_w.append(min(cars_w, max(0.0, allowed_w - other_w)))
        if (second + 1) % QUARTER_S == 0:
            means.append(used_ws / QUARTER_S)
            used_ws = 0.0
    return means


def jumping_load(rng: Random, *, low_s: int, high_s: int) -> list[float]:
    """Two quarters of other consumers: now hardly anything, now up to 90 % of the limit."""
    loads_w: list[float] = []
    while len(loads_w) < 2 * QUARTER_S:
        loads_w += [rng.choice([0.0, 0.2]) * LIMIT_W] * rng.randint(1, low_s)
        loads_w += [rng.choice([0.9, 0.9, rng.random() * 0.9]) * LIMIT_W] * rng.randint(1, high_s)
    return loads_w


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    low_s=st.sampled_from([1, 7, 100, 800]),
    high_s=st.sampled_from([7, 14, 60, 600]),
    cars_w=st.sampled_from([0.5, 1.0, 3.0, 15.0]),
)
def test_no_quarter_ends_above_the_limit(seed: int, low_s: int, high_s: int, cars_w: float) -> None:
    """A load that jumps up just when cars have taken what it left: each jump costs 6 s of both."""
    loads_w = jumping_load(Random(seed), low_s=low_s, high_s=high_s)
    means = follow(lambda second: loads_w[second], cars_w * LIMIT_W, 2)
    assert max(means) <= LIMIT_W


def test_a_load_that_uses_the_quarter_up_leaves_nothing_to_cars() -> None:
    """Twice the limit for one half, nothing for the other: the limit, to the last Ws."""
    means = follow(lambda second: 2 * LIMIT_W if second < 450 else 0.0, 3 * LIMIT_W, 1)
    assert means == [pytest.approx(LIMIT_W)]


def test_alone_cars_get_nearly_all_of_it() -> None:
    means = follow(lambda _: 0.0, 15 * LIMIT_W, 3)
    assert all(0.98 * LIMIT_W <= mean <= LIMIT_W for mean in means)


def test_what_was_saved_in_the_first_half_is_used_in_the_second() -> None:
    means = follow(lambda _: 0.0, 1.5 * LIMIT_W, 1)
    waiting = follow(lambda second: 0.0 if second > 300 else 0.3 * LIMIT_W, 1.5 * LIMIT_W, 1)
    assert means[0] >= 0.98 * LIMIT_W
    assert waiting[0] >= 0.98 * LIMIT_W
