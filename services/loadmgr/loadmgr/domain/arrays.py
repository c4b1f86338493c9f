"""Arrays by row, by EVSE, or by pairs of both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]
Three = tuple[float, float, float]

NOTHING: Three = (0.0, 0.0, 0.0)


def sum_by_row(row: Ints, amounts: Floats, rows: int) -> Floats:
    """Add up what is of the same row; a row without any is zero."""
    return np.asarray(np.bincount(row, weights=amounts, minlength=rows), dtype=np.float64)


def order_in_rows(row: Ints, rank: Ints) -> Ints:
    """Return the order by row, and inside each row by rank; no rank is twice in a row.

    ``rank`` counts from zero. One key of whole numbers is sorted many times faster than two
    columns of which one is floating.
    """
    return np.argsort(row * (rank.max(initial=0) + 1) + rank)


def order_among(chosen: Bools, keys: Sequence[NDArray[Any]]) -> Ints:
    """Return the chosen, sorted by these keys; the last counts most, as in ``numpy.lexsort``."""
    places = chosen.nonzero()[0]
    return np.asarray(places[np.lexsort([key[places] for key in keys])])


def ranks(order: Ints) -> Ints:
    """Return the place of each in an order."""
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    return rank


@dataclass(frozen=True, eq=False, slots=True)
class Stretches:
    """Where the entries of one row stand together, for sums that begin anew with each row."""

    first: Ints
    """The first entry of each row that is there."""
    size: Ints

    @classmethod
    def of(cls, row: Ints) -> "Stretches":
        """Find them in a column in which what is of the same row stands together."""
        if not len(row):
            return cls(row, row)
        changes = (row[1:] != row[:-1]).nonzero()[0] + 1
        bounds = np.concatenate([[0], changes, [len(row)]])
        return cls(bounds[:-1], bounds[1:] - bounds[:-1])

    def running(self, amounts: Floats) -> Floats:
        """Return the running sum inside each row."""
        running: Floats = amounts.cumsum()
        running -= self.spread(running[self.first] - amounts[self.first])
        return running

    def spread(self, of_rows: Floats) -> Floats:
        """Give every entry what is known of its row."""
        return of_rows.repeat(self.size)
