"""The site as load management sees it: circuits and EVSEs compiled once per site revision.

A *row* is one phase of one circuit, numbered ``3 * circuit + phase``. A *pair* says that an EVSE
lies below a circuit and may load that phase of it. Everything the decision needs of the tree is in
the pair arrays, so that a sum over all rows is one ``bincount``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.contracts.charging import Reason, ReasonCode
from shared.contracts.site import Circuit, Evse, Meter, Mode, SiteConfig
from shared.errors import ConfigError
from shared.units import PHASES, Phase

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]
Three = tuple[float, float, float]

NOTHING: Three = (0.0, 0.0, 0.0)


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
    row_limit_a: Floats
    pair_row: Ints
    pair_evse: Ints
    pair_phase: Ints
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
        """Number of (circuit, phase) rows."""
        return 3 * len(self.circuits)

    def row_sums(self, phase_a: Floats) -> Floats:
        """Add up currents per EVSE and grid phase (shape N x 3) on every row."""
        weights = phase_a[self.pair_evse, self.pair_phase]
        return sum_by_row(self.pair_row, weights, self.row_count)

    def circuit_index(self, circuit_id: str) -> int:
        """Return the position of a circuit."""
        return next(i for i, c in enumerate(self.circuits) if c.id == circuit_id)

    def row_reason(self, code: ReasonCode, row: int) -> Reason:
        """Return a reason that names the circuit and phase of a row."""
        circuit = self.circuits[row // 3]
        return Reason(code=code, circuit=circuit.id, phase=PHASES[row % 3])


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
    pairs = _pairs(paths)
    configs = [evse.config for evse in evses]
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
        row_limit_a=np.array([c.limit_a.on(p) for c in circuits for p in PHASES], dtype=float),
        pair_row=pairs[:, 0],
        pair_evse=pairs[:, 1],
        pair_phase=pairs[:, 2],
        min_a=_column(e.min_a for e in configs),
        max_a=_column(e.max_a for e in configs),
        step_a=_column(e.step_a for e in configs),
        weight=_column(e.weight for e in configs),
        priority=np.array([e.priority for e in configs], dtype=np.intp),
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


def _pairs(paths: list[list[int]]) -> Ints:
    """Return (row, EVSE, phase) sorted by row, then EVSE."""
    rows = [
        (3 * circuit + phase, evse, phase)
        for evse, path in enumerate(paths)
        for circuit in path
        for phase in range(3)
    ]
    return np.array(sorted(rows), dtype=np.intp).reshape(-1, 3)


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
