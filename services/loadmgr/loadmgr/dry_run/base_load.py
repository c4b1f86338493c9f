"""What other consumers and the sun do at the circuits, as steps over time."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import pi, sin
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from loadmgr.domain.arrays import NOTHING, Three
from shared.contracts.site import Circuit, MeterRole, SiteConfig
from shared.units import PHASES

STEP_S = 300.0
"""Simulated other consumers change this often."""
DAY_S = 86_400.0
SEEDS = 1 << 63
NIGHT, NOON = 0.3, 0.8
"""What a building draws at night and at noon, of the most it may."""
UNTOLD = 0.2
"""Of its fuse, where a meter is but nobody has said how much others may draw."""
SUN = 0.3
"""Of its fuse, at noon on a clear day, where a meter shows generation."""


class LoadStep(NamedTuple):
    """From ``begins_s`` (seconds after the run's begin) on, until the next step."""

    begins_s: float
    drawn_a: Three
    """What other consumers draw on L1, L2, L3."""
    fed_a: Three = NOTHING
    """What the sun feeds in, positive."""


@dataclass(frozen=True, kw_only=True)
class BaseLoad:
    """The load beside the EVSEs. A circuit that is not named, or before its first step, has none.

    What is given for a circuit is drawn at it itself; that of the circuits below comes on top.
    """

    steps: Mapping[str, tuple[LoadStep, ...]] = field(default_factory=dict)
    """By circuit id, in the order of time."""

    def at(self, circuit_id: str, at_s: float) -> LoadStep:
        """Return what holds at a circuit at a time."""
        steps = self.steps.get(circuit_id, ())
        index = bisect_right(steps, at_s, key=lambda step: step.begins_s)
        return steps[index - 1] if index else LoadStep(at_s, NOTHING)


NO_LOAD = BaseLoad()


def simulated_load(site: SiteConfig, *, begins: datetime, days: int, seed: int = 1) -> BaseLoad:
    """Return plausible other consumers and sun for ``days``, and the day after.

    A circuit's own consumers go up to its ``uncontrolled_a``; where a meter is and that is 0, up to
    a fifth of its fuse. The sun shines where a meter shows generation. Deterministic for a seed and
    a circuit's id. ``begins`` must have a time zone.
    """
    roles: dict[str, set[MeterRole]] = {circuit.id: set() for circuit in site.circuits}
    for meter in site.meters:
        roles.setdefault(meter.circuit, set()).add(meter.role)
    hour = _Hours(site, begins)
    count = round((days + 1) * DAY_S / STEP_S)
    return BaseLoad(
        steps={
            circuit.id: tuple(_steps(circuit, roles[circuit.id], hour, count=count, seed=seed))
            for circuit in site.circuits
            if roles[circuit.id] or circuit.uncontrolled_a > 0
        }
    )


class _Hours:
    """The hour of the day at a second of the run."""

    def __init__(self, site: SiteConfig, begins: datetime) -> None:
        self._zone, self._begins = ZoneInfo(site.time_zone), begins

    def at(self, at_s: float) -> float:
        """Return it in the time of the site."""
        local = (self._begins + timedelta(seconds=at_s)).astimezone(self._zone)
        return local.hour + local.minute / 60


def _steps(
    circuit: Circuit, roles: set[MeterRole], hours: _Hours, *, count: int, seed: int
) -> Iterator[LoadStep]:
    chance = np.random.default_rng([seed % SEEDS, *circuit.id.encode()])
    fuse_a = min(circuit.limit_a.on(phase) for phase in PHASES)
    worst_a = circuit.uncontrolled_a or UNTOLD * fuse_a
    clear = chance.uniform(0.3, 1.0)
    for number in range(count):
        by_day = max(0.0, sin(pi * (hours.at(number * STEP_S) - 6) / 12))
        middle_a = worst_a * (NIGHT + (NOON - NIGHT) * by_day)
        drawn = np.clip(chance.normal(middle_a, 0.1 * worst_a, 3), 0.0, worst_a).round(1).tolist()
        clouds = chance.uniform(0.6, 1.0)
        sun_a = round(SUN * fuse_a * clear * clouds * by_day, 1)
        fed_a = (sun_a, sun_a, sun_a) if MeterRole.GENERATION in roles else NOTHING
        yield LoadStep(number * STEP_S, (drawn[0], drawn[1], drawn[2]), fed_a)
