"""What other consumers and the sun did, from meters in a decision log less what EVSEs drew.

Means of a minute, because meters and boxes do not speak of the same moment. A circuit without a
meter is taken to have no other consumers: nobody has seen any.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from loadmgr.domain.arrays import Floats, Three
from loadmgr.domain.site_model import SiteModel
from loadmgr.dry_run.base_load import BaseLoad, LoadStep
from shared.contracts.site import Circuit, Evse, MeterRole, SiteConfig
from shared.units import PHASES

MINUTE_S = 60.0
TRIFLE_A = 0.3
"""A smaller change makes no new step."""


class LoadBook:
    """Other consumers at all circuits, minute by minute."""

    def __init__(self, model: SiteModel) -> None:
        """Begin at second 0 with nothing."""
        self._steps: dict[str, list[LoadStep]] = {}
        self._minute = 0
        self._use(model)

    def configure(self, model: SiteModel) -> None:
        """Take over another site."""
        self._end_minute()
        self._use(model)

    def draw(self, evse_id: str, line_a: tuple[float, ...]) -> None:
        """Take in what an EVSE draws now, at its own lines."""
        evse = self._model.evse_by_id.get(evse_id)
        if evse is None:
            return
        now = _on_grid(evse.config, line_a)
        change = now - self._evse_a[evse.index]
        self._evse_a[evse.index] = now
        circuit = self._model.circuit_index(evse.config.circuit)
        while circuit >= 0:
            self._drawn_a[circuit] += change
            circuit = self._model.parents[circuit]

    def sample(self, meter_id: str, shown: dict[str, Any], at_s: float) -> None:
        """Take in a reading of a meter."""
        meter = self._model.meters.get(meter_id)
        if meter is None:
            return
        minute = int(at_s // MINUTE_S)
        if minute > self._minute:
            self._end_minute()
            self._minute = minute
        circuit = self._model.circuit_index(meter.circuit)
        amps = np.array([shown.get(key) or 0.0 for key in ("l1", "l2", "l3")], dtype=float)
        if meter.role is MeterRole.GRID:
            amps = amps - self._drawn_a[circuit]
        sums = self._sums.setdefault((circuit, meter.role, meter_id), [0, np.zeros(3)])
        sums[0] += 1
        sums[1] += amps

    def base_load(self) -> BaseLoad:
        """Return everything that was seen."""
        self._end_minute()
        return BaseLoad(steps={key: tuple(steps) for key, steps in self._steps.items()})

    def _use(self, model: SiteModel) -> None:
        self._model = model
        self._sums: dict[tuple[int, MeterRole, str], list[Any]] = {}
        self._evse_a = np.zeros((len(model.evses), 3))
        self._drawn_a = np.zeros((len(model.circuits), 3))

    def _end_minute(self) -> None:
        """Share what was seen among the circuits: what flows below is not a circuit's own."""
        sums, self._sums = self._sums, {}
        if not sums:
            return
        below = np.zeros((len(self._model.circuits), 3))
        for circuit in reversed(range(len(self._model.circuits))):
            means = {
                role: sum(
                    total / count
                    for (at, kind, _), (count, total) in sums.items()
                    if (at, kind) == (circuit, role)
                )
                for role in {role for at, role, _ in sums if at == circuit}
            }
            net = self._note(circuit, means, below[circuit])
            if self._model.parents[circuit] >= 0:
                below[self._model.parents[circuit]] += net

    def _note(self, circuit: int, means: dict[MeterRole, Any], below: Floats) -> Floats:
        """Note the step of a circuit; return what flows there beside the EVSEs."""
        fed = np.maximum(0.0, -means.get(MeterRole.GENERATION, np.zeros(3)))
        if MeterRole.GRID in means:
            own = means[MeterRole.GRID] - below + fed
            fed = fed + np.maximum(0.0, -own)
            drawn = np.maximum(0.0, own)
        else:
            drawn = np.maximum(0.0, means.get(MeterRole.CONSUMPTION, np.zeros(3)))
        step = LoadStep(self._minute * MINUTE_S, _three(drawn), _three(fed))
        steps = self._steps.setdefault(self._model.circuits[circuit].id, [])
        if means and (not steps or _differ(steps[-1], step)):
            steps.append(step)
        net: Floats = below + drawn - fed
        return net


def refitted(load: BaseLoad, old: SiteConfig, new: SiteConfig) -> BaseLoad:
    """Return the load for a changed site: of a circuit that is gone, at the next one above."""
    there = {circuit.id for circuit in new.circuits}
    parents = {circuit.id: circuit.parent for circuit in old.circuits}
    root = next((circuit.id for circuit in new.circuits if circuit.parent is None), None)
    homes: dict[str, list[tuple[LoadStep, ...]]] = {}
    for circuit_id, steps in load.steps.items():
        home: str | None = circuit_id
        while home is not None and home not in there:
            home = parents.get(home)
        home = root if home is None else home
        if home is not None:
            homes.setdefault(home, []).append(steps)
    return BaseLoad(steps={home: _joined(parts) for home, parts in homes.items()})


def _joined(parts: list[tuple[LoadStep, ...]]) -> tuple[LoadStep, ...]:
    if len(parts) == 1:
        return parts[0]
    loads = BaseLoad(steps={str(number): steps for number, steps in enumerate(parts)})
    times = sorted({step.begins_s for steps in parts for step in steps})
    return tuple(_sum(loads, at_s) for at_s in times)


def _sum(loads: BaseLoad, at_s: float) -> LoadStep:
    steps = [loads.at(key, at_s) for key in loads.steps]
    drawn = np.sum([step.drawn_a for step in steps], axis=0)
    fed = np.sum([step.fed_a for step in steps], axis=0)
    return LoadStep(at_s, _three(drawn), _three(fed))


def new_circuits(old: Iterable[Circuit], new: Iterable[Circuit]) -> frozenset[str]:
    """Return the ids of circuits that a changed site has and the old one had not."""
    return frozenset(c.id for c in new) - frozenset(c.id for c in old)


def _on_grid(evse: Evse, line_a: tuple[float, ...]) -> Floats:
    amps = np.zeros(3)
    for phase, drawn_a in zip(evse.rotation or PHASES, line_a, strict=True):
        amps[PHASES.index(phase)] = drawn_a
    return amps


def _three(amps: Floats) -> Three:
    first, second, third = (round(float(a), 2) for a in amps)
    return (first, second, third)


def _differ(one: LoadStep, other: LoadStep) -> bool:
    pairs = zip((*one.drawn_a, *one.fed_a), (*other.drawn_a, *other.fed_a), strict=True)
    return any(abs(first - second) > TRIFLE_A for first, second in pairs)
