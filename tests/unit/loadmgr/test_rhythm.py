"""When decisions are made."""

import pytest

from loadmgr.domain.rhythm import ALMOST_A_TICK_S, DEBOUNCE_S, SETTLE_S, Haste, Rhythm


def running(now_s: float = 100.0) -> Rhythm:
    """An instance that has been active for a while and has just decided."""
    rhythm = Rhythm()
    rhythm.tick(now_s - 4.0)
    rhythm.tick(now_s)
    rhythm.decided(now_s)
    return rhythm


def test_the_first_tick_is_a_cold_start_and_the_next_is_not() -> None:
    rhythm = Rhythm()
    assert rhythm.tick(0.0)
    assert not rhythm.tick(1.0)


def test_ticks_missing_for_long_are_a_cold_start() -> None:
    rhythm = running()
    assert rhythm.tick(105.5)
    assert rhythm.pause_s(105.5) is None


def test_nothing_is_decided_before_facts_are_in() -> None:
    rhythm = Rhythm()
    assert rhythm.pause_s(0.0) is None
    rhythm.tick(0.0)
    rhythm.hurry(Haste.NOW)
    assert rhythm.pause_s(SETTLE_S - 0.1) is None
    rhythm.tick(SETTLE_S)
    assert rhythm.pause_s(SETTLE_S) == 0.0


def test_without_anything_important_once_a_second() -> None:
    rhythm = running()
    assert rhythm.pause_s(100.5) is None
    assert rhythm.pause_s(101.0) == 0.0


def test_what_may_exceed_a_limit_waits_no_longer_than_the_debounce() -> None:
    rhythm = running()
    rhythm.hurry(Haste.NOW)
    assert rhythm.pause_s(100.0) == 0.0, "the last decision was made because it was time"
    rhythm.decided(100.0)
    rhythm.hurry(Haste.NOW)
    assert rhythm.pause_s(100.0) == pytest.approx(DEBOUNCE_S)
    assert rhythm.pause_s(100.5) == 0.0


def test_what_may_be_given_waits_until_a_second_has_passed() -> None:
    rhythm = running()
    rhythm.hurry(Haste.SOON)
    assert rhythm.pause_s(100.5) == ALMOST_A_TICK_S - 0.5
    rhythm.hurry(Haste.NONE)
    assert rhythm.pause_s(101.0) == 0.0
    rhythm.hurry(Haste.NOW)
    rhythm.hurry(Haste.SOON)
    assert rhythm.pause_s(100.5) == 0.0, "the greater haste counts"
    rhythm.decided(100.5)
    assert rhythm.pause_s(100.6) is None


def test_who_hears_no_ticks_decides_nothing() -> None:
    rhythm = running()
    rhythm.hurry(Haste.NOW)
    assert rhythm.pause_s(106.0) is None
