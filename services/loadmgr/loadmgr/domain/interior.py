"""An interior point method for plans in blocks of time; of EVSEs and sessions it knows nothing.

Maximise ``sum(value * x) - sum(curve * u**2) / 2`` with ``u = x @ hours``, where each of n vehicles
has a current ``x[i, k]`` in each of K blocks, ``0 <= x <= most``, ``u <= energy``, and in every
block the rows ``load`` carry no more than ``room``. It is Mehrotra's predictor and corrector (SIAM
J. Optim. 2, 1992). Vehicles that load the same rows alike stand together as groups, so a step costs
O(n * K) and one system of groups * K unknowns.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from loadmgr.domain.arrays import Bools, Floats, Ints, Stretches

STEPS = 40
"""Who has not converged by then never will; 9 to 16 are usual."""
PRECISION = 5e-6
"""So close to the optimum it ends, as a part of what a usual current is worth."""
ENOUGH = 3e-4
"""So close will do where rounding lets it come no closer: every point is within all limits."""
_STALLS = 0.7
"""A step that leaves more of the gap is no progress."""
_PATIENCE = 8
"""After so many steps without progress rounding lets it come no closer."""
_INSIDE = 0.7
"""The first guess leaves so much of each limit at most used."""
_SHORT = 0.97
"""A step goes so far towards the nearest limit."""

Kinds = tuple[Floats, Floats, Floats, Floats]
"""Something of each limit: at least nothing, at most ``most``, energy, rows (K x R)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """Vehicles sorted by group; a group has at least one."""

    value: Floats
    """n x K, of one ampere in a block."""
    curve: Floats
    """n, per ampere hour squared: what one has much of is worth less."""
    most: Floats
    """n x K, A; zero = not there then."""
    energy: Floats
    """n, Ah; more than nothing."""
    hours: Floats
    """K, length of the blocks."""
    group: Ints
    """n, ascending."""
    load: Floats
    """R x groups: what one ampere is on the row."""
    room: Floats
    """R, in the row's unit; more than nothing."""

    @cached_property
    def is_there(self) -> Bools:
        """n x K."""
        return np.asarray(self.most > 0)

    @cached_property
    def unit(self) -> float:
        """What a usual current in a usual block is worth."""
        usual = np.median(self.value[self.is_there])
        return float(usual * self.most[self.is_there].mean())

    @cached_property
    def _first(self) -> Ints:
        return Stretches.of(self.group).first

    @property
    def groups(self) -> int:
        """Number of groups."""
        return int(self.load.shape[1])

    def by_group(self, amounts: Floats) -> Floats:
        """Add up what is of the same group; the first axis becomes groups."""
        return np.asarray(np.add.reduceat(amounts, self._first, axis=0))

    def row_sums(self, x: Floats) -> Floats:
        """K x R: what every row carries in every block."""
        return np.asarray(self.by_group(x).T @ self.load.T)

    def of_vehicles(self, price: Floats) -> Floats:
        """n x K: what one ampere costs by prices of rows (K x R)."""
        return np.asarray((self.load.T @ price.T)[self.group])


def solve(problem: Problem) -> Floats | None:
    """Return the currents, n x K, within all limits; ``None`` = it did not converge."""
    with np.errstate(all="ignore"):
        best = _best(problem)
    return best.x if best.gap < ENOUGH * problem.unit else None


def _best(problem: Problem) -> "_Point":
    """Return the point nearest to the optimum of all on the way there."""
    best = point = _Point.inside(problem)
    in_vain = 0
    for _ in range(STEPS):
        ahead = _next(point)
        if ahead is None:
            break
        in_vain = 0 if ahead.gap < _STALLS * best.gap else in_vain + 1
        point, best = ahead, min(ahead, best, key=lambda one: one.gap)
        is_near = best.gap < ENOUGH * problem.unit
        if best.gap < PRECISION * problem.unit or (is_near and in_vain == _PATIENCE):
            break
    return best


def _next(point: "_Point") -> "_Point | None":
    """Go one step: first as if limits were no curves, then with what that has taught."""
    try:
        newton = _Newton(point)
    except np.linalg.LinAlgError:
        return None
    nothing = np.zeros(1)
    guess = newton.direction((nothing, nothing, nothing, nothing))
    left = min(point.gap_after(guess) / point.gap, 1.0)
    aim = point.gap * min(max(left**3, 1e-3), 0.3)
    ahead = point.moved(newton.direction(guess.corrected(aim, point.problem.is_there)))
    return ahead if np.isfinite(ahead.gap) else None


@dataclass(frozen=True, eq=False, kw_only=True)
class _Direction:
    x: Floats
    slack: Kinds
    price: Kinds

    def corrected(self, aim: float, is_there: Bools) -> Kinds:
        """Return which products of slack and price to aim at, so that the curvature is met."""
        least, most, energy, rows = (
            aim - slack * price for slack, price in zip(self.slack, self.price, strict=True)
        )
        return least * is_there, most * is_there, energy, rows


@dataclass(frozen=True, eq=False, kw_only=True)
class _Point:
    """Currents strictly within all limits, what is left to each limit, and the limit's price."""

    problem: Problem
    x: Floats
    slack: Kinds
    price: Kinds

    @classmethod
    def inside(cls, problem: Problem) -> "_Point":
        """Begin inside: first by each vehicle's energy, then by each block's rows."""
        x = problem.most * 0.5
        x *= np.minimum(1.0, _INSIDE * problem.energy / np.maximum(x @ problem.hours, 1e-12))[
            :, np.newaxis
        ]
        x *= np.minimum(
            1.0, (_INSIDE * problem.room / np.maximum(problem.row_sums(x), 1e-12)).min(axis=1)
        )
        there = problem.is_there
        slack = (
            np.where(there, x, 1.0),
            np.where(there, problem.most - x, 1.0),
            problem.energy - x @ problem.hours,
            problem.room - problem.row_sums(x),
        )
        least, most, energy, rows = (0.1 * problem.unit / one for one in slack)
        return cls(
            problem=problem, x=x, slack=slack, price=(least * there, most * there, energy, rows)
        )

    @cached_property
    def _limits(self) -> int:
        return 2 * int(self.problem.is_there.sum()) + self.slack[2].size + self.slack[3].size

    @cached_property
    def gap(self) -> float:
        """The mean product of slack and price; nothing at the optimum."""
        return _sum_of_products(self.slack, self.price) / self._limits

    def gap_after(self, way: _Direction) -> float:
        """Return the gap where a direction leads, were the limits no curves."""
        far, dear = self._reach(way, 1.0)
        slack = _ahead(self.slack, way.slack, far)
        return _sum_of_products(slack, _ahead(self.price, way.price, dear)) / self._limits

    def moved(self, way: _Direction) -> "_Point":
        """Go a direction, not quite to the nearest limit."""
        far, dear = self._reach(way, _SHORT)
        return _Point(
            problem=self.problem,
            x=self.x + far * way.x,
            slack=_ahead(self.slack, way.slack, far),
            price=_ahead(self.price, way.price, dear),
        )

    def _reach(self, way: _Direction, part: float) -> tuple[float, float]:
        """Return how far slacks and prices may go and stay more than nothing."""
        return _reach(self.slack, way.slack, part), _reach(self.price, way.price, part)


def _sum_of_products(slack: Kinds, price: Kinds) -> float:
    return sum(float((one * other).sum()) for one, other in zip(slack, price, strict=True))


def _ahead(kinds: Kinds, way: Kinds, far: float) -> Kinds:
    least, most, energy, rows = (at + far * to for at, to in zip(kinds, way, strict=True))
    return least, most, energy, rows


def _reach(kinds: Kinds, way: Kinds, part: float) -> float:
    steepest = max(
        float(np.max(np.where(at > 0, -to / at, 0.0))) for at, to in zip(kinds, way, strict=True)
    )
    return min(1.0, part / max(steepest, 1e-9))


class _Newton:
    """The linear system at a point, solved by elimination down to groups and blocks."""

    def __init__(self, point: _Point) -> None:
        self._point, self._problem = point, point.problem
        problem, there = point.problem, point.problem.is_there
        ratio = [price / slack for price, slack in zip(point.price, point.slack, strict=True)]
        self._diagonal = np.where(there, 1.0 / (ratio[0] + ratio[1]), 0.0)
        self._energy = self._diagonal * problem.hours
        bend = problem.curve + ratio[2]
        self._bend = bend / (1.0 + bend * (self._energy @ problem.hours))
        self._root = self._root_of_rows(ratio[3])
        self._inverse = np.linalg.inv(self._system())
        self._residual = self._slope()

    def _slope(self) -> Floats:
        """Return what more of each current would be worth, by the prices (n x K)."""
        problem, (least, most, energy, rows) = self._problem, self._point.price
        of_energy = problem.curve * (self._point.x @ problem.hours) + energy
        slope = problem.value - np.outer(of_energy, problem.hours) - problem.of_vehicles(rows)
        return np.asarray(slope + least - most)

    def _root_of_rows(self, ratio: Floats) -> Floats:
        """K x groups x groups: the Cholesky root of what the rows make of the groups."""
        load = self._problem.load
        rows = (load.T[np.newaxis] * ratio[:, np.newaxis, :]) @ load
        tiny = 1e-13 * np.trace(rows, axis1=1, axis2=2) + 1e-300
        return np.linalg.cholesky(rows + tiny[:, np.newaxis, np.newaxis] * np.eye(len(load.T)))

    def _system(self) -> Floats:
        """Return ``1 + root' @ S @ root``: one row for each block and group."""
        problem, root = self._problem, self._root
        blocks, groups = len(problem.hours), problem.groups
        bent = self._bend[:, np.newaxis] * self._energy
        between = -problem.by_group(bent[:, :, np.newaxis] * self._energy[:, np.newaxis, :])
        each = np.arange(blocks)
        between[:, each, each] += problem.by_group(self._diagonal)
        # left[l, k, a, g] = root[k, g, a] * between[g, k, l]
        left = root.transpose(0, 2, 1)[np.newaxis] * between.transpose(2, 1, 0)[:, :, np.newaxis, :]
        system = left.reshape(blocks, blocks * groups, groups) @ root
        system = system.transpose(1, 0, 2).reshape(blocks * groups, blocks * groups)
        system[np.diag_indices(blocks * groups)] += 1.0
        return system

    def direction(self, aim: Kinds) -> _Direction:
        """Return where the products of slack and price become ``aim``, as far as one line goes."""
        problem, point = self._problem, self._point
        lacks = [
            goal / slack - price
            for goal, slack, price in zip(aim, point.slack, point.price, strict=True)
        ]
        wish = self._residual + lacks[0] - lacks[1] - problem.of_vehicles(lacks[3])
        wish -= np.outer(lacks[2], problem.hours)
        x = self._answer(np.where(problem.is_there, wish, 0.0))
        slack = (x, -x, -(x @ problem.hours), -problem.row_sums(x))
        least, most, energy, rows = (
            lack - price / at * to
            for lack, price, at, to in zip(lacks, point.price, point.slack, slack, strict=True)
        )
        return _Direction(x=x, slack=slack, price=(least, most, energy, rows))

    def _answer(self, wish: Floats) -> Floats:
        problem, root = self._problem, self._root
        alone = problem.by_group(self._alone(wish)).T[:, :, np.newaxis]
        flat = (root.transpose(0, 2, 1) @ alone).ravel()
        price = (root @ (self._inverse @ flat).reshape(len(root), -1, 1))[:, :, 0]
        return self._alone(wish - price.T[problem.group])

    def _alone(self, wish: Floats) -> Floats:
        """Solve as if there were no rows."""
        energy = self._bend * (self._energy * wish).sum(axis=1)
        return np.asarray(self._diagonal * wish - self._energy * energy[:, np.newaxis])
