"""Everything that may have a limit, and which EVSE loads it how much.

A *row* is something that may have a limit: the phases of the circuits, numbered ``3 * circuit +
phase``, then their power, then phases and power of the groups, then what holds for the whole site:
imbalance by phase, power of controllable consumers, power from the sun. A *pair* says that a phase
of an EVSE loads a row, an *entry* that an EVSE does; for power the three phases of a box are one
entry. With these arrays a sum over all rows is one ``bincount``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import inf

import numpy as np

from loadmgr.domain.arrays import Floats, Ints, sum_by_row
from shared.contracts.charging import LimitScope, Reason, ReasonCode
from shared.contracts.site import Circuit, Group
from shared.units import NOMINAL_VOLTAGE_V, PHASES, Phase

Owner = tuple[LimitScope, str]
"""A circuit or group, and its id: whose rows an EVSE loads."""
GRID = (LimitScope.DIMMING, "grid")
"""All controllable consumers (section 14a EnWG)."""


class Trait(IntEnum):
    """What an EVSE must be like to load a row; columns of ``Who``."""

    ANY = 0
    UNBALANCED = 1
    """Its car uses fewer than three phases."""
    SOLAR = 2
    """It charges from the sun only."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A limit, in A of one phase, or in W of all of them."""

    limit: float
    """That of the site; infinite = none."""
    guard: float = 0.0
    """What of a fuse is kept free at most, for the time that a lowering takes."""
    circuit: str | None = None
    group: str | None = None
    phase: Phase | None = None
    """``None`` = a limit of power."""
    trait: Trait = Trait.ANY
    code: ReasonCode = ReasonCode.CIRCUIT
    """What is said of whom it binds."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """All rows of a site, and who loads them; pairs are sorted by row, then EVSE."""

    all: tuple[Row, ...]
    limit: Floats
    """Those of the site; infinite = none."""
    guard: Floats
    places: Mapping[Owner, tuple[int, int]]
    """The row of L1 (-1 = none) and that of the power of each owner."""
    imbalance: int
    """The row of L1; that of the sun is the last of all."""
    pair_row: Ints
    pair_evse: Ints
    pair_phase: Ints
    pair_load: Floats
    """What one ampere of that phase is on the row."""
    pair_trait: Ints
    pair_entry: Ints
    entry_row: Ints
    entry_evse: Ints

    @property
    def count(self) -> int:
        """Number of rows of all kinds."""
        return len(self.all)

    @property
    def solar(self) -> int:
        """The row of power from the sun."""
        return len(self.all) - 1

    def sums(self, phase_a: Floats, who: Floats) -> Floats:
        """Add up currents per EVSE and grid phase (shape N x 3) on every row.

        ``who`` (N x 3) says 1.0 for each ``Trait`` that an EVSE has.
        """
        return sum_by_row(self.pair_row, self._pair_loads(phase_a, who), self.count)

    def entry_loads(self, usage: Floats, who: Floats) -> Floats:
        """Return what one ampere of each entry's EVSE is on its row (``usage`` N x 3, 1 = used)."""
        weights = self._pair_loads(usage, who)
        return sum_by_row(self.pair_entry, weights, len(self.entry_row))

    def _pair_loads(self, phase_a: Floats, who: Floats) -> Floats:
        amps: Floats = phase_a[self.pair_evse, self.pair_phase]
        return self.pair_load * amps * who[self.pair_evse, self.pair_trait]

    def with_circuits(self, circuit_a: Floats) -> Floats:
        """Put what flows at circuits (A, three phases each) on all rows; others have none of it."""
        power_w = NOMINAL_VOLTAGE_V * circuit_a.reshape(-1, 3).sum(axis=1)
        of_others = np.zeros(self.count - circuit_a.size - len(power_w))
        return np.concatenate([circuit_a.ravel(), power_w, of_others])

    def place_of(self, scope: LimitScope, name: str) -> tuple[int, int] | None:
        """Return the row of L1 and that of the power of a circuit or group; None = not there."""
        return self.places.get((scope, name))

    def reason(self, code: ReasonCode, row: int, *, source: str | None = None) -> Reason:
        """Return a reason that names the circuit or group of a row, and its phase."""
        bound = self.all[row]
        return Reason(
            code=bound.code if code is ReasonCode.CIRCUIT else code,
            circuit=bound.circuit,
            group=bound.group,
            phase=bound.phase,
            source=source,
        )


def compile_rows(
    circuits: tuple[Circuit, ...],
    groups: tuple[Group, ...],
    owners: Sequence[set[Owner]],
    *,
    imbalance_a: float | None,
) -> Rows:
    """Return the rows of a site; ``owners`` says of each EVSE whose rows it loads."""
    rows = _rows(circuits, groups, imbalance_a)
    places = _places(circuits, groups)
    imbalance = len(rows) - 5
    row, evse, phase = _pairs(places, owners, imbalance)
    first = np.ones(len(row), dtype=bool)
    first[1:] = (row[1:] != row[:-1]) | (evse[1:] != evse[:-1])
    is_power = np.array([one.phase is None for one in rows], dtype=bool)
    trait = np.array([one.trait for one in rows], dtype=np.intp)
    return Rows(
        all=rows,
        limit=np.array([one.limit for one in rows], dtype=float),
        guard=np.array([one.guard for one in rows], dtype=float),
        places=places,
        imbalance=imbalance,
        pair_row=row,
        pair_evse=evse,
        pair_phase=phase,
        pair_load=np.where(is_power[row], NOMINAL_VOLTAGE_V, 1.0),
        pair_trait=trait[row],
        pair_entry=np.cumsum(first) - 1,
        entry_row=row[first],
        entry_evse=evse[first],
    )


def _rows(
    circuits: tuple[Circuit, ...], groups: tuple[Group, ...], imbalance_a: float | None
) -> tuple[Row, ...]:
    """Return all limits; those of the circuits' phases first, in the order of the circuits."""
    of_circuits = (
        Row(
            limit=c.limit_a.on(p),
            guard=min(c.guard_a, c.limit_a.on(p)),
            circuit=c.id,
            phase=p,
        )
        for c in circuits
        for p in PHASES
    )
    of_groups = (
        Row(
            limit=inf if g.limit_a is None else g.limit_a.on(p),
            group=g.id,
            phase=p,
            code=ReasonCode.GROUP,
        )
        for g in groups
        for p in PHASES
    )
    power = ReasonCode.POWER
    return (
        *of_circuits,
        *(Row(limit=_or_none(c.limit_w), circuit=c.id, code=power) for c in circuits),
        *of_groups,
        *(Row(limit=_or_none(g.limit_w), group=g.id, code=power) for g in groups),
        *_of_the_site(imbalance_a),
    )


def _of_the_site(imbalance_a: float | None) -> tuple[Row, ...]:
    return (
        *(
            Row(
                limit=_or_none(imbalance_a),
                phase=phase,
                trait=Trait.UNBALANCED,
                code=ReasonCode.IMBALANCE,
            )
            for phase in PHASES
        ),
        Row(limit=inf, code=ReasonCode.DIMMED),
        Row(limit=0.0, trait=Trait.SOLAR, code=ReasonCode.SURPLUS),
    )


def _or_none(limit: float | None) -> float:
    return inf if limit is None else limit


def _places(
    circuits: tuple[Circuit, ...], groups: tuple[Group, ...]
) -> dict[Owner, tuple[int, int]]:
    """Return where the rows of each owner are: that of L1, and that of the power."""
    many, of_groups = len(circuits), 4 * len(circuits)
    site = of_groups + 4 * len(groups)
    return {
        **{(LimitScope.CIRCUIT, c.id): (3 * i, 3 * many + i) for i, c in enumerate(circuits)},
        **{
            (LimitScope.GROUP, g.id): (of_groups + 3 * i, of_groups + 3 * len(groups) + i)
            for i, g in enumerate(groups)
        },
        GRID: (-1, site + 3),
    }


def _pairs(
    places: Mapping[Owner, tuple[int, int]], owners: Sequence[set[Owner]], imbalance: int
) -> tuple[Ints, Ints, Ints]:
    """Return row, EVSE and phase of all pairs."""
    owned = [
        (*places[owner], number)
        for number, owned in enumerate(owners)
        for owner in owned
        if owner in places
    ]
    table = np.array(owned, dtype=np.intp).reshape(-1, 3)
    by_phase = table[table[:, 0] >= 0]
    every = np.arange(len(owners), dtype=np.intp)
    site = np.full(len(owners), imbalance, dtype=np.intp)
    pairs = [(by_phase[:, 0] + p, by_phase[:, 2], p) for p in range(3)]
    pairs += [(site + p, every, p) for p in range(3)]
    pairs += [(table[:, 1], table[:, 2], p) for p in range(3)]
    pairs += [(site + 4, every, p) for p in range(3)]
    row = np.concatenate([row for row, _, _ in pairs])
    evse = np.concatenate([evse for _, evse, _ in pairs])
    phase = np.concatenate([np.full(len(row), p, dtype=np.intp) for row, _, p in pairs])
    order = np.lexsort((phase, evse, row))
    return row[order], evse[order], phase[order]
