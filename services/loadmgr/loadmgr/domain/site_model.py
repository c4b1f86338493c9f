"""The site as load management sees it: circuits and EVSEs compiled once per site revision."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from loadmgr.domain.arrays import Floats, Ints, Three
from loadmgr.domain.dimming import Terms
from loadmgr.domain.evse_model import EvseModel, evse_model
from loadmgr.domain.rows import GRID, Owner, Rows, compile_rows
from shared.contracts.charging import LimitScope
from shared.contracts.site import Circuit, Evse, Group, Meter, MeterRole, Mode, SiteConfig
from shared.errors import ConfigError


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
    loaded: tuple[int, ...]
    """Circuits at or below which other consumers are known of: by a meter, or as a worst case."""
    said_most_a: Mapping[int, float]
    """What others draw at most, those below included: of the circuits with a guard and a meter at
    which somebody has said it."""
    below: tuple[tuple[EvseModel, ...], ...]
    """The EVSEs below each circuit."""
    meters: Mapping[str, Meter]
    meters_at: tuple[tuple[Meter, ...], ...]
    rows: Rows
    terms: Terms | None
    """How the grid operator may dim; ``None`` = the site takes no part (section 14a EnWG)."""
    min_a: Floats
    max_a: Floats
    step_a: Floats
    weight: Floats
    priority: Ints
    full_usage: Floats
    """N x 3: 1.0 on each grid phase that the box may load."""
    single_usage: Floats
    """The same for its first line alone."""

    @property
    def is_steering(self) -> bool:
        """S1: only in this mode is anything sent to a device."""
        return self.site.mode is Mode.LOAD_MANAGEMENT

    def circuit_index(self, circuit_id: str) -> int:
        """Return the position of a circuit."""
        return next(i for i, c in enumerate(self.circuits) if c.id == circuit_id)


def compile_site(site: SiteConfig) -> SiteModel:
    """Compile a site. Raises ``ConfigError`` when a reference leads nowhere."""
    circuits = _parents_first(site.circuits)
    position = {circuit.id: index for index, circuit in enumerate(circuits)}
    parents = tuple(-1 if c.parent is None else position[c.parent] for c in circuits)
    evses = tuple(
        evse_model(site, evse, index)
        for index, evse in enumerate(sorted(site.evses, key=lambda e: e.id))
    )
    paths = [
        _path(_found(position, evse.config.circuit, evse.config.id), parents) for evse in evses
    ]
    for meter in site.meters:
        _found(position, meter.circuit, meter.id)
    configs = [evse.config for evse in evses]
    groups = {group.id: group for group in site.groups}
    owners = [_owners(circuits, paths[evse.index], evse.config) for evse in evses]
    return SiteModel(
        revision=site.revision,
        site=site,
        circuits=circuits,
        parents=parents,
        evses=evses,
        evse_by_id={evse.config.id: evse for evse in evses},
        loaded=_loaded(circuits, parents, site.meters),
        said_most_a=_said_most(circuits, parents, site.meters),
        below=_below(evses, paths, len(circuits)),
        meters={meter.id: meter for meter in site.meters},
        meters_at=tuple(tuple(m for m in site.meters if m.circuit == c.id) for c in circuits),
        terms=Terms.of(site),
        rows=compile_rows(circuits, site.groups, owners, imbalance_a=site.imbalance_a),
        min_a=_column(e.min_a for e in configs),
        max_a=_column(e.max_a for e in configs),
        step_a=_column(e.step_a for e in configs),
        weight=_column(e.weight for e in configs),
        priority=np.array([_priority(e, groups) for e in configs], dtype=np.intp),
        full_usage=_usage(evse.usage_by_lines[evse.all_lines] for evse in evses),
        single_usage=_usage(evse.usage_by_lines[0b001] for evse in evses),
    )


def _column(values: Iterable[float]) -> Floats:
    return np.array(list(values), dtype=float)


def _usage(values: Iterable[Three]) -> Floats:
    return np.array(list(values), dtype=float).reshape(-1, 3)


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


def _found(position: Mapping[str, int], circuit: str, named_by: str) -> int:
    if circuit not in position:
        raise ConfigError(f"{named_by} names circuit {circuit}, which does not exist")
    return position[circuit]


def _path(circuit: int, parents: tuple[int, ...]) -> list[int]:
    path = [circuit]
    while parents[path[-1]] >= 0:
        path.append(parents[path[-1]])
    return path


def _owners(circuits: tuple[Circuit, ...], path: list[int], evse: Evse) -> set[Owner]:
    owners: set[Owner] = {(LimitScope.CIRCUIT, circuits[index].id) for index in path}
    if evse.group is not None:
        owners.add((LimitScope.GROUP, evse.group))
    if evse.is_controllable:
        owners.add(GRID)
    return owners


def _priority(evse: Evse, groups: Mapping[str, Group]) -> int:
    group = None if evse.group is None else groups.get(evse.group)
    own = None if group is None else group.priority
    return evse.priority if own is None else own


def _loaded(
    circuits: tuple[Circuit, ...], parents: tuple[int, ...], meters: tuple[Meter, ...]
) -> tuple[int, ...]:
    metered = {meter.circuit for meter in meters}
    own = (i for i, c in enumerate(circuits) if c.id in metered or c.uncontrolled_a > 0)
    return tuple(sorted({above for index in own for above in _path(index, parents)}))


def _said_most(
    circuits: tuple[Circuit, ...], parents: tuple[int, ...], meters: tuple[Meter, ...]
) -> dict[int, float]:
    metered = {meter.circuit for meter in meters if meter.role is not MeterRole.GENERATION}
    most_a = [circuit.uncontrolled_a for circuit in circuits]
    for index in reversed(range(1, len(circuits))):
        most_a[parents[index]] += most_a[index]
    return {
        index: most_a[index]
        for index, circuit in enumerate(circuits)
        if circuit.guard_a > 0 and circuit.uncontrolled_a > 0 and circuit.id in metered
    }


def _below(
    evses: tuple[EvseModel, ...], paths: list[list[int]], count: int
) -> tuple[tuple[EvseModel, ...], ...]:
    members: list[list[EvseModel]] = [[] for _ in range(count)]
    for evse, path in zip(evses, paths, strict=True):
        for circuit in path:
            members[circuit].append(evse)
    return tuple(tuple(group) for group in members)
