"""A virtual garage: boxes, cars, meters and other consumers around whoever decides.

Between two happenings every current is constant, so energy and overload are counted exactly,
however long a step is. Pure and deterministic: the same input gives the same course.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from math import inf

import numpy as np

from loadmgr.domain.arrays import Three
from loadmgr.domain.rhythm import DEBOUNCE_S
from loadmgr.domain.site_model import SiteModel
from loadmgr.dry_run.agenda import Agenda
from loadmgr.dry_run.base_load import NO_LOAD, BaseLoad, LoadStep
from loadmgr.dry_run.boxes import OBEDIENT, Box, Manner, Stay, limit_at_start_a
from loadmgr.dry_run.control import Control
from loadmgr.dry_run.facts import Facts
from loadmgr.dry_run.fuses import Fuses
from loadmgr.dry_run.visits import Visit, check_visits
from shared.contracts.charging import ApplySetpoint, LimitChanged, SetpointOutcome
from shared.contracts.evse import EvseState
from shared.contracts.message import Event
from shared.contracts.site import Meter, MeterRole

UNCHANGED_S = 20.0
"""A box with a vehicle tells an unchanged current this often: well before it counts as unknown."""
EMPTY_S = 300.0
"""One without a vehicle tells that this often."""
PERMISSION_S = 15.0
"""A backend repeats its permission this often."""
SEEDS = 1 << 63


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How fast the world is looked at, and how well it behaves."""

    begins: datetime
    """Second 0, with a time zone."""
    step_s: float = 10.0
    """Meters are read, boxes looked at and a decision is taken at least this often."""
    base_load: BaseLoad = NO_LOAD
    manners: Mapping[str, Manner] = field(default_factory=dict)
    """By EVSE id; who is not named is obedient."""
    limits: tuple[tuple[float, LimitChanged], ...] = ()
    """Limits from outside, and the second in which each is told."""
    seed: int = 1
    """For the chances of ``Manner.ignores``."""


class World:
    """The garage at one moment. ``run_until`` moves time on."""

    def __init__(
        self,
        model: SiteModel,
        visits: Iterable[Visit],
        *,
        control: Control,
        conditions: Conditions,
    ) -> None:
        """Begin at second 0. Raises ``ConfigError`` when two visits overlap at an EVSE."""
        self.model = model
        self.at_s = 0.0
        self.fuses = Fuses(model)
        self.stays: list[Stay] = []
        """All visits that have begun, in the order of their arrival."""
        self.turned_away: list[Visit] = []
        """Visits at EVSEs that the site does not have."""
        self.setpoints = 0
        """Limits that were changed, repetitions not counted."""
        self._conditions = conditions
        self._control = control
        self._facts = Facts(conditions.begins)
        self._begins_s = conditions.begins.timestamp()
        self._agenda = Agenda()
        self._chance = np.random.default_rng(conditions.seed % SEEDS)
        self._decided_s = -inf
        self._is_decision_due = False
        self._loads = [LoadStep(0.0, (0.0, 0.0, 0.0))] * len(model.circuits)
        self.boxes = tuple(self._box(evse.index) for evse in model.evses)
        self._seen: list[tuple[float, EvseState, float, int] | None] = [None] * len(self.boxes)
        self._quiet_s = [0.0] * len(self.boxes)
        """Until then an empty box has nothing to tell."""
        self._due_s = [-inf] * len(self.boxes)
        """When each box changes by itself, as far as that stands on the agenda."""
        self._sent: dict[int, tuple[float, int | None]] = {}
        self._expect(check_visits(visits))
        self._agenda.put(0.0, self._step)

    def run_until(self, until_s: float) -> None:
        """Let everything happen that is due before ``until_s``."""
        while self._agenda.next_s < until_s:
            at_s, action = self._agenda.pop()
            self._elapse(at_s)
            action(at_s)
        self._elapse(until_s)
        for index in range(len(self.boxes)):
            self._settle(index, until_s)

    def _box(self, index: int) -> Box:
        evse = self.model.evses[index].config
        limit_a = limit_at_start_a(self.model.site, evse)
        manner = self._conditions.manners.get(evse.id, OBEDIENT)
        return Box(evse=evse, manner=manner, limit_a=limit_a, allowed_a=limit_a)

    def _expect(self, visits: tuple[Visit, ...]) -> None:
        for visit in visits:
            evse = self.model.evse_by_id.get(visit.evse_id)
            if evse is None:
                self.turned_away.append(visit)
            elif visit.leaves_s > 0:
                arrives_s = max(0.0, visit.arrives_s)
                self._agenda.put(arrives_s, partial(self._arrive, visit, evse.index))
                self._agenda.put(visit.leaves_s, partial(self._leave, evse.index))
        for index, circuit in enumerate(self.model.circuits):
            for step in self._conditions.base_load.steps.get(circuit.id, ()):
                self._agenda.put(max(0.0, step.begins_s), partial(self._load, index, step))
        for at_s, limit in self._conditions.limits:
            self._agenda.put(max(0.0, at_s), partial(self._pass_on, limit))

    def _elapse(self, at_s: float) -> None:
        self.fuses.elapse(at_s - self.at_s)
        self.at_s = at_s

    def _tell(self, event: Event, *, is_news: bool = True) -> None:
        now_s = self._begins_s + self.at_s
        is_urgent = self._control.hear(event, now_s) and is_news
        if is_urgent and not self._is_decision_due:
            self._is_decision_due = True
            self._agenda.put(max(self.at_s, self._decided_s + DEBOUNCE_S), self._decide_if_due)

    def _step(self, at_s: float) -> None:
        """Look at everything, decide, and come back a step later."""
        for index, box in enumerate(self.boxes):
            if box.stay is not None or at_s >= min(self._quiet_s[index], box.lease_ends_s):
                self._look_at(index, at_s)
        for meter in self.model.site.meters:
            self._tell(self._facts.sampled(meter.id, self._shown_a(meter), at_s))
        self._decide(at_s)
        self._agenda.put(at_s + self._conditions.step_s, self._step)

    def _look_at(self, index: int, at_s: float) -> None:
        box = self.boxes[index]
        if box.drawn_a > 0:  # a battery that is almost full takes less and less
            self._settle(index, at_s)
        if box.fall_back(at_s):
            self._settle(index, at_s)
            self._tell(self._facts.applied(box, SetpointOutcome.LEASE_EXPIRED, at_s))
        self._observe(index, at_s)

    def _observe(self, index: int, at_s: float) -> None:
        """Tell what is new at a box, and now and then that nothing is."""
        box, seen = self.boxes[index], self._seen[index]
        shown = (box.state, box.drawn_a, box.lines_used)
        if seen is not None and seen[1:] == shown:
            again_s = EMPTY_S if box.stay is None else UNCHANGED_S
            if at_s < seen[0] + again_s:
                return
        self._seen[index] = (at_s, *shown)
        self._quiet_s[index] = at_s + EMPTY_S
        self._tell(self._facts.observed(box, at_s))

    def _arrive(self, visit: Visit, index: int, at_s: float) -> None:
        box = self.boxes[index]
        stay = box.plug(visit, at_s)
        self.stays.append(stay)
        self._settle(index, at_s)
        if visit.plan is not None:
            self._tell(self._facts.planned(visit, at_s))
        if box.evse.backend is not None:
            self._permit(index, stay, at_s)

    def _leave(self, index: int, at_s: float) -> None:
        self.boxes[index].unplug(at_s)
        self._settle(index, at_s)

    def _permit(self, index: int, stay: Stay, at_s: float) -> None:
        if self.boxes[index].stay is stay:
            self._tell(self._facts.permitted(self.boxes[index], at_s))
            self._agenda.put(at_s + PERMISSION_S, partial(self._permit, index, stay))

    def _pass_on(self, limit: LimitChanged, _: float) -> None:
        self._tell(limit)

    def _load(self, circuit: int, step: LoadStep, _: float) -> None:
        self._loads[circuit] = step
        self.fuses.load(circuit, step)

    def _decide_if_due(self, at_s: float) -> None:
        if self._is_decision_due:
            self._decide(at_s)

    def _decide(self, at_s: float) -> None:
        self._is_decision_due, self._decided_s = False, at_s
        for setpoint in self._control.decide(self._facts.moment(at_s)):
            index = self.model.evse_by_id[setpoint.evse_id].index
            word = (setpoint.limit_a, setpoint.phases)
            self.setpoints += self._sent.get(index) != word
            self._sent[index] = word
            lag_s = self.boxes[index].manner.lag_s
            self._agenda.put(at_s + lag_s, partial(self._take, index, setpoint))

    def _take(self, index: int, setpoint: ApplySetpoint, at_s: float) -> None:
        box = self.boxes[index]
        if setpoint.revision < box.revision:
            return
        ignores, before_a = box.manner.ignores, box.limit_a
        box.take(setpoint, at_s, is_ignored=ignores > 0 and self._chance.random() < ignores)
        self._settle(index, at_s)
        is_news = setpoint.limit_a != before_a
        self._tell(self._facts.applied(box, SetpointOutcome.ACCEPTED, at_s), is_news=is_news)

    def _settle(self, index: int, at_s: float) -> None:
        """Let a box draw what it may now, tell a new state, and come back when that changes."""
        box, seen = self.boxes[index], self._seen[index]
        box.settle(at_s)
        self.fuses.draw(index, box.grid_a)
        if seen is None or seen[1] is not box.state:
            self._observe(index, at_s)
        next_s = max(at_s, box.next_s())
        if next_s < at_s + self._conditions.step_s and next_s != self._due_s[index]:
            self._due_s[index] = next_s
            self._agenda.put(next_s, partial(self._settle, index))

    def _shown_a(self, meter: Meter) -> Three:
        circuit = self.model.circuit_index(meter.circuit)
        step = self._loads[circuit]
        if meter.role is MeterRole.GRID:
            first, second, third = self.fuses.flows_a[circuit].tolist()
            return (first, second, third)
        if meter.role is MeterRole.CONSUMPTION:
            return step.drawn_a
        return (-step.fed_a[0], -step.fed_a[1], -step.fed_a[2])
