"""Water-filling: who gets how much when what there is does not suffice for all.

``fill`` raises one level in every EVSE until a row is full or the EVSE has its maximum, so that
nobody can be given more without taking it from somebody with less (lexicographic max-min), on all
rows at once and exactly. What the level means is the policy's business: an EVSE at level ``l`` has
``offset + weight * l``. It knows neither minimum currents nor steps.
"""

from dataclasses import dataclass

import numpy as np

from loadmgr.domain.arrays import Bools, Floats, Ints, order_in_rows, ranks, sum_by_row
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
    curve = _Curve(members, lo=lo, hi=hi, weight=weight, offset=offset)
    is_open = np.zeros(len(hi), dtype=bool)
    is_open[members.evse] = True
    room = room.copy()
    while is_open.any():
        level = curve.levels(is_open, room)
        own = np.full(len(hi), np.inf)
        np.minimum.at(own, members.evse, level[members.row])
        row = _bottlenecks(members, level, own, is_open)
        reached = offset + own * weight
        settled = is_open & ((row != UNBOUND) | (reached >= hi))
        given = np.clip(reached, lo, hi)
        amps[settled] = given[settled]
        bound[settled] = np.where(given[settled] < hi[settled] - TOLERANCE_A, row[settled], UNBOUND)
        room -= members.row_sums(np.where(settled, amps, 0.0), len(room))
        is_open &= ~settled
    return Filled(amps=amps, row=bound)


def _bottlenecks(members: Members, level: Floats, own: Floats, is_open: Bools) -> Ints:
    """Return for each EVSE a row of which every open member has that row's level.

    Such a row is full whatever happens elsewhere; the row of the lowest level is always one.
    """
    open_pair = is_open[members.evse]
    lower = open_pair & (own[members.evse] < level[members.row])
    is_bottleneck = np.ones(len(level), dtype=bool)
    is_bottleneck[members.row[lower]] = False
    found = open_pair & is_bottleneck[members.row]
    row = np.full(len(is_open), UNBOUND)
    # Rows are sorted parents first: written in reverse, the row nearest to the root is named.
    row[members.evse[found][::-1]] = members.row[found][::-1]
    return row


class _Curve:
    """For every row the piecewise linear sum of its members' currents over the level."""

    def __init__(
        self, members: Members, *, lo: Floats, hi: Floats, weight: Floats, offset: Floats
    ) -> None:
        row = np.concatenate([members.row, members.row])
        evse = np.concatenate([members.evse, members.evse])
        load = np.concatenate([members.load, -members.load])
        level = np.concatenate([(lo - offset) / weight, (hi - offset) / weight])
        point = np.concatenate([members.evse, members.evse + len(lo)])
        order = order_in_rows(row, ranks(np.argsort(level))[point])
        self._row, self._evse, self._at = row[order], evse[order], level[point[order]]
        self._slope = load[order] * weight[self._evse]
        self._is_first = np.ones(len(row), dtype=bool)
        self._is_first[1:] = self._row[1:] != self._row[:-1]
        self._first = np.flatnonzero(self._is_first)
        self._size = np.diff(np.append(self._first, len(row)))
        self._run = np.where(self._is_first, 0.0, np.diff(self._at, prepend=0.0))
        self._members, self._lo = members, lo

    def levels(self, is_open: Bools, room: Floats) -> Floats:
        """Return the level at which each row is full; infinite where it never is."""
        base = self._members.row_sums(np.where(is_open, self._lo, 0.0), len(room))
        slope = self._segment_sums(np.where(is_open[self._evse], self._slope, 0.0))
        before = np.where(self._is_first, 0.0, np.roll(slope, 1))
        total = base[self._row] + self._segment_sums(before * self._run)
        reached = np.flatnonzero(total >= room[self._row] - TOLERANCE_A)
        level = np.full(len(room), np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            back = (total[reached] - room[self._row[reached]]) / before[reached]
        exact = self._at[reached] - np.where(before[reached] > 0, np.maximum(back, 0.0), 0.0)
        level[self._row[reached][::-1]] = exact[::-1]  # the first point that reaches counts
        has_open = np.zeros(len(room), dtype=bool)
        has_open[self._members.row[is_open[self._members.evse]]] = True
        level[~has_open] = np.inf
        level[has_open & (base >= room - TOLERANCE_A)] = -np.inf
        return level

    def _segment_sums(self, values: Floats) -> Floats:
        """Return the running sum inside each row."""
        running = np.cumsum(values)
        offset = running[self._first] - values[self._first]
        return running - np.repeat(offset, self._size)
