"""Virtual boxes and the cars at them: what a limit does, how late, and what then flows.

Times are seconds after the run's begin. Cars raise at once and lower as late as IEC 61851-1
allows, which is the worst case for a fuse.
"""

from dataclasses import dataclass, field
from math import inf
from zlib import crc32

from loadmgr.domain.arrays import Three
from loadmgr.dry_run.visits import Visit
from shared.contracts.charging import ApplySetpoint
from shared.contracts.evse import EvseState
from shared.contracts.site import DeactivationPolicy, Evse, Mode, SiteConfig
from shared.units import NOMINAL_VOLTAGE_V, PHASES

FOLLOW_S = 5.0
"""IEC 61851-1: a car follows a lower duty cycle within this."""
SWITCH_S = 10.0
"""So long no current flows while a box changes between one phase and three."""
TAPER_SHARE = 0.1
"""The last part of its energy, which a battery takes ever slower."""
TAPER_LEAST_A = 3.0
"""As slow as it becomes before the car is full."""
ALMOST_FULL_WH = 1e-6
WIRINGS = ((0, 1, 2), (1, 2, 0), (2, 0, 1))


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How one box behaves, and the cars at it."""

    lag_s: float = 0.5
    """So long after a setpoint was sent the box takes it and answers."""
    follow_s: float = FOLLOW_S
    """So long the car goes on with what it was allowed before a lowering."""
    ignores: float = 0.0
    """0..1: this share of the lowerings is accepted and not carried out."""


OBEDIENT = Manner()


@dataclass(slots=True)
class Stay:
    """A visit that has begun, and what it has got."""

    visit: Visit
    delivered_wh: float = 0.0
    starts: int = 0
    """How often current began to flow."""

    @property
    def missing_wh(self) -> float:
        """What it still wants."""
        return self.visit.energy_wh - self.delivered_wh

    @property
    def wants_a(self) -> float:
        """What it would take per phase: less and less at the end, nothing when it is full."""
        visit, missing_wh = self.visit, self.missing_wh
        if missing_wh <= ALMOST_FULL_WH:
            return 0.0
        tail_wh = TAPER_SHARE * visit.energy_wh
        if missing_wh >= tail_wh:
            return visit.most_a
        return min(visit.most_a, max(TAPER_LEAST_A, visit.most_a * missing_wh / tail_wh))


@dataclass(slots=True)
class Box:
    """One EVSE. Its current is constant between two calls of ``settle``."""

    evse: Evse
    manner: Manner = OBEDIENT
    limit_a: float = 0.0
    """What it offers the car."""
    allowed_a: float = 0.0
    """What the car still acts on."""
    lines: int = 3
    """Of the box: how many are switched on."""
    revision: int = 0
    lease_ends_s: float = inf
    stay: Stay | None = None
    drawn_a: float = 0.0
    """On each line in use."""
    counter_wh: float = 0.0
    settled_s: float = 0.0
    closed_until_s: float = 0.0
    """It changes its phases, and nothing flows until then."""
    lowerings: list[tuple[float, float]] = field(default_factory=list)
    """(when the car follows, what it is allowed then), in the order of time."""
    wiring: tuple[int, int, int] = (0, 1, 2)
    """Grid phase at each line. Of an unknown rotation some true one, which load management does
    not know."""

    def __post_init__(self) -> None:
        """Wire it as configured."""
        self.lines = min(self.lines, self.evse.phases)
        rotation = self.evse.rotation
        if rotation is None:
            self.wiring = WIRINGS[crc32(self.evse.id.encode()) % 3]
        else:
            first, second, third = (PHASES.index(phase) for phase in rotation)
            self.wiring = (first, second, third)

    @property
    def state(self) -> EvseState:
        """As the box would tell it."""
        if self.stay is None:
            return EvseState.A
        return EvseState.C if self.drawn_a > 0 else EvseState.B

    @property
    def lines_used(self) -> int:
        """How many lines carry current when the car draws."""
        return 0 if self.stay is None else min(self.lines, self.stay.visit.phases)

    @property
    def line_a(self) -> Three:
        """The current at each line of the box."""
        used, drawn_a = self.lines_used, self.drawn_a
        return (
            drawn_a if used > 0 else 0.0,
            drawn_a if used > 1 else 0.0,
            drawn_a if used > 2 else 0.0,
        )

    @property
    def grid_a(self) -> Three:
        """The same on the phases of the grid."""
        amps = [0.0, 0.0, 0.0]
        for phase, drawn_a in zip(self.wiring, self.line_a, strict=True):
            amps[phase] = drawn_a
        return (amps[0], amps[1], amps[2])

    @property
    def power_w(self) -> float:
        """What the car draws."""
        return NOMINAL_VOLTAGE_V * self.drawn_a * self.lines_used

    def plug(self, visit: Visit, at_s: float) -> Stay:
        """A vehicle comes, and draws what the box offers at once. Its stay is counted here."""
        self.settle(at_s)
        self.stay = Stay(visit)
        self.settle(at_s)
        return self.stay

    def unplug(self, at_s: float) -> None:
        """The vehicle goes, and with it the time that it takes to follow."""
        self.settle(at_s)
        self.stay = None
        self.lowerings.clear()
        self.allowed_a = self.limit_a
        self.settle(at_s)

    def take(self, setpoint: ApplySetpoint, at_s: float, *, is_ignored: bool = False) -> None:
        """Take a setpoint; its lease runs from now on. An ignored lowering changes nothing else."""
        self.settle(at_s)
        self.revision = setpoint.revision
        self.lease_ends_s = at_s + setpoint.lease_s
        if is_ignored and setpoint.limit_a < self.limit_a:
            return
        if setpoint.phases in {1, 3} and self.evse.switches_phases:
            self._switch(min(setpoint.phases, self.evse.phases), at_s)
        self._offer(setpoint.limit_a, at_s)

    def fall_back(self, at_s: float) -> bool:
        """Go to the fallback when the lease has run out (S8); return whether it has just done."""
        if at_s < self.lease_ends_s:
            return False
        self.settle(at_s)
        self.lease_ends_s = inf
        self._offer(self.evse.fallback_a, at_s)
        return True

    def settle(self, at_s: float) -> None:
        """Let time pass: count the energy, follow what is due, and draw what is allowed now."""
        self._count(at_s - self.settled_s)
        self.settled_s = at_s
        while self.lowerings and at_s >= self.lowerings[0][0]:
            self.allowed_a = self.lowerings.pop(0)[1]
        drawn_a = self._may_draw_a(at_s)
        if self.stay is not None and drawn_a > 0 and self.drawn_a <= 0:
            self.stay.starts += 1
        self.drawn_a = drawn_a

    def next_s(self) -> float:
        """Return when its current changes by itself; the taper is looked at whenever it settles."""
        follows_s = self.lowerings[0][0] if self.lowerings else inf
        opens_s = self.closed_until_s if self.closed_until_s > self.settled_s else inf
        full_s = inf
        if self.stay is not None and self.drawn_a > 0:
            full_s = self.settled_s + 3600 * self.stay.missing_wh / self.power_w
        return min(follows_s, opens_s, full_s)

    def _may_draw_a(self, at_s: float) -> float:
        if self.stay is None or at_s < self.closed_until_s:
            return 0.0
        return min(self.allowed_a, self.stay.wants_a)

    def _count(self, seconds: float) -> None:
        if self.stay is None or self.drawn_a <= 0 or seconds <= 0:
            return
        drawn_wh = min(self.power_w * seconds / 3600, self.stay.missing_wh)
        self.stay.delivered_wh += drawn_wh
        self.counter_wh += drawn_wh

    def _offer(self, limit_a: float, at_s: float) -> None:
        self.limit_a = limit_a
        self.lowerings = [(due_s, amps) for due_s, amps in self.lowerings if amps > limit_a]
        if limit_a >= self.allowed_a or self.stay is None:
            self.allowed_a = limit_a
        else:
            self.lowerings.append((at_s + self.manner.follow_s, limit_a))
        self.settle(at_s)

    def _switch(self, lines: int, at_s: float) -> None:
        if lines == self.lines:
            return
        self.lines = lines
        if self.stay is not None:
            self.closed_until_s = at_s + SWITCH_S
        self.settle(at_s)


def limit_at_start_a(site: SiteConfig, evse: Evse) -> float:
    """Return what a box allows before anybody has sent it anything.

    What load management does not steer (S1) may draw all it can; what it has let go keeps what the
    policy leaves to it (S9); any other begins with nothing.
    """
    if site.mode is not Mode.LOAD_MANAGEMENT:
        return evse.max_a
    if evse.enabled:
        return 0.0
    left_a = {
        DeactivationPolicy.SWITCH_OFF: 0.0,
        DeactivationPolicy.MINIMUM: evse.min_a,
        DeactivationPolicy.CANCEL_LIMITS: evse.max_a,
    }
    return left_a[site.deactivation]
