"""Sharing by policy: the numbers that each asks the water-filling for, and what comes of them."""

import numpy as np
import pytest

from loadmgr.domain.fill import Members, fill
from loadmgr.domain.policy import ALPHA, LEAST_STAY_S, LEAST_WH, SMOOTH_S, Policy, Stays, policy_of
from shared.contracts.site import Sharing

HOUR = 3_600.0


def stays(*each: tuple[float, float], most_a: float = 16.0) -> Stays:
    """One phase each, in the order of arrival: (hours left, missing Wh)."""
    hours, missing = np.array(each, dtype=float).T
    return Stays(
        arrived_s=np.arange(len(each), dtype=float),
        left_s=hours * HOUR,
        wanted_wh=missing,
        delivered_wh=np.zeros(len(each)),
        most_a=np.full(len(each), most_a),
        volts=np.full(len(each), 230.0),
    )


def shared(policy: Policy, room_a: float, most_a: float = 16.0) -> list[float]:
    """Share one row among all."""
    count = len(policy.weight)
    members = Members(
        row=np.zeros(count, dtype=np.intp), evse=np.arange(count), load=np.ones(count)
    )
    filled = fill(
        members,
        lo=np.zeros(count),
        hi=np.full(count, most_a),
        weight=policy.weight,
        offset=policy.offset_a,
        room=np.array([room_a]),
    )
    return filled.amps.round(3).tolist()


def test_equal_shares_follow_the_weights() -> None:
    weight = np.array([1.0, 2.0])
    policy = policy_of(Sharing.EQUAL, stays((1, 1_000), (9, 9_000)), weight=weight)
    assert shared(policy, 12.0) == [4.0, 8.0]


def test_need_is_energy_for_each_hour_left() -> None:
    same = np.ones(2)
    policy = policy_of(Sharing.NEED, stays((1, 3_000), (2, 3_000)), weight=same)
    assert shared(policy, 12.0) == [8.0, 4.0]


def test_need_is_weighted() -> None:
    policy = policy_of(Sharing.NEED, stays((1, 3_000), (1, 3_000)), weight=np.array([2.0, 1.0]))
    assert shared(policy, 12.0) == [8.0, 4.0]


def test_who_should_be_gone_or_full_still_counts() -> None:
    late = policy_of(Sharing.NEED, stays((-3, 3_000), (1, 100)), weight=np.ones(2))
    assert late.weight.tolist() == pytest.approx(
        [3_000 * HOUR / (230 * LEAST_STAY_S), LEAST_WH * HOUR / (230 * HOUR)]
    )


def test_the_deadline_decides_by_time_to_spare() -> None:
    policy = policy_of(Sharing.DEADLINE, stays((1, 3_000), (10, 3_000)), weight=np.ones(2))
    assert shared(policy, 16.0) == [16.0, 0.0]
    assert shared(policy, 20.0) == [16.0, 4.0]


def test_a_difference_within_the_smoothing_is_shared() -> None:
    # both are full in 3,000 / 230 / 16 h; the second leaves a tenth of the smoothing time later
    later = 1 + 0.1 * SMOOTH_S / HOUR
    policy = policy_of(Sharing.DEADLINE, stays((1, 3_000), (later, 3_000)), weight=np.ones(2))
    first, second = shared(policy, 16.0)
    assert first - second == pytest.approx(0.1 * 16, abs=0.001)


def test_alpha_mixes_time_to_spare_with_departure() -> None:
    # the same time to spare; the second has more to charge and leaves later
    charging_h = np.array([1.0, 2.0])
    wanted = charging_h * 230 * 16
    same_spare = stays((2, wanted[0]), (3, wanted[1]))
    policy = policy_of(Sharing.DEADLINE, same_spare, weight=np.ones(2))
    slack_s = -policy.offset_a * SMOOTH_S / policy.weight
    assert slack_s[1] - slack_s[0] == pytest.approx((1 - ALPHA) * HOUR)


def test_who_cannot_make_it_any_more_has_no_time_to_spare_and_not_less() -> None:
    hopeless = stays((1, 30_000), (1, 60_000))
    policy = policy_of(Sharing.DEADLINE, hopeless, weight=np.ones(2))
    assert policy.offset_a[0] == policy.offset_a[1]


def test_weight_makes_a_stay_more_urgent() -> None:
    twice = policy_of(Sharing.DEADLINE, stays((4, 3_000), (4, 3_000)), weight=np.array([1.0, 2.0]))
    assert shared(twice, 16.0) == [0.0, 16.0]


def test_first_come_fills_one_after_the_other() -> None:
    policy = policy_of(Sharing.FIRST_COME, stays((1, 1), (1, 1), (1, 1)), weight=np.ones(3))
    assert shared(policy, 20.0) == [16.0, 4.0, 0.0]
