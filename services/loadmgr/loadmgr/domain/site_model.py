"""The site as load management sees it: circuits and EVSEs compiled once per site revision.

A *row* is something that may have a limit: the phases of the circuits, numbered ``3 * circuit +
phase``, then their power, then phases and power of the groups. A *pair* says that a phase of an
EVSE loads a row, an *entry* that an EVSE does; for power the three phases of a box are one entry.
Everything the decision needs of the tree is in these arrays, so that a sum over all rows is one
``bincount``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from shared.contracts.charging import LimitScope, Reason, ReasonCode
from shared.contracts.site import Circuit, Evse, Group, Meter, Mode, SiteConfig
from shared.errors import ConfigError
from shared.units import NOMINAL_VOLTAGE_V, PHASES, Phase

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]
Three = tuple[float, float, float]

NOTHING: Three = (0.0, 0.0, 0.0)
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


@dataclass(frozen=True, kw_only=True)
class EvseModel:
    """One outlet and how its lines load the phases of the grid."""

    config: Evse
    index: int
    station_id: str
    """As configured; orders are addressed to it."""
    needs_permission: bool
    """S25: a backend must permit charging, because the station asks nobody itself."""
    usage_by_lines: tuple[Three, ...]
    """By bit mask of the box's lines in use: 1.0 on each grid phase that is loaded."""
    grid_phase: tuple[int, int, int] | None
    """Grid phase at each line of the box; ``None`` = the rotation is unknown."""

    @property
    def all_lines(self) -> int:
        """Bit mask of the lines that the box is wired to."""
        return 0b001 if self.config.phases == 1 else 0b111

    def most_on_grid(self, line_a: Three) -> Three:
        """Return the most that these line currents may be on each phase of the grid."""
        if self.grid_phase is None:
            most = max(line_a)
            return (most, most, most)
        return _placed(line_a, self.grid_phase)

    def least_on_grid(self, line_a: Three) -> Three:
        """Return the least that these line currents are on each phase of the grid."""
        if self.grid_phase is None:
            least = min(line_a)
            return (least, least, least)
        return _placed(line_a, self.grid_phase)


@dataclass(frozen=True, eq=False, kw_only=True)
class SiteModel:
    """The compiled site. Circuits are ordered parents first, EVSEs by id."""

    revision: int
    site: SiteConfig
    circuits: tuple[Circuit, ...]
    parents: tuple[int, ...]
    """Index of each circuit's parent; -1 for the root."""
    evses: tuple[EvseModel, ...]
    evse_by_id: Mapping[str, EvseModel]
    below: tuple[tuple[EvseModel, ...], ...]
    """The EVSEs below each circuit."""
    meters: Mapping[str, Meter]
    meters_at: tuple[tuple[Meter, ...], ...]
    rows: tuple[Row, ...]
    row_limit: Floats
    pair_row: Ints
    pair_evse: Ints
    pair_phase: Ints
    pair_load: Floats
    """What one ampere of that phase is on the row."""
    pair_entry: Ints
    entry_row: Ints
    entry_evse: Ints
    row_places: Mapping[Owner, tuple[int, int]]
    min_a: Floats
    max_a: Floats
    step_a: Floats
    weight: Floats
    priority: Ints

    @property
    def is_steering(self) -> bool:
        """S1: only in this mode is anything sent to a device."""
        return self.site.mode is Mode.LOAD_MANAGEMENT

    @property
    def row_count(self) -> int:
        """Number of rows of all kinds."""
        return len(self.rows)

    def row_sums(self, phase_a: Floats) -> Floats:
        """Add up currents per EVSE and grid phase (shape N x 3) on every row."""
        weights = self.pair_load * phase_a[self.pair_evse, self.pair_phase]
        return sum_by_row(self.pair_row, weights, self.row_count)

    def entry_loads(self, usage: Floats) -> Floats:
        """Return what one ampere of each entry's EVSE is on its row (``usage`` N x 3, 1 = used)."""
        weights = self.pair_load * usage[self.pair_evse, self.pair_phase]
        return sum_by_row(self.pair_entry, weights, len(self.entry_row))

    def on_rows(self, circuit_a: Floats) -> Floats:
        """Put what flows at circuits (A, three phases each) on all rows; groups have none of it."""
        power_w = NOMINAL_VOLTAGE_V * circuit_a.reshape(-1, 3).sum(axis=1)
        of_groups = np.zeros(self.row_count - circuit_a.size - len(power_w))
        return np.concatenate([circuit_a.ravel(), power_w, of_groups])

    def rows_of(self, scope: LimitScope, name: str) -> tuple[int, int] | None:
        """Return the row of L1 and that of the power of a circuit or group; None = not there."""
        return self.row_places.get((scope, name))

    def circuit_index(self, circuit_id: str) -> int:
        """Return the position of a circuit."""
        return next(i for i, c in enumerate(self.circuits) if c.id == circuit_id)

    def row_reason(self, code: ReasonCode, row: int, *, source: str | None = None) -> Reason:
        """Return a reason that names the circuit or group of a row, and its phase."""
        bound = self.rows[row]
        if code is ReasonCode.CIRCUIT and bound.phase is None:
            code = ReasonCode.POWER
        elif code is ReasonCode.CIRCUIT and bound.group is not None:
            code = ReasonCode.GROUP
        return Reason(
            code=code, circuit=bound.circuit, group=bound.group, phase=bound.phase, source=source
        )


def sum_by_row(row: Ints, amps: Floats, rows: int) -> Floats:
    """Add up ``amps`` of the same row; a row without any is zero."""
    return np.asarray(np.bincount(row, weights=amps, minlength=rows), dtype=np.float64)


def compile_site(site: SiteConfig) -> SiteModel:
    """Compile a site. Raises ``ConfigError`` when a reference leads nowhere."""
    circuits = _parents_first(site.circuits)
    position = {circuit.id: index for index, circuit in enumerate(circuits)}
    parents = tuple(-1 if c.parent is None else position[c.parent] for c in circuits)
    evses = tuple(
        _evse_model(site, evse, index)
        for index, evse in enumerate(sorted(site.evses, key=lambda e: e.id))
    )
    paths = [_path(_found(position, evse.config), parents) for evse in evses]
    configs = [evse.config for evse in evses]
    groups = {group.id: group for group in site.groups}
    rows = _rows(circuits, site.groups)
    pairs = _Pairs.of(rows, [_owners(circuits, paths[e.index], e.config) for e in evses])
    return SiteModel(
        revision=site.revision,
        site=site,
        circuits=circuits,
        parents=parents,
        evses=evses,
        evse_by_id={evse.config.id: evse for evse in evses},
        below=_below(evses, paths, len(circuits)),
        meters={meter.id: meter for meter in site.meters},
        meters_at=tuple(tuple(m for m in site.meters if m.circuit == c.id) for c in circuits),
        rows=rows,
        row_limit=_column(row.limit for row in rows),
        row_places=_places(circuits, site.groups),
        pair_row=pairs.row,
        pair_evse=pairs.evse,
        pair_phase=pairs.phase,
        pair_load=np.where(pairs.is_power, NOMINAL_VOLTAGE_V, 1.0),
        pair_entry=pairs.entry,
        entry_row=pairs.row[pairs.first],
        entry_evse=pairs.evse[pairs.first],
        min_a=_column(e.min_a for e in configs),
        max_a=_column(e.max_a for e in configs),
        step_a=_column(e.step_a for e in configs),
        weight=_column(e.weight for e in configs),
        priority=np.array([_priority(e, groups) for e in configs], dtype=np.intp),
    )


def _column(values: Iterable[float]) -> Floats:
    return np.array(list(values), dtype=float)


def _parents_first(circuits: tuple[Circuit, ...]) -> tuple[Circuit, ...]:
    ordered: list[Circuit] = []
    known: set[str | None] = {None}
    waiting = sorted(circuits, key=lambda circuit: circuit.id)
    while waiting:
        ready = [circuit for circuit in waiting if circuit.parent in known]
        if not ready:
            raise ConfigError(f"circuit {waiting[0].id} hangs from no root: correct its parent")
        ordered += ready
        known.update(circuit.id for circuit in ready)
        waiting = [circuit for circuit in waiting if circuit.id not in known]
    return tuple(ordered)


def _found(position: Mapping[str, int], evse: Evse) -> int:
    if evse.circuit not in position:
        raise ConfigError(f"EVSE {evse.id} names circuit {evse.circuit}, which does not exist")
    return position[evse.circuit]


def _path(circuit: int, parents: tuple[int, ...]) -> list[int]:
    path = [circuit]
    while parents[path[-1]] >= 0:
        path.append(parents[path[-1]])
    return path


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


def _places(
    circuits: tuple[Circuit, ...], groups: tuple[Group, ...]
) -> dict[Owner, tuple[int, int]]:
    """Return where the rows of each circuit and group are; see ``_rows``."""
    count, first = len(circuits), 4 * len(circuits)
    places: dict[Owner, tuple[int, int]] = {}
    for index, circuit in enumerate(circuits):
        places[LimitScope.CIRCUIT, circuit.id] = (3 * index, 3 * count + index)
    for index, group in enumerate(groups):
        places[LimitScope.GROUP, group.id] = (first + 3 * index, first + 3 * len(groups) + index)
    return places


def _owners(circuits: tuple[Circuit, ...], path: list[int], evse: Evse) -> set[Owner]:
    owners: set[Owner] = {(LimitScope.CIRCUIT, circuits[index].id) for index in path}
    return owners if evse.group is None else owners | {(LimitScope.GROUP, evse.group)}


def _owner(row: Row) -> Owner:
    if row.circuit is not None:
        return (LimitScope.CIRCUIT, row.circuit)
    return (LimitScope.GROUP, row.group or "")


def _priority(evse: Evse, groups: Mapping[str, Group]) -> int:
    group = None if evse.group is None else groups.get(evse.group)
    own = None if group is None else group.priority
    return evse.priority if own is None else own


@dataclass(frozen=True, eq=False, kw_only=True)
class _Pairs:
    """Which phase of which EVSE loads which row, sorted by row, then EVSE."""

    row: Ints
    evse: Ints
    phase: Ints
    is_power: Bools
    entry: Ints
    first: Bools
    """The first pair of each entry."""

    @classmethod
    def of(cls, rows: tuple[Row, ...], owners: list[set[Owner]]) -> "_Pairs":
        """``owners``: of each EVSE."""
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
        row, evse = table[:, 0], table[:, 1]
        first = np.ones(len(row), dtype=bool)
        first[1:] = (row[1:] != row[:-1]) | (evse[1:] != evse[:-1])
        is_power_row = np.array([one.phase is None for one in rows], dtype=bool)
        return cls(
            row=row,
            evse=evse,
            phase=table[:, 2],
            is_power=is_power_row[row],
            entry=np.cumsum(first) - 1,
            first=first,
        )


def _below(
    evses: tuple[EvseModel, ...], paths: list[list[int]], count: int
) -> tuple[tuple[EvseModel, ...], ...]:
    members: list[list[EvseModel]] = [[] for _ in range(count)]
    for evse, path in zip(evses, paths, strict=True):
        for circuit in path:
            members[circuit].append(evse)
    return tuple(tuple(group) for group in members)


def _evse_model(site: SiteConfig, evse: Evse, index: int) -> EvseModel:
    station = site.station(evse.station)
    if station is None:
        raise ConfigError(f"EVSE {evse.id} names station {evse.station}, which does not exist")
    grid_phase = _grid_phases(evse.rotation)
    return EvseModel(
        config=evse,
        index=index,
        station_id=station.id,
        needs_permission=evse.backend is not None and not station.authorises_itself,
        usage_by_lines=tuple(_usage(mask, grid_phase) for mask in range(8)),
        grid_phase=grid_phase,
    )


def _grid_phases(rotation: tuple[Phase, ...] | None) -> tuple[int, int, int] | None:
    if rotation is None:
        return None
    first, second, third = (PHASES.index(phase) for phase in rotation)
    return (first, second, third)


def _usage(mask: int, grid_phase: tuple[int, int, int] | None) -> Three:
    lines = [float(mask >> line & 1) for line in range(3)]
    if grid_phase is None:  # it may hang from any phase, so it counts on all of them
        return (1.0, 1.0, 1.0) if mask else NOTHING
    return _placed((lines[0], lines[1], lines[2]), grid_phase)


def _placed(line_a: Three, grid_phase: tuple[int, int, int]) -> Three:
    grid = [0.0, 0.0, 0.0]
    for line, phase in enumerate(grid_phase):
        grid[phase] = line_a[line]
    return (grid[0], grid[1], grid[2])
