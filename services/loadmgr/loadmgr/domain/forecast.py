"""When each session will have what it wants, and who will not: from what the circuits can carry.

On a row that carries R, everybody who leaves by d can together be given no more than R * (d - now).
Where their energy is more, somebody will not finish, whatever is decided (facts 2.6: U > 1).
"""

from dataclasses import dataclass

import numpy as np

from loadmgr.domain.arrays import Bools, Floats, Ints, Stretches, order_in_rows, ranks
from loadmgr.domain.fill import Members

NOTEWORTHY_WH = 100.0
"""A smaller lack is rounding and losses."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sessions:
    """What is known of each session; one column per EVSE."""

    is_known: Bools
    """It is known how much energy is wanted."""
    missing_wh: Floats
    left_s: Floats
    """Time to departure; NaN = nobody said."""
    volts: Floats
    """Of all phases in use together."""
    most_a: Floats
    """What box, car and everybody else's word allow."""
    rate_a: Floats
    """What it is offered, or deserves while it waits for its turn."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Outlook:
    """What will become of each session."""

    finishes_in_s: Floats
    """Infinite = not at this rate."""
    misses_wh: Floats
    """What it will lack at departure."""


def outlook(sessions: Sessions, members: Members, room: Floats) -> Outlook:
    """Look ahead. A session whose demand nobody told takes part in nothing here."""
    with np.errstate(divide="ignore", invalid="ignore"):
        finishes = sessions.missing_wh * 3_600 / (sessions.volts * sessions.rate_a)
    finishes = np.where(sessions.missing_wh > 0, finishes, 0.0)
    finishes = np.where(sessions.rate_a > 0, finishes, np.inf)
    misses = _missed(sessions, members, room)
    misses[misses < NOTEWORTHY_WH] = 0.0
    return Outlook(finishes_in_s=np.where(sessions.is_known, finishes, np.inf), misses_wh=misses)


def _missed(sessions: Sessions, members: Members, room: Floats) -> Floats:
    """Return what each will lack: by its own maximum, and by the fullest of its rows."""
    has_end = sessions.is_known & ~np.isnan(sessions.left_s) & (sessions.missing_wh > 0)
    left_s = np.where(has_end, np.maximum(sessions.left_s, 0.0), 0.0)
    alone_wh = sessions.volts * sessions.most_a * left_s / 3_600
    missed = np.where(has_end, np.maximum(sessions.missing_wh - alone_wh, 0.0), 0.0)
    mine = members.among(has_end)
    order = order_in_rows(mine.row, ranks(np.argsort(left_s))[mine.evse])
    row, evse, load = mine.row[order], mine.evse[order], mine.load[order]
    amp_s = sessions.missing_wh[evse] * 3_600 / sessions.volts[evse]
    stretches = Stretches.of(row)
    excess = stretches.running(load * amp_s) - np.maximum(room, 0.0)[row] * left_s[evse]
    lacks = np.minimum(_beyond_before(row, stretches, excess) / load, amp_s)
    np.maximum.at(missed, evse, lacks * sessions.volts[evse] / 3_600)
    return missed


def _beyond_before(row: Ints, stretches: Stretches, excess: Floats) -> Floats:
    """Return by how much each excess is above all earlier ones of its row; those are lost."""
    if not len(row):
        return excess
    positive = np.maximum(excess, 0.0)
    far = positive.max() + 1.0
    highest = np.maximum.accumulate(positive + far * row) - far * row
    before = np.concatenate([[0.0], highest[:-1]])
    before[stretches.first] = 0.0
    return np.asarray(np.maximum(positive - np.maximum(before, 0.0), 0.0))
