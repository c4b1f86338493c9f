"""Vehicles that a decision log has seen, as visits for a dry run.

What a vehicle wanted is known only in part: the log shows what it was given. So a visit wants what
its plan said, or else what it got. One that left while it drew all it was offered may have wanted
more, and says so. A car that never drew less than its offer shows no limit of its own: then the
box's counts.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from loadmgr.dry_run.visits import Visit
from shared.contracts.evse import EvseState
from shared.contracts.plan import ChargingPlan
from shared.contracts.site import Evse
from shared.units import NOMINAL_VOLTAGE_V

Words = dict[str, Any]
DRAWING_A = 1.0
"""More than this on a line means that the car uses it."""
HELD_S = 60.0
"""A current holds until the next observation, but no longer than this."""
LATELY_S = 90.0
"""Whoever drew all it was offered so shortly before it left was not full."""
AT_ITS_OFFER_A = 1.0
"""A car that draws so little below its offer takes all of it."""
MOST_STEP_WH = 100_000.0
"""A counter that jumps by more was exchanged or reset; the current tells the energy then."""
_PLAN = TypeAdapter(ChargingPlan | None)


@dataclass(frozen=True, kw_only=True)
class RecordedVisit:
    """A visit as it was, and what is not known of it."""

    visit: Visit
    """It wants ``energy_wh`` of its plan, but at least what it got."""
    delivered_wh: float
    may_have_wanted_more: bool
    """It left while it drew all that it was offered, and no plan tells what it wanted."""


@dataclass(slots=True)
class Outlet:
    """One EVSE while its log is read. Times are seconds after the recording's begin."""

    evse: Evse
    offered_a: float | None = None
    plan: ChargingPlan | None = None
    arrived_s: float | None = None
    seen_s: float = 0.0
    lines_a: tuple[float, ...] = (0.0, 0.0, 0.0)
    most_lines_a: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    takes_less: bool = False
    """It has drawn clearly less than it was offered, so what it drew is its own limit."""
    at_offer_s: float = float("-inf")
    """When it was last seen to draw all that it was offered."""
    integrated_wh: float = 0.0
    counter_wh: float | None = None
    counted_up_wh: float | None = None
    """What its counter has counted since it came; ``None`` = it has none."""

    def observe(self, seen: Words, at_s: float) -> RecordedVisit | None:
        """Take in an observation; return the visit that has ended with it."""
        self._integrate(at_s)
        state = None if seen["state"] is None else EvseState(seen["state"])
        if not seen["online"]:
            self.lines_a = (0.0, 0.0, 0.0)
            return None
        ended = None
        if state is EvseState.A:
            ended = self.leave(at_s)
        elif state is not None and state.has_vehicle and self.arrived_s is None:
            self._arrive(at_s, seen["energy_wh"])
        self._count(seen["energy_wh"])
        self._draw(seen)
        return ended

    def leave(self, at_s: float) -> RecordedVisit | None:
        """End the visit, if there is one."""
        if self.arrived_s is None or at_s <= self.arrived_s:
            self.arrived_s = None
            return None
        arrives_s, self.arrived_s = self.arrived_s, None
        counted_wh = self.counted_up_wh
        delivered_wh = self.integrated_wh if counted_wh is None else counted_wh
        planned_wh = None if self.plan is None else self.plan.energy_wh
        visit = Visit(
            evse_id=self.evse.id,
            arrives_s=arrives_s,
            leaves_s=at_s,
            energy_wh=max(delivered_wh, planned_wh or 0.0),
            phases=self._phases(),
            most_a=self._most_a(),
            plan=self.plan,
        )
        wants_more = planned_wh is None and self._was_held_down(at_s)
        self.plan = None
        return RecordedVisit(
            visit=visit, delivered_wh=delivered_wh, may_have_wanted_more=wants_more
        )

    def _arrive(self, at_s: float, counter_wh: float | None) -> None:
        self.arrived_s, self.integrated_wh = at_s, 0.0
        self.counter_wh, self.counted_up_wh = counter_wh, None
        self.most_lines_a, self.takes_less = [0.0, 0.0, 0.0], False
        self.at_offer_s = float("-inf")

    def _integrate(self, at_s: float) -> None:
        seconds = min(at_s - self.seen_s, HELD_S)
        self.integrated_wh += NOMINAL_VOLTAGE_V * sum(self.lines_a) * max(seconds, 0.0) / 3_600
        self.seen_s = at_s

    def _count(self, counter_wh: float | None) -> None:
        if counter_wh is None or self.arrived_s is None:
            return
        before, self.counter_wh = self.counter_wh, counter_wh
        if before is not None and 0 <= counter_wh - before < MOST_STEP_WH:
            self.counted_up_wh = (self.counted_up_wh or 0.0) + counter_wh - before

    def _draw(self, seen: Words) -> None:
        told = seen["current_a"] or {}
        amps = [told.get(line) for line in ("l1", "l2", "l3")]
        self.lines_a = tuple(max(0.0, float(a)) if a is not None else 0.0 for a in amps)
        self.most_lines_a = [
            max(a, b) for a, b in zip(self.most_lines_a, self.lines_a, strict=True)
        ]
        drawn_a = max(self.lines_a)
        if drawn_a <= DRAWING_A:
            return
        if self.offered_a is not None and drawn_a < self.offered_a - AT_ITS_OFFER_A:
            self.takes_less = True
        else:
            self.at_offer_s = self.seen_s

    def _was_held_down(self, at_s: float) -> bool:
        """It drew all it was offered until it left, or was offered nothing at the end."""
        waited = self.offered_a == 0 and not self.takes_less
        return waited or at_s - self.at_offer_s <= LATELY_S

    def _phases(self) -> int:
        used = sum(amps > DRAWING_A for amps in self.most_lines_a)
        return used or self.evse.phases

    def _most_a(self) -> float:
        most_a = max(self.most_lines_a)
        return most_a if self.takes_less and most_a > DRAWING_A else self.evse.max_a


class Guestbook:
    """Who came and went at all EVSEs."""

    def __init__(self, begins: datetime) -> None:
        """Second 0 of all visits is ``begins``."""
        self._begins_s = begins.timestamp()
        self.outlets: dict[str, Outlet] = {}
        self.visits: list[RecordedVisit] = []

    def configure(self, evses: tuple[Evse, ...]) -> None:
        """Take over another site; a vehicle at an EVSE that is gone has left."""
        before, self.outlets = self.outlets, {}
        for evse in evses:
            outlet = before.pop(evse.id, None) or Outlet(evse)
            outlet.evse = evse
            self.outlets[evse.id] = outlet
        for outlet in before.values():
            self._note(outlet.leave(outlet.seen_s))

    def observe(self, seen: Words, at: datetime) -> None:
        """Take in what is seen at an EVSE."""
        outlet = self.outlets.get(seen["evse_id"])
        if outlet is not None:
            self._note(outlet.observe(seen, at.timestamp() - self._begins_s))

    def plan(self, word: Words) -> None:
        """Take in what a user wants. It is for the vehicle that is there, or the next one."""
        outlet = self.outlets.get(word["evse_id"])
        if outlet is not None:
            outlet.plan = _PLAN.validate_python(word["plan"])

    def offer(self, evse_id: str, limit_a: float) -> None:
        """Take in what an EVSE was told."""
        outlet = self.outlets.get(evse_id)
        if outlet is not None:
            outlet.offered_a = limit_a

    def close(self, at: datetime) -> tuple[RecordedVisit, ...]:
        """Return all visits by arrival; whoever is still there leaves now."""
        for outlet in self.outlets.values():
            self._note(outlet.leave(at.timestamp() - self._begins_s))
        return tuple(sorted(self.visits, key=lambda one: (one.visit.arrives_s, one.visit.evse_id)))

    def _note(self, ended: RecordedVisit | None) -> None:
        if ended is not None:
            self.visits.append(ended)
