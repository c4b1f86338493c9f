"""Water-filling: who gets how much when what there is does not suffice for all.

``fill`` raises one level in every EVSE until a row is full or the EVSE has its maximum, so that
nobody can be given more without taking it from somebody with less (lexicographic max-min), on all
rows at once and exactly. What the level means is the policy's business: an EVSE at level ``l`` has
``offset + weight * l``. It knows neither minimum currents nor steps.
"""

from dataclasses import dataclass

import numpy as np

from loadmgr.domain.arrays import (
    Bools,
    Floats,
    Ints,
    Stretches,
    order_in_rows,
    ranks,
    sum_by_row,
)
from loadmgr.domain.rows import Rows

TOLERANCE_A = 1e-7
UNBOUND = -1


@dataclass(frozen=True, eq=False, kw_only=True)
class Members:
    """Which EVSE loads which row how much, as parallel arrays sorted by row."""

    row: Ints
    evse: Ints
    load: Floats
    """What one ampere of the EVSE is on the row: 1 A of a phase, 230 W of each phase in use."""

    @classmethod
    def of(cls, rows: Rows, usage: Floats, who: Floats, *, limit: Floats) -> "Members":
        """Keep the entries with phases in use (``usage`` N x 3, 1 = used) on rows with a limit."""
        load = rows.entry_loads(usage, who)
        used = (load > 0) & np.isfinite(limit)[rows.entry_row]
        return cls(row=rows.entry_row[used], evse=rows.entry_evse[used], load=load[used])

    def among(self, chosen: Bools) -> "Members":
        """Keep the pairs of chosen EVSEs."""
        return self.where(chosen[self.evse])

    def where(self, kept: Bools | Ints) -> "Members":
        """Keep some pairs, in the order of an index."""
        return Members(row=self.row[kept], evse=self.evse[kept], load=self.load[kept])

    def row_sums(self, amps: Floats, rows: int) -> Floats:
        """Add up one current per EVSE on every row."""
        return sum_by_row(self.row, self.load * amps[self.evse], rows)


@dataclass(frozen=True, eq=False, kw_only=True)
class Filled:
    """What ``fill`` gave, and the row that bound each EVSE (``UNBOUND`` = its own maximum)."""

    amps: Floats
    row: Ints


def fill(
    members: Members,
    *,
    lo: Floats,
    hi: Floats,
    weight: Floats,
    room: Floats,
    offset: Floats | None = None,
) -> Filled:
    """Share ``room`` (in each row's unit) among EVSEs as ``clip(offset + weight * level, lo, hi)``.

    ``lo`` is granted unseen: where it alone exceeds a row, its members stay at ``lo``. Where ``lo``
    is ``hi`` there is nothing to share. Levels may be negative. Without ``offset`` shares are in
    proportion to the weights.
    """
    offset = np.zeros(len(hi)) if offset is None else offset
    amps, bound = hi.copy(), np.full(len(hi), UNBOUND)
    may_bind = members.row_sums(hi, len(room)) > room + TOLERANCE_A
    left = room - members.row_sums(lo, len(room))
    members = members.where(may_bind[members.row] & (hi > lo)[members.evse])
    if not len(members.row):
        return Filled(amps=amps, row=bound)
    curve = _Curve.of(members, lo=lo, hi=hi, weight=weight, offset=offset)
    is_open = np.zeros(len(hi), dtype=bool)
    is_open[members.evse] = True
    while True:
        level = curve.levels(left)
        own, row = _bottlenecks(members, level, len(hi))
        reached = offset + own * weight
        settled = is_open & ((row != UNBOUND) | (reached >= hi))
        np.copyto(amps, np.minimum(np.maximum(reached, lo), hi), where=settled)
        np.copyto(bound, row, where=settled & (amps < hi - TOLERANCE_A))
        is_open &= ~settled
        if not is_open.any():
            return Filled(amps=amps, row=bound)
        left -= members.row_sums(np.where(settled, amps - lo, 0.0), len(room))
        members, curve = members.among(is_open), curve.among(is_open)


def _bottlenecks(members: Members, level: Floats, evses: int) -> tuple[Floats, Ints]:
    """Return for each EVSE the lowest level of its rows, and a row of which all stop at its level.

    Such a row is full whatever happens elsewhere; the row of the lowest level is always one.
    """
    own, row = np.full(evses, np.inf), np.full(evses, UNBOUND)
    of_row = level[members.row]
    np.minimum.at(own, members.evse, of_row)
    is_bottleneck = np.ones(len(level), dtype=bool)
    is_bottleneck[members.row[own[members.evse] < of_row]] = False
    found = is_bottleneck[members.row]
    # Rows are sorted parents first: written in reverse, the row nearest to the root is named.
    row[members.evse[found][::-1]] = members.row[found][::-1]
    return own, row


@dataclass(frozen=True, eq=False, kw_only=True)
class _Curve:
    """For every row the piecewise linear sum of what its members have above ``lo``, by level.

    The points where a member begins to rise and where it has its maximum, by row and level.
    """

    row: Ints
    evse: Ints
    at: Floats
    """The level of each point."""
    slope: Floats
    """What the point adds to the slope."""

    @classmethod
    def of(
        cls, members: Members, *, lo: Floats, hi: Floats, weight: Floats, offset: Floats
    ) -> "_Curve":
        """Two points for each pair of row and EVSE."""
        level = np.concatenate([(lo - offset) / weight, (hi - offset) / weight])
        row = np.concatenate([members.row, members.row])
        point = np.concatenate([members.evse, members.evse + len(lo)])
        order = order_in_rows(row, ranks(level.argsort())[point])
        slope = members.load * weight[members.evse]
        return cls(
            row=row[order],
            evse=np.concatenate([members.evse, members.evse])[order],
            at=level[point[order]],
            slope=np.concatenate([slope, -slope])[order],
        )

    def among(self, chosen: Bools) -> "_Curve":
        """Keep the points of chosen EVSEs."""
        kept = chosen[self.evse]
        return _Curve(
            row=self.row[kept],
            evse=self.evse[kept],
            at=self.at[kept],
            slope=self.slope[kept],
        )

    def levels(self, left: Floats) -> Floats:
        """Return the level at which each row has taken what is left; infinite where none does."""
        stretches = Stretches.of(self.row)
        first = stretches.first
        slope = stretches.running(self.slope)
        taken = np.zeros(len(slope))
        np.multiply(slope[:-1], self.at[1:] - self.at[:-1], out=taken[1:])
        taken[first] = 0.0
        taken = stretches.running(taken)
        row = self.row[first]
        is_short = taken < stretches.spread(left[row] - TOLERANCE_A)
        passed = np.add.reduceat(is_short, first, dtype=np.intp)
        level = np.full(len(left), np.inf)
        is_full = passed < stretches.size
        point, row = (first + passed)[is_full], row[is_full]
        rises = np.where(passed[is_full] > 0, slope[point - 1], 0.0)
        beyond = np.maximum(taken[point] - left[row], 0.0)
        level[row] = self.at[point] - np.divide(
            beyond, rises, out=np.zeros(len(row)), where=rises > 0
        )
        level[row[left[row] <= TOLERANCE_A]] = -np.inf
        return level
