"""The interior point method against oracles that it does not know."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, linprog, minimize

from loadmgr.domain.arrays import Floats
from loadmgr.domain.interior import Problem, solve


def problem_of(rng: Random, *, curved: bool) -> Problem:
    """Return up to eight vehicles in up to three groups, four blocks and four rows."""
    groups, blocks, rows = rng.randint(1, 3), rng.randint(1, 4), rng.randint(1, 4)
    count = groups + rng.randint(0, 5)
    group = sorted([*range(groups), *(rng.randrange(groups) for _ in range(count - groups))])
    most = np.array([[rng.choice([0.0, 6.0, 16.0, 32.0]) for _ in range(blocks)] for _ in group])
    most[:, 0] = np.maximum(most[:, 0], 6.0)
    hours = np.array([rng.choice([0.1, 0.5, 2.0]) for _ in range(blocks)])
    worth = np.array([[rng.uniform(0.3, 1.2) for _ in range(blocks)] for _ in group])
    load = np.array([[rng.choice([0.0, 1.0, 1.0]) for _ in range(groups)] for _ in range(rows)])
    load[0] = 1.0
    return Problem(
        value=worth * hours,
        curve=np.array([rng.uniform(0.0, 0.05) * curved for _ in group]),
        most=most,
        energy=np.array([rng.uniform(0.5, 60.0) for _ in group]),
        hours=hours,
        group=np.array(group, dtype=np.intp),
        load=load,
        room=np.array([rng.uniform(1.0, 80.0) for _ in range(rows)]),
    )


def worth(problem: Problem, x: Floats) -> float:
    u = x @ problem.hours
    return float((problem.value * x).sum() - (problem.curve * u**2).sum() / 2)


def constraints(problem: Problem) -> tuple[Floats, Floats]:
    """Return all rows and energies as one dense system; x is flat, vehicles first."""
    count, blocks = problem.most.shape
    of_vehicle = problem.load[:, problem.group]
    rows = [np.kron(of_vehicle, np.eye(blocks)[k]) for k in range(blocks)]
    energy = np.kron(np.eye(count), problem.hours)
    return (
        np.concatenate([*rows, energy]),
        np.concatenate([np.tile(problem.room, blocks), problem.energy]),
    )


def assert_within(problem: Problem, x: Floats) -> None:
    matrix, limit = constraints(problem)
    assert (matrix @ x.ravel() <= limit).all()
    assert (x >= 0).all()
    assert (x <= problem.most).all()


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_linear_plan_is_worth_what_the_simplex_finds(seed: int) -> None:
    problem = problem_of(Random(seed), curved=False)
    matrix, limit = constraints(problem)
    oracle = linprog(
        -problem.value.ravel(),
        A_ub=matrix,
        b_ub=limit,
        bounds=[(0, most) for most in problem.most.ravel()],
    )
    x = solve(problem)
    assert x is not None
    assert_within(problem, x)
    assert worth(problem, x) == pytest.approx(-oracle.fun, rel=2e-3)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_curved_plan_is_worth_no_less_than_another_method_finds(seed: int) -> None:
    problem = problem_of(Random(seed), curved=True)
    matrix, limit = constraints(problem)
    shape = problem.most.shape
    oracle = minimize(
        lambda x: -worth(problem, x.reshape(shape)),
        np.zeros(problem.most.size),
        method="SLSQP",
        bounds=[(0, most) for most in problem.most.ravel()],
        constraints=LinearConstraint(matrix, -np.inf, limit),
    )
    x = solve(problem)
    assert x is not None
    assert_within(problem, x)
    assert worth(problem, x) >= -oracle.fun * (1 - 2e-3)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
def test_tiny_and_huge_amounts_are_solved_like_others(scale: float) -> None:
    usual = problem_of(Random(3), curved=False)
    scaled = Problem(
        value=usual.value,
        curve=usual.curve,
        most=usual.most * scale,
        energy=usual.energy * scale,
        hours=usual.hours,
        group=usual.group,
        load=usual.load,
        room=usual.room * scale,
    )
    expected, found = solve(usual), solve(scaled)
    assert expected is not None
    assert found is not None
    assert worth(scaled, found) == pytest.approx(scale * worth(usual, expected), rel=5e-3)
