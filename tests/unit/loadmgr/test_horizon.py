"""Plans until the last departure: small ones by hand, random ones by their promises."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.domain import horizon, interior
from loadmgr.domain.fill import Members
from loadmgr.domain.horizon import BLOCK_S, edges, planned_a
from loadmgr.domain.interior import Problem, solve
from loadmgr.domain.policy import LEAST_STAY_S, Policy, Stays, congestion
from loadmgr.domain.prospect import KEPT_S, KeptPlan, Prospect

HOUR = 3_600.0


def stays(*each: tuple[float, float], most_a: float = 32.0) -> Stays:
    """One phase each: (hours left, missing Wh)."""
    hours, missing = np.array(each, dtype=float).reshape(-1, 2).T
    return Stays(
        arrived_s=np.zeros(len(each)),
        left_s=hours * HOUR,
        wanted_wh=missing,
        delivered_wh=np.zeros(len(each)),
        most_a=np.full(len(each), most_a),
        volts=np.full(len(each), 230.0),
    )


def one_row(count: int) -> Members:
    return Members(row=np.zeros(count, dtype=np.intp), evse=np.arange(count), load=np.ones(count))


def plan(of: Stays, room_a: float, members: Members | None = None) -> np.ndarray | None:
    count = len(of.left_s)
    members = one_row(count) if members is None else members
    room = np.full(int(members.row.max(initial=0)) + 1, room_a)
    every = np.ones(count, dtype=bool)
    return planned_a(of, members, room, chosen=every, weight=np.ones(count))


def test_who_leaves_first_is_charged_first_where_only_that_saves_his_energy() -> None:
    # 20 A: the first can take 4.6 kWh in his hour and needs all of it; the second has nine more
    first, second = plan(stays((1, 4_600), (10, 9_000)), 20.0)
    assert first > 4 * second
    assert first + second == pytest.approx(20.0, abs=0.1)


def test_equals_get_the_same() -> None:
    first, second = plan(stays((2, 20_000), (2, 20_000)), 20.0)
    assert first == pytest.approx(second, abs=0.1)
    assert first + second == pytest.approx(20.0, abs=0.1)


def test_nobody_is_planned_more_than_he_wants() -> None:
    small, big = plan(stays((2, 500), (2, 40_000)), 20.0)
    assert small * BLOCK_S / HOUR * 230 <= 500 + 1
    assert small + big == pytest.approx(20.0, abs=0.1)


def test_without_a_row_that_binds_there_is_no_plan() -> None:
    assert plan(stays((2, 20_000)), 63.0) is None


def test_nobody_wants_anything_or_has_room() -> None:
    assert plan(stays((2, 20_000), most_a=0.0), 20.0) is None
    assert plan(stays((2, 20_000)), 0.0) is None
    assert plan(stays((2, 20_000)), -5.0) is None


def test_a_plan_that_would_cost_too_much_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(horizon, "MOST_UNKNOWNS", 3)
    assert plan(stays((2, 20_000), (5, 20_000)), 20.0) is None


def test_a_plan_that_does_not_converge_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(horizon, "solve", lambda _: None)
    assert plan(stays((2, 20_000), (5, 20_000)), 20.0) is None


def test_who_should_be_gone_stays_a_while() -> None:
    assert stays((-1, 1_000), (1, 1_000)).stays_s.tolist() == [LEAST_STAY_S, HOUR]


def test_blocks_begin_now_and_end_with_the_last_departure() -> None:
    found = edges(np.array([HOUR, 3 * HOUR, 10 * HOUR]))
    assert found[:2].tolist() == [0.0, BLOCK_S]
    assert found[-1] == 10 * HOUR
    assert (np.diff(found) > 0).all()
    assert edges(np.array([BLOCK_S])).tolist() == [0.0, BLOCK_S]


def random_case(rng: Random) -> tuple[Stays, Members, np.ndarray]:
    """Up to twelve EVSEs on a main circuit and two strips of three phases."""
    count = rng.randint(1, 12)
    of = stays(
        *((rng.uniform(-1, 14), rng.uniform(100, 60_000)) for _ in range(count)),
        most_a=rng.choice([16.0, 32.0]),
    )
    pairs = set()
    for evse in range(count):
        for phase in rng.choice([(0,), (1,), (2,), (0, 1, 2)]):
            pairs |= {(phase, evse), (3 + 3 * (evse % 2) + phase, evse)}
    row, evse = np.array(sorted(pairs), dtype=np.intp).T
    members = Members(row=row, evse=evse, load=np.ones(len(row)))
    room = np.array([rng.uniform(0, 60) for _ in range(9)])
    return of, members, room


@settings(max_examples=60, deadline=None, derandomize=True)  # a flat optimum: 1 of 1,400
@given(seed=st.integers(0, 2**32))
def test_a_plan_keeps_every_limit_and_the_order_does_not_matter(seed: int) -> None:
    of, members, room = random_case(Random(seed))
    count = len(of.left_s)
    every = np.ones(count, dtype=bool)
    amps = planned_a(of, members, room, chosen=every, weight=np.ones(count))
    if amps is None:
        return
    assert np.isfinite(amps).all()
    assert (amps >= -1e-6).all()
    assert (amps <= of.most_a + 1e-6).all()
    assert (members.row_sums(amps, len(room)) <= room + 1e-6).all()
    turned = np.arange(count)[::-1]
    order = np.lexsort((turned[members.evse], members.row))
    mirrored = Members(
        row=members.row[order], evse=turned[members.evse][order], load=members.load[order]
    )
    again = planned_a(of.among(turned), mirrored, room, chosen=every, weight=np.ones(count))
    assert again is not None
    assert again[turned] == pytest.approx(amps, abs=0.05)


def tiny(**changes: object) -> Problem:
    given = {
        "value": np.ones((1, 1)),
        "curve": np.zeros(1),
        "most": np.full((1, 1), 10.0),
        "energy": np.full(1, 100.0),
        "hours": np.ones(1),
        "group": np.zeros(1, dtype=np.intp),
        "load": np.ones((1, 1)),
        "room": np.full(1, 4.0),
    }
    return Problem(**(given | changes))  # type: ignore[arg-type]


def test_a_problem_of_one_vehicle_ends_at_its_row() -> None:
    assert solve(tiny())[0, 0] == pytest.approx(4.0, abs=0.01)
    assert solve(tiny(energy=np.full(1, 3.0)))[0, 0] == pytest.approx(3.0, abs=0.01)
    assert solve(tiny(room=np.full(1, 40.0)))[0, 0] == pytest.approx(10.0, abs=0.01)


def test_a_problem_that_cannot_be_solved_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert solve(tiny(value=np.full((1, 1), np.nan))) is None
    monkeypatch.setattr(interior, "STEPS", 1)
    assert solve(tiny()) is None, "one step is not enough"


@pytest.mark.parametrize(("enough", "is_taken"), [(1e9, True), (0.0, False)])
def test_where_rounding_ends_the_steps_what_is_good_enough_is_taken(
    monkeypatch: pytest.MonkeyPatch, enough: float, is_taken: bool
) -> None:
    def fail(*_: object) -> None:
        raise np.linalg.LinAlgError("not positive definite")

    monkeypatch.setattr(interior, "_Newton", fail)
    monkeypatch.setattr(interior, "ENOUGH", enough)
    assert (solve(tiny()) is not None) is is_taken


def test_congestion_is_what_is_needed_by_the_worst_departure() -> None:
    # 20 A carry 4.6 kWh in an hour: 2.3 by one o'clock is half, 2.3 + 9.2 by two is 1.25
    of = stays((1, 2_300), (2, 9_200))
    members, room = one_row(2), np.array([20.0])
    every, nobody = np.ones(2, dtype=bool), np.zeros(2, dtype=bool)
    assert congestion(of, members, room, chosen=every) == pytest.approx(1.25)
    assert congestion(of, members, room, chosen=nobody) == 0.0


def prospect(room_a: float, kept: KeptPlan) -> Prospect:
    return Prospect(members=one_row(2), room=np.array([room_a]), kept=kept)


def laxity() -> Policy:
    return Policy(
        offset_a=np.full(2, -7.0),
        weight=np.full(2, 3.0),
        equal=np.ones(2),
        is_planned=np.zeros(2, dtype=bool),
    )


def test_the_plan_takes_the_place_of_laxity_only_when_not_all_can_finish() -> None:
    every = np.ones(2, dtype=bool)
    easy = prospect(20.0, KeptPlan()).policy(
        laxity(), stays((9, 3_000), (9, 3_000)), chosen=every, now_s=0.0
    )
    assert easy.offset_a.tolist() == [-7.0, -7.0]
    hard = prospect(20.0, KeptPlan()).policy(
        laxity(), stays((1, 9_000), (1, 9_000)), chosen=every, now_s=0.0
    )
    assert hard.offset_a.sum() == pytest.approx(20.0, abs=0.1)
    assert hard.weight.tolist() == [1.0, 1.0]


def test_a_plan_is_kept_while_nothing_happens() -> None:
    kept, every = KeptPlan(), np.ones(2, dtype=bool)
    of = stays((1, 9_000), (1, 9_000))
    prospect(20.0, kept).policy(laxity(), of, chosen=every, now_s=0.0)
    first = kept.plan
    prospect(20.1, kept).policy(laxity(), later(of, 30.0), chosen=every, now_s=30.0)
    assert kept.plan is first
    prospect(20.1, kept).policy(laxity(), later(of, KEPT_S), chosen=every, now_s=KEPT_S)
    assert kept.plan is not first


@pytest.mark.parametrize("what", ["room", "departure", "who", "rows"])
def test_a_plan_is_made_anew_when_something_happens(what: str) -> None:
    kept, chosen = KeptPlan(), np.ones(2, dtype=bool)
    of, room_a = stays((1, 9_000), (1, 9_000)), 20.0
    prospect(room_a, kept).policy(laxity(), of, chosen=chosen, now_s=0.0)
    first = kept.plan
    of = later(of, 1.0)
    if what == "departure":
        of = later(of, 100.0)
    elif what == "who":
        chosen = np.array([True, False])
    elif what == "room":
        room_a = 15.0
    room = np.array([room_a, 0.0] if what == "rows" else [room_a])
    changed = Prospect(members=one_row(2), room=room, kept=kept)
    changed.policy(laxity(), of, chosen=chosen, now_s=1.0)
    assert kept.plan is not first


def later(of: Stays, seconds: float) -> Stays:
    return Stays(
        arrived_s=of.arrived_s,
        left_s=of.left_s - seconds,
        wanted_wh=of.wanted_wh,
        delivered_wh=of.delivered_wh,
        most_a=of.most_a,
        volts=of.volts,
    )


def test_too_many_are_not_even_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadmgr.domain.prospect.MOST_EVSES", 1)
    every = np.ones(2, dtype=bool)
    hard = prospect(20.0, KeptPlan()).policy(
        laxity(), stays((1, 9_000), (1, 9_000)), chosen=every, now_s=0.0
    )
    assert hard.offset_a.tolist() == [-7.0, -7.0]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_small_garage_with_a_row_that_binds_is_always_planned(seed: int) -> None:
    rng = Random(seed)
    of = stays(*((rng.uniform(0.2, 12), rng.uniform(1_000, 60_000)) for _ in range(8)))
    amps = plan(of, rng.uniform(1.0, 60.0))
    assert amps is not None
    assert np.isfinite(amps).all()
