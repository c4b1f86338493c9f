"""Arrays by row, by EVSE, or by pairs of both."""

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
    """Return the order by row, and inside each row by rank.

    ``rank`` counts from zero. One key of whole numbers is sorted many times faster than two
    columns of which one is floating.
    """
    return np.argsort(row * (rank.max(initial=0) + 1) + rank, kind="stable")


def ranks(order: Ints) -> Ints:
    """Return the place of each in an order."""
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    return rank


def running_by_row(row: Ints, amounts: Floats) -> Floats:
    """Return the running sum inside each row; what is of the same row stands together."""
    if not len(row):
        return amounts
    running = np.cumsum(amounts)
    first = np.flatnonzero(np.append(True, row[1:] != row[:-1]))
    offset = running[first] - amounts[first]
    return np.asarray(running - np.repeat(offset, np.diff(np.append(first, len(row)))))
