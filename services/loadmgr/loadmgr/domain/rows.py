"""Everything that may have a limit, and which EVSE loads it how much.

A *row* is something that may have a limit: the phases of the circuits, numbered ``3 * circuit +
phase``, then their power, then phases and power of the groups. A *pair* says that a phase of an
EVSE loads a row, an *entry* that an EVSE does; for power the three phases of a box are one entry.
With these arrays a sum over all rows is one ``bincount``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from loadmgr.domain.arrays import Floats, Ints, sum_by_row
from shared.contracts.charging import LimitScope, Reason, ReasonCode
from shared.contracts.site import Circuit, Group
from shared.units import NOMINAL_VOLTAGE_V, PHASES, Phase

Owner = tuple[LimitScope, str]
"""A circuit or group, and its id: whose rows an EVSE loads."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A limit, in A of one phase, or in W of all of them."""

    limit: float
    """That of the site; infinite = none."""
    circuit: str | None = None
    group: str | None = None
    phase: Phase | None = None
    """``None`` = a limit of power."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """All rows of a site, and who loads them; pairs are sorted by row, then EVSE."""

    all: tuple[Row, ...]
    limit: Floats
    """Those of the site; infinite = none."""
    places: Mapping[Owner, tuple[int, int]]
    pair_row: Ints
    pair_evse: Ints
    pair_phase: Ints
    pair_load: Floats
    """What one ampere of that phase is on the row."""
    pair_entry: Ints
    entry_row: Ints
    entry_evse: Ints

    @property
    def count(self) -> int:
        """Number of rows of all kinds."""
        return len(self.all)

    def sums(self, phase_a: Floats) -> Floats:
        """Add up currents per EVSE and grid phase (shape N x 3) on every row."""
        weights = self.pair_load * phase_a[self.pair_evse, self.pair_phase]
        return sum_by_row(self.pair_row, weights, self.count)

    def entry_loads(self, usage: Floats) -> Floats:
        """Return what one ampere of each entry's EVSE is on its row (``usage`` N x 3, 1 = used)."""
        weights = self.pair_load * usage[self.pair_evse, self.pair_phase]
        return sum_by_row(self.pair_entry, weights, len(self.entry_row))

    def with_circuits(self, circuit_a: Floats) -> Floats:
        """Put what flows at circuits (A, three phases each) on all rows; groups have none of it."""
        power_w = NOMINAL_VOLTAGE_V * circuit_a.reshape(-1, 3).sum(axis=1)
        of_groups = np.zeros(self.count - circuit_a.size - len(power_w))
        return np.concatenate([circuit_a.ravel(), power_w, of_groups])

    def place_of(self, scope: LimitScope, name: str) -> tuple[int, int] | None:
        """Return the row of L1 and that of the power of a circuit or group; None = not there."""
        return self.places.get((scope, name))

    def reason(self, code: ReasonCode, row: int, *, source: str | None = None) -> Reason:
        """Return a reason that names the circuit or group of a row, and its phase."""
        bound = self.all[row]
        if code is ReasonCode.CIRCUIT and bound.phase is None:
            code = ReasonCode.POWER
        elif code is ReasonCode.CIRCUIT and bound.group is not None:
            code = ReasonCode.GROUP
        return Reason(
            code=code, circuit=bound.circuit, group=bound.group, phase=bound.phase, source=source
        )


def compile_rows(
    circuits: tuple[Circuit, ...], groups: tuple[Group, ...], owners: Sequence[set[Owner]]
) -> Rows:
    """Return the rows of circuits and groups; ``owners`` says of each EVSE whose rows it loads."""
    rows = _rows(circuits, groups)
    row, evse, phase = _pairs(rows, owners)
    first = np.ones(len(row), dtype=bool)
    first[1:] = (row[1:] != row[:-1]) | (evse[1:] != evse[:-1])
    is_power = np.array([one.phase is None for one in rows], dtype=bool)
    return Rows(
        all=rows,
        limit=np.array([one.limit for one in rows], dtype=float),
        places=_places(rows),
        pair_row=row,
        pair_evse=evse,
        pair_phase=phase,
        pair_load=np.where(is_power[row], NOMINAL_VOLTAGE_V, 1.0),
        pair_entry=np.cumsum(first) - 1,
        entry_row=row[first],
        entry_evse=evse[first],
    )


def _pairs(rows: tuple[Row, ...], owners: Sequence[set[Owner]]) -> tuple[Ints, Ints, Ints]:
    """Return row, EVSE and phase of all pairs."""
    loads: dict[Owner, list[int]] = {}
    for number, owned in enumerate(owners):
        for owner in owned:
            loads.setdefault(owner, []).append(number)
    found = [
        (index, number, phase)
        for index, one in enumerate(rows)
        for number in loads.get(_owner(one), ())
        for phase in (range(3) if one.phase is None else (PHASES.index(one.phase),))
    ]
    table = np.array(found, dtype=np.intp).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def _rows(circuits: tuple[Circuit, ...], groups: tuple[Group, ...]) -> tuple[Row, ...]:
    """Return all limits; those of the circuits' phases first, in the order of the circuits."""
    return (
        *(
            Row(limit=max(0.0, c.limit_a.on(p) - c.guard_a), circuit=c.id, phase=p)
            for c in circuits
            for p in PHASES
        ),
        *(Row(limit=_or_none(c.limit_w), circuit=c.id) for c in circuits),
        *(
            Row(limit=inf if g.limit_a is None else g.limit_a.on(p), group=g.id, phase=p)
            for g in groups
            for p in PHASES
        ),
        *(Row(limit=_or_none(g.limit_w), group=g.id) for g in groups),
    )


def _or_none(limit: float | None) -> float:
    return inf if limit is None else limit


def _places(rows: tuple[Row, ...]) -> dict[Owner, tuple[int, int]]:
    """Return where the rows of each circuit and group are: that of L1, and that of the power."""
    first = {_owner(row): index for index, row in enumerate(rows) if row.phase is Phase.L1}
    power = {_owner(row): index for index, row in enumerate(rows) if row.phase is None}
    return {owner: (first[owner], power[owner]) for owner in first}


def _owner(row: Row) -> Owner:
    if row.circuit is not None:
        return (LimitScope.CIRCUIT, row.circuit)
    return (LimitScope.GROUP, row.group or "")
