"""Credits: what is owed grows by what is deserved and falls by what is given."""

import numpy as np
import pytest

from loadmgr.domain.turns import LONGEST_STEP_S, MIN_OFF_S, MIN_ON_S, MOST_S, Turns

MIN_A = np.full(2, 6.0)
BOTH = np.ones(2, dtype=bool)


def noted(turns: Turns, given_a: tuple[float, float], now_s: float, share_a: float = 5.5) -> Turns:
    turns.note(
        wants=BOTH,
        deserved_a=np.full(2, share_a),
        given_a=np.array(given_a),
        min_a=MIN_A,
        now_s=now_s,
    )
    return turns


def owed(turns: Turns, now_s: float) -> list[float]:
    return turns.owed_s(MIN_A, now_s).tolist()


def test_the_first_decision_owes_nothing() -> None:
    assert owed(noted(Turns.of("ab"), (11, 0), 100.0), 100.0) == [0.0, 0.0]


def test_what_one_has_too_much_the_other_is_owed() -> None:
    turns = noted(Turns.of("ab"), (11, 0), 100.0)
    # 5.5 A for 12 s are 11 s of 6 A
    assert owed(turns, 112.0) == pytest.approx([-11.0, 11.0])
    assert owed(noted(turns, (0, 11), 112.0), 124.0) == pytest.approx([0.0, 0.0])


def test_long_silence_is_not_reckoned() -> None:
    turns = noted(Turns.of("ab"), (11, 0), 100.0)
    assert owed(turns, 10_000.0) == pytest.approx(
        [-5.5 * LONGEST_STEP_S / 6, 5.5 * LONGEST_STEP_S / 6]
    )
    assert owed(turns, 50.0) == [0.0, 0.0], "a clock that goes back gives nothing"


def test_debts_are_bounded() -> None:
    turns = Turns.of("ab")
    for second in range(0, 4_000, 50):
        noted(turns, (32, 0), float(second), share_a=16.0)
    assert owed(turns, 3_950.0) == [-MOST_S, MOST_S]


def test_who_wants_nothing_is_owed_nothing() -> None:
    turns = noted(Turns.of("ab"), (11, 0), 100.0)
    turns.note(
        wants=np.array([True, False]),
        deserved_a=np.zeros(2),
        given_a=np.zeros(2),
        min_a=MIN_A,
        now_s=112.0,
    )
    assert owed(turns, 112.0) == pytest.approx([-11.0, 0.0])


def test_who_has_begun_stays_and_who_was_stopped_waits() -> None:
    turns = noted(Turns.of("ab"), (11, 0), 100.0)
    assert turns.must_stay_on(100.0 + MIN_ON_S - 1).tolist() == [True, False]
    assert turns.must_stay_on(100.0 + MIN_ON_S).tolist() == [False, False]
    assert turns.may_begin(100.0).tolist() == [True, True], "a new one begins at once"
    noted(turns, (0, 11), 500.0)
    assert turns.may_begin(500.0 + MIN_OFF_S - 1).tolist() == [False, True]
    assert turns.may_begin(500.0 + MIN_OFF_S).tolist() == [True, True]


def test_a_changed_site_keeps_what_is_owed() -> None:
    turns = noted(Turns.of(("a", "b")), (11, 0), 100.0)
    changed = Turns.of(("b", "c"), turns)
    assert owed(changed, 112.0) == pytest.approx([11.0, 0.0])
    assert changed.is_on.tolist() == [False, False]
    assert Turns.of((), turns).ids == ()
