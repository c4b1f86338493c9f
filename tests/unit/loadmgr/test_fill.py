"""Water-filling and admission against their definitions, on random trees."""

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.domain.admission import admit
from loadmgr.domain.arrays import Floats
from loadmgr.domain.fill import UNBOUND, Filled, Members, fill

EPSILON = 1e-5
SEEDS = st.integers(0, 2**32)


class Problem:
    """EVSEs on a random tree of rows, and how much there is."""

    def __init__(self, seed: int) -> None:
        rng = Random(seed)
        self.rows, self.count = rng.randint(1, 7), rng.randint(1, 12)
        parents = [-1] + [rng.randrange(row) for row in range(1, self.rows)]
        pairs = []
        for evse in range(self.count):
            row = rng.randrange(self.rows)
            while row >= 0:
                pairs.append((row, evse))
                row = parents[row]
        sorted_pairs = np.array(sorted(pairs), dtype=np.intp)
        unit = [rng.choice([1.0, 1.0, 230.0]) for _ in range(self.rows)]
        load = [unit[row] * rng.choice([1.0, 1.0, 3.0]) for row, _ in sorted(pairs)]
        self.members = Members(row=sorted_pairs[:, 0], evse=sorted_pairs[:, 1], load=np.array(load))
        self.lo = np.array([rng.choice([0.0, 0.0, 6.0]) for _ in range(self.count)])
        self.hi = self.lo + np.array([rng.choice([0.0, 4.0, 10.0, 26.0]) for _ in self.lo])
        self.weight = np.array([rng.choice([1.0, 1.0, 2.0, 0.5]) for _ in self.lo])
        self.offset = np.array([rng.choice([0.0, 0.0, -40.0, 8.0]) for _ in self.lo])
        base = self.members.row_sums(self.lo, self.rows)
        self.room = base + np.array([rng.choice([0.0, 5.0, 20.0, 60.0]) for _ in base])

    def filled(self, room: Floats | None = None) -> Filled:
        return fill(
            self.members,
            lo=self.lo,
            hi=self.hi,
            weight=self.weight,
            offset=self.offset,
            room=self.room if room is None else room,
        )

    def levels(self, amps: Floats) -> Floats:
        """The level at which each would have what it has, were there no bounds."""
        return (amps - self.offset) / self.weight


@settings(max_examples=300, deadline=None)
@given(seed=SEEDS)
def test_shares_are_within_bounds_and_rows(seed: int) -> None:
    problem = Problem(seed)
    amps = problem.filled().amps
    assert (amps >= problem.lo - EPSILON).all()
    assert (amps <= problem.hi + EPSILON).all()
    assert (problem.members.row_sums(amps, problem.rows) <= problem.room + EPSILON).all()


@settings(max_examples=300, deadline=None)
@given(seed=SEEDS)
def test_nobody_could_have_more_without_taking_from_one_with_less(seed: int) -> None:
    """The certificate of max-min: who is below his maximum sits on a full row at its top level."""
    problem = Problem(seed)
    filled = problem.filled()
    amps, sums = filled.amps, problem.members.row_sums(filled.amps, problem.rows)
    level = problem.levels(amps)
    for evse in range(problem.count):
        if amps[evse] >= problem.hi[evse] - EPSILON:
            assert filled.row[evse] == UNBOUND
            continue
        row = filled.row[evse]
        assert sums[row] >= problem.room[row] - EPSILON, "the row that is named is full"
        others = problem.members.evse[problem.members.row == row]
        may_be_lowered = amps[others] > problem.lo[others] + EPSILON
        assert evse in others
        assert (level[others][may_be_lowered] <= level[evse] + EPSILON).all()


@settings(max_examples=200, deadline=None)
@given(seed=SEEDS)
def test_more_supply_never_lowers_the_least(seed: int) -> None:
    problem = Problem(seed)
    more = problem.room + np.array([Random(seed + r).choice([0, 3]) for r in range(problem.rows)])
    before, after = problem.filled().amps, problem.filled(more).amps
    assert problem.levels(after).min() >= problem.levels(before).min() - EPSILON


@settings(max_examples=200, deadline=None)
@given(seed=SEEDS)
def test_the_order_of_evses_does_not_matter(seed: int) -> None:
    problem = Problem(seed)
    order = np.random.default_rng(seed).permutation(problem.count)
    place = np.argsort(order)
    columns = (problem.members.row, place[problem.members.evse], problem.members.load)
    row, evse, load = zip(*sorted(zip(*columns, strict=True)), strict=True)
    amps = fill(
        Members(
            row=np.array(row, dtype=np.intp),
            evse=np.array(evse, dtype=np.intp),
            load=np.array(load),
        ),
        lo=problem.lo[order],
        hi=problem.hi[order],
        weight=problem.weight[order],
        offset=problem.offset[order],
        room=problem.room,
    ).amps
    assert np.allclose(amps[place], problem.filled().amps, atol=EPSILON)


@settings(max_examples=300, deadline=None)
@given(seed=SEEDS)
def test_admission_is_that_of_asking_one_by_one(seed: int) -> None:
    problem, rng = Problem(seed), Random(seed)
    order = np.array(rng.sample(range(problem.count), rng.randint(1, problem.count)))
    need = np.array([rng.choice([0.0, 6.0, 6.0, 8.0, 14.0]) for _ in range(problem.count)])
    room = np.array([rng.choice([-2.0, 4.0, 11.0, 19.0, 40.0]) for _ in range(problem.rows)])
    granted = admit(problem.members, order=order, need=need, room=room)
    left, expected = room.copy(), np.zeros(problem.count, dtype=bool)
    for evse in order:
        mine = problem.members.evse == evse
        own, taken = problem.members.row[mine], problem.members.load[mine] * need[evse]
        if need[evse] <= 0 or (left[own] >= taken - EPSILON).all():
            expected[evse] = True
            left[own] -= taken
    assert granted.tolist() == expected.tolist()


def test_who_loads_no_row_has_his_maximum() -> None:
    nowhere = np.array([], dtype=np.intp)
    nothing = Members(row=nowhere, evse=nowhere, load=np.array([]))
    filled = fill(
        nothing, lo=np.zeros(1), hi=np.full(1, 16.0), weight=np.ones(1), room=np.array([5.0])
    )
    assert filled.amps.tolist() == [16.0]
    granted = admit(nothing, order=np.array([0]), need=np.full(1, 6.0), room=np.array([5.0]))
    assert granted.tolist() == [True]
