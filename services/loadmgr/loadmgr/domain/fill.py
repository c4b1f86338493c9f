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
    order_in_rows,
    ranks,
    running_by_row,
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
        kept = chosen[self.evse]
        return Members(row=self.row[kept], evse=self.evse[kept], load=self.load[kept])

    def on(self, rows: Bools) -> "Members":
        """Keep the pairs of some rows."""
        kept = rows[self.row]
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

    ``lo`` is granted unseen: where it alone exceeds a row, its members stay at ``lo``. Levels may
    be negative. Without ``offset`` shares are in proportion to the weights.
    """
    offset = np.zeros(len(hi)) if offset is None else offset
    amps, bound = hi.copy(), np.full(len(hi), UNBOUND)
    members = members.on(members.row_sums(hi, len(room)) > room + TOLERANCE_A)
    if not len(members.row):
        return Filled(amps=amps, row=bound)
    curve = _Curve.of(members, lo=lo, hi=hi, weight=weight, offset=offset)
    room = room.copy()
    while len(members.row):
        level = curve.levels(room)
        own = np.full(len(hi), np.inf)
        np.minimum.at(own, members.evse, level[members.row])
        row = _bottlenecks(members, level, own)
        is_open = np.zeros(len(hi), dtype=bool)
        is_open[members.evse] = True
        reached = offset + own * weight
        settled = is_open & ((row != UNBOUND) | (reached >= hi))
        given = np.clip(reached, lo, hi)
        amps[settled] = given[settled]
        bound[settled] = np.where(given[settled] < hi[settled] - TOLERANCE_A, row[settled], UNBOUND)
        room -= members.row_sums(np.where(settled, amps, 0.0), len(room))
        curve = curve.among(is_open & ~settled)
        members = curve.members
    return Filled(amps=amps, row=bound)


def _bottlenecks(members: Members, level: Floats, own: Floats) -> Ints:
    """Return for each EVSE a row of which every member has that row's level.

    Such a row is full whatever happens elsewhere; the row of the lowest level is always one.
    """
    is_bottleneck = np.ones(len(level), dtype=bool)
    is_bottleneck[members.row[own[members.evse] < level[members.row]]] = False
    found = is_bottleneck[members.row]
    row = np.full(len(own), UNBOUND)
    # Rows are sorted parents first: written in reverse, the row nearest to the root is named.
    row[members.evse[found][::-1]] = members.row[found][::-1]
    return row


@dataclass(frozen=True, eq=False, kw_only=True)
class _Curve:
    """For every row the piecewise linear sum of its members' currents over the level.

    The points where a member begins to rise and where it has its maximum, by row and level.
    """

    members: Members
    lo: Floats
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
        order = order_in_rows(row, ranks(np.argsort(level))[point])
        evse = np.concatenate([members.evse, members.evse])[order]
        slope = np.concatenate([members.load, -members.load])[order] * weight[evse]
        return cls(
            members=members,
            lo=lo,
            row=row[order],
            evse=evse,
            at=level[point[order]],
            slope=slope,
        )

    def among(self, chosen: Bools) -> "_Curve":
        """Keep the points of chosen EVSEs."""
        kept = chosen[self.evse]
        return _Curve(
            members=self.members.among(chosen),
            lo=self.lo,
            row=self.row[kept],
            evse=self.evse[kept],
            at=self.at[kept],
            slope=self.slope[kept],
        )

    def levels(self, room: Floats) -> Floats:
        """Return the level at which each row is full; infinite where it never is."""
        members, row = self.members, self.row
        is_first = np.append(True, row[1:] != row[:-1])
        before = np.where(is_first, 0.0, np.roll(running_by_row(row, self.slope), 1))
        run = np.where(is_first, 0.0, np.diff(self.at, prepend=0.0))
        base = members.row_sums(self.lo, len(room))
        total = base[row] + running_by_row(row, before * run)
        reached = np.flatnonzero(total >= room[row] - TOLERANCE_A)
        level = np.full(len(room), np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            back = (total[reached] - room[row[reached]]) / before[reached]
        exact = self.at[reached] - np.where(before[reached] > 0, np.maximum(back, 0.0), 0.0)
        level[row[reached][::-1]] = exact[::-1]  # the first point that reaches counts
        is_loaded = np.zeros(len(room), dtype=bool)
        is_loaded[members.row] = True
        level[is_loaded & (base >= room - TOLERANCE_A)] = -np.inf
        return level
