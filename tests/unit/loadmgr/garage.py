"""A simulated garage around the pure decision: boxes that lag, ignore, refuse and vanish.

Everything is deterministic and in seconds from the start. Cars raise at once and lower as late as
IEC 61851-1 allows, which is the worst case for a fuse.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from loadmgr.domain.plan import Decision, decide
from loadmgr.domain.rhythm import Haste
from loadmgr.domain.site_model import SiteModel, compile_site
from loadmgr.domain.state import State
from shared.contracts.charging import (
    ApplySetpoint,
    LimitChanged,
    LimitScope,
    Offer,
    PermissionChanged,
    SetpointApplied,
    SetpointOutcome,
)
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.message import Event
from shared.contracts.meter import MeterSampled
from shared.contracts.plan import ChargingPlan, Override, PlanChanged
from shared.contracts.site import Evse, Group, Meter, MeterRole, SiteConfig
from shared.contracts.station import StationDisconnected
from shared.units import NOMINAL_VOLTAGE_V, PHASES, PhaseAmps

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
STEP_S = 0.5


@dataclass
class Car:
    """What is plugged in."""

    phases: int = 3
    wants_a: float = 32.0


@dataclass
class Box:
    """One EVSE, its cable and its car."""

    evse: Evse
    answers_after_s: float = 0.5
    follows_after_s: float = 5.0
    measures_every_s: float = 1.0
    manner: str = "obeys"
    """obeys, ignores (accepts and does nothing), refuses, or silent (obeys, says nothing).

    Whatever its manner, it falls back of itself when its lease has run out.
    """
    shows_current: bool = True
    is_faulty: bool = False
    car: Car | None = None
    online: bool = True
    epoch: int = 1
    limit_a: float = 0.0
    ceiling_a: float = 0.0
    lowerings: list[tuple[float, float]] = field(default_factory=list)
    inbox: list[tuple[float, ApplySetpoint]] = field(default_factory=list)
    lease_ends_s: float | None = None
    phases: int = 3
    """Those it feeds, where it can switch."""
    feeds_three: bool = False
    """It accepts a change of phases and makes none."""
    energy_wh: float = 0.0
    seen: EvseObserved | None = None

    @property
    def state(self) -> EvseState:
        if self.is_faulty:
            return EvseState.F
        if self.car is None:
            return EvseState.A
        return EvseState.C if self.ceiling_a > 0 else EvseState.B

    @property
    def line_a(self) -> tuple[float, float, float]:
        if self.car is None:
            return (0.0, 0.0, 0.0)
        drawn_a = min(self.car.wants_a, self.ceiling_a)
        lines = min(self.car.phases, self.evse.phases, self.phases)
        return tuple(drawn_a if line < lines else 0.0 for line in range(3))  # type: ignore[return-value]

    @property
    def grid_a(self) -> tuple[float, float, float]:
        rotation = self.evse.rotation or PHASES
        by_phase = dict(zip(rotation, self.line_a, strict=True))
        return tuple(by_phase[phase] for phase in PHASES)  # type: ignore[return-value]

    def set_limit(self, limit_a: float, t: float) -> None:
        self.limit_a = limit_a
        if self.manner == "ignores":
            return
        self.lowerings = [(at, a) for at, a in self.lowerings if a < limit_a]
        if limit_a >= self.ceiling_a or self.car is None:
            self.ceiling_a = limit_a
        else:
            self.lowerings.append((t + self.follows_after_s, limit_a))

    def unplug(self) -> None:
        """The car goes, and with it the time it takes to follow."""
        self.car, self.lowerings = None, []
        if self.manner != "ignores":
            self.ceiling_a = self.limit_a

    def live(self, t: float) -> None:
        for at, limit_a in self.lowerings:
            if t >= at:
                self.ceiling_a = limit_a
        self.lowerings = [(at, a) for at, a in self.lowerings if t < at]
        self.energy_wh += NOMINAL_VOLTAGE_V * sum(self.line_a) * STEP_S / 3_600
        if not self.online and self.lease_ends_s is not None and t >= self.lease_ends_s:
            self.lease_ends_s = None
            self.limit_a, self.lowerings = (
                self.evse.fallback_a,
                [],
            )  # of itself, whatever its manner
            self.lowerings.append((t + self.follows_after_s, self.evse.fallback_a))


class Garage:
    """The closed loop: facts go to the decision, setpoints to the boxes. ``run`` moves time."""

    def __init__(self, site: SiteConfig) -> None:
        self.t = 0.0
        self.state = State()
        self.boxes = {evse.id: Box(evse) for evse in site.evses}
        self.base_a = {circuit.id: [0.0, 0.0, 0.0] for circuit in site.circuits}
        self.sun_a = {circuit.id: [0.0, 0.0, 0.0] for circuit in site.circuits}
        self.silent_meters: set[str] = set()
        self.permissions: dict[str, tuple[bool, float | None]] = {}
        self.sent: list[tuple[float, ApplySetpoint]] = []
        self.overloads: list[tuple[float, str]] = []
        self.decision: Decision | None = None
        self.decided_at = -10.0
        self.on_decision: Callable[[Garage], None] = lambda _: None
        self.load(site)

    def load(self, site: SiteConfig) -> None:
        """Put a configuration into force."""
        before = getattr(self, "model", None)
        self.site = site
        self.model: SiteModel = compile_site(site)
        self.state.fit(self.model, self.now.timestamp(), before=before)
        for box in self.boxes.values():
            box.evse = site.evse(box.evse.id) or box.evse

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.t)

    def offer(self, evse_id: str) -> Offer:
        assert self.decision is not None
        return next(o for o in self.decision.decided.offers if o.evse_id == evse_id)

    def setpoint(self, evse_id: str) -> float | None:
        """The last limit sent to an EVSE."""
        return next((s.limit_a for _, s in reversed(self.sent) if s.evse_id == evse_id), None)

    def changes_since(self, t: float) -> int:
        """How many setpoints changed a limit after ``t``."""
        last: dict[str, float] = {}
        changes = 0
        for at, setpoint in self.sent:
            is_change = last.get(setpoint.evse_id) != setpoint.limit_a
            changes += is_change and at > t
            last[setpoint.evse_id] = setpoint.limit_a
        return changes

    def take_over(self) -> None:
        """Let another instance decide, which knows nothing yet."""
        self.state = State()
        self.state.fit(self.model, self.now.timestamp())
        for box in self.boxes.values():
            box.seen = None

    def vanish(self, evse_id: str) -> None:
        box = self.boxes[evse_id]
        box.online, box.inbox = False, []
        self._tell(
            StationDisconnected(
                station_id=box.evse.station, epoch=box.epoch, disconnected_at=self.now
            )
        )

    def come_back(self, evse_id: str) -> None:
        box = self.boxes[evse_id]
        box.online, box.epoch, box.seen = True, box.epoch + 1, None

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            is_urgent = self._step()
            if is_urgent or self.t - self.decided_at >= 1.0:
                self._decide()
            self._check_fuses()
            self.t += STEP_S

    def flows(self, circuit_id: str) -> list[float]:
        """What truly flows on a circuit, per phase."""
        below = self._below(circuit_id)
        total = [sum(self.base_a[c][p] - self.sun_a[c][p] for c in below) for p in range(3)]
        for box in self.boxes.values():
            if box.evse.circuit in below:
                total = [a + b for a, b in zip(total, box.grid_a, strict=True)]
        return total

    def _below(self, circuit_id: str) -> set[str]:
        found = {circuit_id}
        for circuit in self.model.circuits:  # parents come first
            if circuit.parent in found:
                found.add(circuit.id)
        return found

    def _tell(self, event: Event) -> Haste:
        return self.state.hear(self.model, event, self.now.timestamp())

    def _step(self) -> bool:
        """Let the facts of this moment be heard; return whether one demands a decision now."""
        hastes = [self._tell(event) for event in self._facts()]
        self.state.prepare(self.now.timestamp())
        return Haste.NOW in hastes

    def _facts(self) -> Iterable[Event]:
        for box in self.boxes.values():
            box.live(self.t)
            yield from self._answers(box)
            yield from self._observations(box)
        for meter in self.site.meters:
            if meter.id not in self.silent_meters and self.t % 1.0 == 0:
                shown = self._shown(meter)
                yield MeterSampled(
                    meter_id=meter.id,
                    sampled_at=self.now,
                    current_a=PhaseAmps(l1=shown[0], l2=shown[1], l3=shown[2]),
                )
        if self.t % 15.0 == 0:
            for evse_id in self.permissions:
                yield self.permission(evse_id)

    def _shown(self, meter: Meter) -> list[float]:
        match meter.role:
            case MeterRole.GRID:
                return self.flows(meter.circuit)
            case MeterRole.CONSUMPTION:
                return self.base_a[meter.circuit]
            case MeterRole.GENERATION:
                return [-amps for amps in self.sun_a[meter.circuit]]

    def permission(self, evse_id: str) -> PermissionChanged:
        permitted, limit_a = self.permissions[evse_id]
        return PermissionChanged(
            evse_id=evse_id,
            source="backend",
            permitted=permitted,
            limit_a=limit_a,
            changed_at=self.now,
        )

    def limit(self, scope: str, target: str, source: str, word: dict[str, float]) -> None:
        """Set a limit from outside: ``amps`` for every phase, ``watts``, ``for_s``."""
        amps = word.get("amps")
        ends = self.now + timedelta(seconds=word["for_s"]) if "for_s" in word else None
        self._tell(
            LimitChanged(
                scope=LimitScope(scope),
                target=target,
                source=source,
                limit_a=None if amps is None else PhaseAmps(l1=amps, l2=amps, l3=amps),
                limit_w=word.get("watts"),
                expires_at=ends,
                changed_at=self.now,
            )
        )

    def plan(self, evse_id: str, word: dict[str, float]) -> None:
        """Plan and override of a vehicle; times in hours from now."""
        at = {
            name: self.now + timedelta(hours=word[name])
            for name in ("starts_at", "ends_at", "departs_at")
            if name in word
        }
        energy = {"energy_wh": 1_000 * word["kwh"]} if "kwh" in word else {}
        charge = word.get("charge")
        override = None
        if charge is not None:
            override = Override(charge=bool(charge), limit_a=word.get("limit_a"))
        plan = ChargingPlan(**at, **energy) if at or energy else None
        self._tell(PlanChanged(evse_id=evse_id, plan=plan, override=override, changed_at=self.now))

    def permit(self, evse_id: str, permitted: bool, limit_a: float | None) -> None:
        self.permissions[evse_id] = (permitted, limit_a)
        self._tell(self.permission(evse_id))

    def _answers(self, box: Box) -> Iterable[Event]:
        due = [s for at, s in box.inbox if self.t >= at]
        box.inbox = [(at, s) for at, s in box.inbox if self.t < at]
        for setpoint in due:
            if box.manner != "refuses":
                self._switch(box, setpoint)
                box.set_limit(setpoint.limit_a, self.t)
                box.lease_ends_s = self.t + setpoint.lease_s
            if box.manner == "silent":
                continue
            is_taken = box.manner != "refuses"
            yield SetpointApplied(
                evse_id=setpoint.evse_id,
                station_id=setpoint.station_id,
                revision=setpoint.revision,
                limit_a=setpoint.limit_a,
                outcome=SetpointOutcome.ACCEPTED if is_taken else SetpointOutcome.REFUSED,
                applied_at=self.now,
            )

    def _switch(self, box: Box, setpoint: ApplySetpoint) -> None:
        """Change phases: the contactor opens for it."""
        if setpoint.phases in {None, box.phases}:
            return
        assert box.evse.switches_phases, "a box that cannot switch is told nothing"
        box.ceiling_a, box.lowerings = 0.0, []
        box.phases = 3 if box.feeds_three else setpoint.phases or 3

    def _observations(self, box: Box) -> Iterable[Event]:
        is_due = box.seen is None or box.seen.state is not box.state
        if box.online and (is_due or self.t % box.measures_every_s == 0):
            lines = box.line_a
            box.seen = EvseObserved(
                evse_id=box.evse.id,
                station_id=box.evse.station,
                connector=box.evse.connector,
                epoch=box.epoch,
                observed_at=self.now,
                online=True,
                state=box.state,
                current_a=PhaseAmps(l1=lines[0], l2=lines[1], l3=lines[2])
                if box.shows_current
                else None,
                energy_wh=box.energy_wh if box.shows_current else None,
                offered_a=box.limit_a,
            )
            yield box.seen

    def _decide(self) -> None:
        self.decided_at = self.t
        self.decision = decide(self.model, self.state, self.now)
        for setpoint in self.decision.setpoints:
            self.sent.append((self.t, setpoint))
            box = self.boxes[setpoint.evse_id]
            if box.online:
                box.inbox.append((self.t + box.answers_after_s, setpoint))
        self.on_decision(self)

    def _check_fuses(self) -> None:
        for circuit in self.model.circuits:
            flows = self.flows(circuit.id)
            for phase, flow in zip(PHASES, flows, strict=True):
                if flow > circuit.limit_a.on(phase) + 1e-6:
                    self.overloads.append((self.t, f"{circuit.id} {phase}: {flow:.1f} A"))
            watts = NOMINAL_VOLTAGE_V * sum(flows)
            if circuit.limit_w is not None and watts > circuit.limit_w + 1e-3:
                self.overloads.append((self.t, f"{circuit.id}: {watts:.0f} W"))
        for group in self.site.groups:
            self._check_group(group)

    def _check_group(self, group: Group) -> None:
        drawn = [box.grid_a for box in self.boxes.values() if box.evse.group == group.id]
        flows = [sum(box_a[phase] for box_a in drawn) for phase in range(3)]
        for phase, flow in zip(PHASES, flows, strict=True):
            if group.limit_a is not None and flow > group.limit_a.on(phase) + 1e-6:
                self.overloads.append((self.t, f"{group.id} {phase}: {flow:.1f} A"))
        watts = NOMINAL_VOLTAGE_V * sum(flows)
        if group.limit_w is not None and watts > group.limit_w + 1e-3:
            self.overloads.append((self.t, f"{group.id}: {watts:.0f} W"))
