"""The fuse while boxes lag and disobey and other consumers jump: load management beside two others.

The safety simulation of the load-management facts, section 2.5, on the virtual garage of dry runs:
60 EVSEs below a main fuse and four floors, 1 s steps. ``measure`` returns the rows of a table;
``python -m tests.bench.closed_loop`` prints them.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from loadmgr.domain.site_model import SiteModel, compile_site
from loadmgr.dry_run.base_load import BaseLoad, LoadStep
from loadmgr.dry_run.boxes import Manner
from loadmgr.dry_run.control import Control, LoadManagement
from loadmgr.dry_run.visits import Visit
from loadmgr.dry_run.world import Conditions, World
from shared.contracts.site import Circuit, Evse, Meter, MeterRole, ModbusAccess, SiteConfig, Station
from shared.units import PHASES
from tests.bench.markdown import table
from tests.bench.textbook import Clamp, FairShare

BEGINS = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
EVSES, FLOORS = 60, 4
MAIN_A, FLOOR_A = 315.0, 125.0
SEEDS = (1, 2, 3)
HOUR_S = 3_600
JUMP = 0.15
"""A step of other consumers is at most this share of the main fuse."""
GUARDS = {"99.5 %": 0.995, "99.9 %": 0.999}
"""How an operator sizes the guard: what the meter rises by from one second to the next, in all but
five of 1,000, or in all but one as the facts advise."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What goes wrong in a garage."""

    name: str
    jumps_per_h: int = 0
    ignores: float = 0.0
    """Share of the lowerings that a box accepts and does not carry out."""
    deaf: float = 0.0
    """Share of the boxes that never carry out a lowering."""


CASES = (
    Case(name="lag only"),
    Case(name="+ 60 base-load steps/h", jumps_per_h=60),
    Case(name="+ 3 % of lowerings ignored", jumps_per_h=60, ignores=0.03),
    Case(name="+ 3 % of boxes ignore all lowerings", jumps_per_h=60, deaf=0.03),
)


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """Somebody who decides."""

    name: str
    make: Callable[[SiteModel], Control]
    guard: float | None = None
    """The quantile of the meter's rises that the main fuse keeps free; ``None`` = no guard."""


def _load_management(model: SiteModel) -> Control:
    return LoadManagement(model, BEGINS.timestamp())


CONTESTANTS = (
    Contestant(name="clamp to (limit - measured)", make=Clamp),
    Contestant(name="fair share, no reservation", make=FairShare),
    Contestant(name="load management", make=_load_management),
    *(
        Contestant(name=f"load management, guard {name}", make=_load_management, guard=quantile)
        for name, quantile in GUARDS.items()
    ),
)


@dataclass(kw_only=True)
class Row:
    """One contestant in one case: means of the seeds per hour, and the worst of all."""

    case: str
    contestant: str
    overload_s: float = 0.0
    far_s: float = 0.0
    longest_s: float = 0.0
    worst_share: float = 0.0
    kwh: float = 0.0
    setpoints: float = 0.0
    guard_a: float = 0.0
    overloads: list[str] = field(default_factory=list)
    """Each overload with its second and circuit, to look for its cause."""


class Garage(NamedTuple):
    """All that a seed decides."""

    site: SiteConfig
    visits: tuple[Visit, ...]
    conditions: Conditions
    rises_a: tuple[float, ...]
    """What the meter rises by from each second to the next, because of other consumers."""

    def guard_a(self, quantile: float | None) -> float:
        """Return the guard that an operator reads off his meter, in whole ampere."""
        if quantile is None:
            return 0.0
        return float(np.ceil(np.quantile(self.rises_a, quantile)))


def measure(
    *,
    seeds: Sequence[int] = SEEDS,
    hours: float = 1.0,
    cases: Sequence[Case] = CASES,
    contestants: Sequence[Contestant] = CONTESTANTS,
    evses: int = EVSES,
) -> list[Row]:
    """Run every contestant in every case with every seed."""
    rows = []
    for case in cases:
        for contestant in contestants:
            if contestant.guard is not None and not case.jumps_per_h:
                continue
            row = Row(case=case.name, contestant=contestant.name)
            for seed in seeds:
                one = garage(case, seed, hours=hours, evses=evses)
                _add(row, contestant, one, hours=hours, seeds=len(seeds))
            rows.append(row)
    return rows


def garage(case: Case, seed: int, *, hours: float, evses: int = EVSES) -> Garage:
    """Return a garage with its vehicles, its boxes' manners and its other consumers."""
    chance = np.random.default_rng(seed)
    site = _site(chance, evses)
    visits = tuple(v for evse in site.evses for v in _visits(evse, chance, hours * HOUR_S))
    manners = {evse.id: _manner(case, chance) for evse in site.evses}
    main_a = site.circuits[0].limit_a.L1
    base_load = _base_load(case, chance, hours=hours, main_a=main_a)
    conditions = Conditions(
        begins=BEGINS, step_s=1.0, base_load=base_load, manners=manners, seed=seed
    )
    return Garage(site, visits, conditions, _rises_a(base_load, hours))


def _site(chance: np.random.Generator, evses: int) -> SiteConfig:
    size = evses / EVSES
    main_a = round(MAIN_A * size)
    main = Circuit(id="main", limit_a=main_a, uncontrolled_a=JUMP * main_a)
    floors = [
        Circuit(id=f"floor{n}", parent="main", limit_a=round(FLOOR_A * size)) for n in range(FLOORS)
    ]
    names = [f"{number:02}" for number in range(evses)]
    return SiteConfig(
        circuits=(main, *floors),
        stations=tuple(Station(id=f"station{name}", protocol="ocpp") for name in names),
        evses=tuple(
            Evse(
                id=f"bay{name}",
                station=f"station{name}",
                circuit=f"floor{number % FLOORS}",
                rotation=(*PHASES[number % 3 :], *PHASES[: number % 3]),
                max_a=32.0 if chance.random() < 0.3 else 16.0,
            )
            for number, name in enumerate(names)
        ),
        meters=(
            Meter(
                id="grid",
                circuit="main",
                role=MeterRole.GRID,
                modbus=ModbusAccess(template="meter", host="meter.invalid"),
            ),
        ),
    )


def _visits(evse: Evse, chance: np.random.Generator, ends_s: float) -> Iterator[Visit]:
    """Three bays of four are taken; a vehicle stays an hour, the next comes 20 minutes later."""
    at_s = -600.0 if chance.random() < 0.75 else chance.exponential(1_200)
    while at_s < ends_s:
        leaves_s = at_s + 600 + chance.exponential(3_000)
        phases = int(chance.choice([1, 2, 3], p=[0.25, 0.1, 0.65]))
        most_a = evse.max_a if chance.random() >= 0.3 else chance.uniform(6.0, 0.8 * evse.max_a)
        yield Visit(
            evse_id=evse.id,
            arrives_s=at_s,
            leaves_s=leaves_s,
            energy_wh=1_000 * chance.uniform(4, 40),
            phases=phases,
            most_a=float(most_a),
        )
        at_s = leaves_s + 30 + chance.exponential(1_200)


def _manner(case: Case, chance: np.random.Generator) -> Manner:
    is_slow, is_deaf = chance.random() < 0.15, chance.random() < case.deaf
    slow_s, quick_s, follow_s = (
        chance.uniform(8, 25),
        chance.uniform(0.3, 1.5),
        chance.uniform(1, 5),
    )
    return Manner(
        lag_s=slow_s if is_slow else quick_s,
        follow_s=follow_s,
        ignores=1.0 if is_deaf else case.ignores,
    )


def _base_load(case: Case, chance: np.random.Generator, *, hours: float, main_a: float) -> BaseLoad:
    """Other consumers at the main fuse: between nothing and ``JUMP`` of it, from step to step."""
    times = np.sort(chance.uniform(0, hours * HOUR_S, round(case.jumps_per_h * hours)))
    levels = chance.uniform(0, JUMP * main_a, len(times) + 1)
    first = LoadStep(0.0, (0.0, 0.0, 0.0)) if not len(times) else _even(0.0, levels[-1])
    steps = (_even(at_s, amps) for at_s, amps in zip(times.tolist(), levels[:-1], strict=True))
    return BaseLoad(steps={"main": (first, *steps)})


def _even(at_s: float, amps: float) -> LoadStep:
    return LoadStep(at_s, (float(amps), float(amps), float(amps)))


def _rises_a(base_load: BaseLoad, hours: float) -> tuple[float, ...]:
    seconds = range(round(hours * HOUR_S))
    shown_a = [base_load.at("main", second).drawn_a[0] for second in seconds]
    return tuple(max(0.0, later - earlier) for earlier, later in pairwise(shown_a))


class Watch:
    """Counts the seconds in which any fuse carries too much; a garage has one answer, not five."""

    def __init__(self, world: World, found: list[str]) -> None:
        self._world, self._found = world, found
        self.overload_s = 0.0
        self.far_s = 0.0

    def run(self, seconds: int) -> None:
        """Let a world run, and look at it every second."""
        fuses = self._world.fuses
        for second in range(1, seconds + 1):
            before_s, before_far_s = fuses.overload_s.copy(), fuses.far_s.copy()
            self._world.run_until(second)
            gained_s = fuses.overload_s - before_s
            self.overload_s += float(gained_s.max())
            self.far_s += float((fuses.far_s - before_far_s).max())
            if gained_s.any():
                circuit = self._world.model.circuits[int(gained_s.argmax())].id
                flows_a = fuses.flows_a[int(gained_s.argmax())].round(1).tolist()
                self._found.append(f"second {second}: {circuit} {gained_s.max():.2f} s {flows_a} A")


def _add(row: Row, contestant: Contestant, one: Garage, *, hours: float, seeds: int) -> None:
    """Run one garage, and add what came of it to the means of so many seeds."""
    guard_a = one.guard_a(contestant.guard)
    main, *floors = one.site.circuits
    circuits = (main.model_copy(update={"guard_a": guard_a}), *floors)
    model = compile_site(one.site.model_copy(update={"circuits": circuits}))
    world = World(model, one.visits, control=contestant.make(model), conditions=one.conditions)
    watch = Watch(world, row.overloads)
    watch.run(round(hours * HOUR_S))
    parts = hours * seeds
    row.overload_s += watch.overload_s / parts
    row.far_s += watch.far_s / parts
    row.longest_s = max(row.longest_s, float(world.fuses.longest_s.max()))
    row.worst_share = max(row.worst_share, float(world.fuses.worst_share.max()))
    row.kwh += sum(stay.delivered_wh for stay in world.stays) / 1_000 / parts
    row.setpoints += world.setpoints / parts
    row.guard_a = max(row.guard_a, guard_a)


def page_table(rows: Sequence[Row]) -> str:
    """Return the rows as Markdown."""
    head = (
        "case",
        "controller",
        "overload s/h",
        "> 10 % s/h",
        "longest",
        "worst",
        "kWh/h",
        "setpoints/h",
        "guard",
    )
    cells = [
        (
            row.case,
            row.contestant,
            f"{row.overload_s:.1f}",
            f"{row.far_s:.1f}",
            f"{row.longest_s:.0f} s",
            f"{100 * row.worst_share:.1f} %",
            f"{row.kwh:.1f}",
            f"{row.setpoints:.0f}",
            f"{row.guard_a:.0f} A",
        )
        for row in rows
    ]
    return table(head, cells)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.closed_loop", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--show", action="store_true", help="print every second of overload")
    options = parser.parse_args()
    rows = measure(seeds=options.seeds, hours=options.hours)
    print(page_table(rows))
    for row in rows if options.show else ():
        if row.contestant.startswith("load management"):
            print(row.case, row.contestant, *row.overloads, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
