"""A plan until the last departure, for when not all can be full in time.

Least laxity is right while all can finish (arXiv 2102.08610). Beyond that it starves whoever has
time, and parts of the tree that only a few can use stay idle. So what is left of the stays is cut
into blocks, all blocks are planned together, and the first one is what is asked for now; the next
decision plans anew. Own formulation; facts 3.3 is what it has to beat.
"""

import numpy as np

from loadmgr.domain.arrays import Bools, Floats, Ints, sum_by_row
from loadmgr.domain.fill import Members
from loadmgr.domain.interior import Problem, solve
from loadmgr.domain.policy import Stays

BLOCKS = 8
LEAST_BLOCKS = 4
"""Fewer are no plan."""
BLOCK_S = 300.0
"""The first block, and what all edges are rounded to."""
FARTHEST_S = 172_800.0
"""Nobody plans beyond two days."""
LATER = 0.05
"""Energy in an hour is worth so much less than now: plans may be wrong."""
FAIR = 0.05
"""What all of its energy is worth to a vehicle that has nothing yet, beside the energy itself."""
MOST_UNKNOWNS = 240
"""Groups times blocks; a step costs the cube of it, so many groups have fewer blocks."""
LEAST_ROOM = 1e-3
"""A row with less, in its unit, is full."""


def planned_a(
    stays: Stays, members: Members, room: Floats, *, chosen: Bools, weight: Floats
) -> Floats | None:
    """Return the current of the first block, A, per EVSE; nothing for those not ``chosen``.

    ``room`` is what each row has for them, in its unit. ``None`` = nothing binds, or a plan would
    cost too much: whoever asks needs none, or has to do without.
    """
    who = _with_room(members, room, chosen & (stays.most_a > 0))
    index = np.flatnonzero(who)
    if not len(index):
        return None
    mine = stays.among(index)
    group, load, row = _groups(_binding(members.among(who), mine, index, room), index, len(room))
    blocks = min(MOST_UNKNOWNS // load.shape[1], BLOCKS)
    if not len(row) or blocks < LEAST_BLOCKS:
        return None
    left_s = np.minimum(mine.stays_s, FARTHEST_S)
    edges_s = edges(left_s, blocks)
    most = _most_a(mine, left_s, edges_s)
    value, curve = _worth(mine, weight[index], edges_s)
    by_group = np.argsort(group, kind="stable")
    plan = solve(
        Problem(
            value=value[by_group],
            curve=curve[by_group],
            most=most[by_group],
            energy=(mine.missing_wh / mine.volts)[by_group],
            hours=np.diff(edges_s) / 3_600,
            group=group[by_group],
            load=load,
            room=room[row],
        )
    )
    if plan is None:
        return None
    amps = np.zeros(len(who))
    amps[index[by_group]] = plan[:, 0]
    return amps


def edges(left_s: Floats, blocks: int = BLOCKS) -> Floats:
    """Return where blocks begin and end: now, the first, then finer where many leave and soon.

    They are the mean of quantiles of the departures and of a parabola to the last one.
    """
    last_s = left_s.max()
    part = np.arange(1, blocks) / (blocks - 1)
    parabola_s = BLOCK_S + (last_s - BLOCK_S) * part**2
    edges_s = np.append([0.0, BLOCK_S], (np.quantile(left_s, part) + parabola_s) / 2)
    return np.unique(np.round(np.minimum(edges_s, last_s) / BLOCK_S)) * BLOCK_S


def _with_room(members: Members, room: Floats, who: Bools) -> Bools:
    full = (room < LEAST_ROOM)[members.row]
    has_room = who.copy()
    has_room[members.evse[full]] = False
    return has_room


def _binding(members: Members, stays: Stays, index: Ints, room: Floats) -> Members:
    """Keep the rows that can bind: nobody ever takes more than in the first block."""
    highest = np.zeros(int(index[-1]) + 1)
    highest[index] = np.minimum(stays.most_a, stays.missing_wh / stays.volts * 3_600 / BLOCK_S)
    may_bind = members.row_sums(highest, len(room)) > room
    return members.where(may_bind[members.row])


def _most_a(stays: Stays, left_s: Floats, edges_s: Floats) -> Floats:
    """Return the most in each block, n x K: while it is there, and no more than it wants."""
    length_s = np.diff(edges_s)
    is_there = np.clip((left_s[:, np.newaxis] - edges_s[:-1]) / length_s, 0.0, 1.0)
    wanted_a = (stays.missing_wh / stays.volts)[:, np.newaxis] * 3_600 / length_s
    return np.minimum(stays.most_a[:, np.newaxis] * is_there, wanted_a)


def _worth(stays: Stays, weight: Floats, edges_s: Floats) -> tuple[Floats, Floats]:
    """Return the value of one ampere in each block, and by how much it falls with what one has.

    Energy counts alike wherever it goes, a little less the later; on top comes what is missing of
    the share that each has got of what it wanted, which makes equals equal.
    """
    hours, middle_h = np.diff(edges_s) / 3_600, (edges_s[:-1] + edges_s[1:]) / 7_200
    energy = stays.volts / stays.volts.max()
    all_ah = (stays.missing_wh + stays.delivered_wh) / stays.volts
    fair = FAIR * weight * (all_ah * energy).mean() / all_ah
    missing = stays.missing_wh / (stays.missing_wh + stays.delivered_wh)
    value = np.outer(energy, np.exp(-LATER * middle_h)) + (fair * missing)[:, np.newaxis]
    return value * hours, fair / all_ah


def _groups(binding: Members, index: Ints, rows: int) -> tuple[Ints, Floats, Ints]:
    """Return the group of each EVSE, what each group loads, and which rows there are.

    Who loads the same rows alike has the same sum of random numbers of these rows.
    """
    row, row_of = np.unique(binding.row, return_inverse=True)
    mark = np.random.default_rng(rows).random(rows)[binding.row]
    marks = sum_by_row(binding.evse, binding.load * mark, int(index[-1]) + 1)
    _, first, group = np.unique(marks[index], return_index=True, return_inverse=True)
    place = np.full(len(marks), -1)
    place[index[first]] = np.arange(len(first))
    is_first = place[binding.evse] >= 0
    load = np.zeros((len(row), len(first)))
    load[row_of[is_first], place[binding.evse[is_first]]] = binding.load[is_first]
    return group, load, row
