"""When sessions finish and which will not: worked out by hand."""

import numpy as np
import pytest

from loadmgr.domain.fill import Members
from loadmgr.domain.forecast import Sessions, outlook

HOUR = 3_600.0


def members(*pairs: tuple[int, int]) -> Members:
    """Pairs of (row, EVSE), one ampere loading the row by one."""
    row, evse = np.array(sorted(pairs), dtype=np.intp).reshape(-1, 2).T
    return Members(row=row, evse=evse, load=np.ones(len(row)))


def sessions(*each: tuple[float, float], rate_a: float = 10.0, most_a: float = 32.0) -> Sessions:
    """One phase each: (missing Wh, hours left)."""
    missing, hours = np.array(each, dtype=float).reshape(-1, 2).T
    return Sessions(
        is_known=np.ones(len(each), dtype=bool),
        missing_wh=missing,
        left_s=hours * HOUR,
        volts=np.full(len(each), 230.0),
        most_a=np.full(len(each), most_a),
        rate_a=np.full(len(each), rate_a),
    )


def test_a_session_finishes_when_its_energy_is_in_at_the_present_rate() -> None:
    seen = outlook(sessions((4_600.0, 5.0)), members((0, 0)), np.array([32.0]))
    assert seen.finishes_in_s[0] == pytest.approx(2 * HOUR)
    assert seen.misses_wh[0] == 0


def test_who_has_all_is_finished_now_and_who_gets_nothing_never() -> None:
    full = outlook(sessions((0.0, 5.0)), members((0, 0)), np.array([32.0]))
    assert full.finishes_in_s[0] == 0
    stopped = outlook(sessions((1_000.0, 5.0), rate_a=0.0), members((0, 0)), np.array([32.0]))
    assert np.isinf(stopped.finishes_in_s[0])


def test_the_own_maximum_may_be_too_little() -> None:
    # 16 A for an hour are 3,680 Wh
    seen = outlook(sessions((5_000.0, 1.0), most_a=16.0), members((0, 0)), np.array([63.0]))
    assert seen.misses_wh[0] == pytest.approx(1_320.0)


def test_a_circuit_that_cannot_carry_all_leaves_the_later_one_short() -> None:
    # 10 A for two hours are 4,600 Wh; 2,300 + 4,600 are asked for
    seen = outlook(
        sessions((2_300.0, 1.0), (4_600.0, 2.0)), members((0, 0), (0, 1)), np.array([10.0])
    )
    assert seen.misses_wh.tolist() == pytest.approx([0.0, 2_300.0])


def test_what_an_earlier_one_lacks_is_not_counted_again() -> None:
    # the first lacks 2,300 Wh at one o'clock; the second has the circuit for itself afterwards
    seen = outlook(
        sessions((4_600.0, 1.0), (2_300.0, 2.0)), members((0, 0), (0, 1)), np.array([10.0])
    )
    assert seen.misses_wh.tolist() == pytest.approx([2_300.0, 0.0])


def test_the_fullest_row_counts() -> None:
    seen = outlook(sessions((4_600.0, 2.0)), members((0, 0), (1, 0)), np.array([32.0, 5.0]))
    assert seen.misses_wh[0] == pytest.approx(2_300.0)


def test_without_departure_nothing_is_missed_and_unknown_demand_is_not_foreseen() -> None:
    open_end = sessions((4_600.0, float("nan")))
    assert outlook(open_end, members((0, 0)), np.array([1.0])).misses_wh[0] == 0
    unknown = sessions((4_600.0, 1.0))
    unknown.is_known[:] = False
    seen = outlook(unknown, members((0, 0)), np.array([1.0]))
    assert np.isinf(seen.finishes_in_s[0])
    assert seen.misses_wh[0] == 0


def test_a_trifle_is_no_lack() -> None:
    seen = outlook(sessions((2_350.0, 1.0)), members((0, 0)), np.array([10.0]))
    assert seen.misses_wh[0] == 0


def test_nobody_at_all() -> None:
    nobody = np.zeros((0, 2))
    seen = outlook(sessions(*map(tuple, nobody)), members(), np.array([10.0]))
    assert len(seen.misses_wh) == 0
