"""What is known of one EVSE, and how each fact changes it. Pure: the time is handed in.

Times are seconds of UTC (``_s``). Facts that are too old to steer by are refused by age, never
replaced by zero.
"""

from dataclasses import dataclass, field
from math import isfinite

from loadmgr.domain.arrays import NOTHING, Three
from loadmgr.domain.evse_model import EvseModel
from loadmgr.domain.line_current import plausible
from loadmgr.domain.moment import NEVER
from loadmgr.domain.phase_switch import PhaseSwitch
from loadmgr.domain.reserve import EXCESS_A, FOLLOW_S, MARGIN_A, SEND_DELAY_S, Ladder
from loadmgr.domain.sent import Sent
from loadmgr.domain.vehicle import DRAWING_A, Vehicle
from loadmgr.domain.wish import Wish
from shared.contracts.charging import (
    ApplySetpoint,
    PermissionChanged,
    SetpointApplied,
    SetpointOutcome,
)
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.plan import PlanChanged
from shared.contracts.site import DeactivationPolicy

FRESH_S = 30.0
"""A measured current older than this is unknown."""
PERMISSION_S = 45.0
"""Three missed repetitions: without a vehicle a permission does not outlive this."""
SILENT_BOX_S = 30.0
"""A box that answers no setpoint for so long may be judged by what it is measured to do."""
DISOBEYS_AFTER_S = FOLLOW_S + 9.0


@dataclass(slots=True)
class Permission:
    """The last word of the backend of an EVSE."""

    permitted: bool
    limit_a: float | None
    heard_s: float


@dataclass(slots=True)
class EvseRecord:
    """Everything known of one EVSE. Nothing heard means offline."""

    online: bool = False
    was_heard: bool = False
    """It has been seen since this memory began."""
    state: EvseState | None = None
    epoch: int = -1
    line_a: tuple[float | None, float | None, float | None] = (None, None, None)
    """At the box's own lines; an unwired line is zero unless it shows something."""
    measured_s: float = NEVER
    measured_under_a: float = 0.0
    """The highest limit that may have been in force then: up to it, it obeyed."""
    permission: Permission | None = None
    sent: Sent | None = None
    ladder: Ladder = field(default_factory=Ladder)
    lease_until_s: float = NEVER
    """From here on a box that cannot be reached has fallen back."""
    is_leased: bool = True
    """Its limit ends with a lease. One that nobody steered keeps its limit for ever."""
    renewed_until_s: float = NEVER
    """Until here the lease that it took last certainly runs; or so long it has time to take one."""
    out_of_reach_a: float = 0.0
    """Out of reach, so much counts at least: what it drew above its limit when it was last seen, or
    a fallback that it may still have."""
    must_resend: bool = False
    moved_s: float = NEVER
    """When its current last had a reason to change: another limit or another state."""
    raised_s: float = NEVER
    vehicle: Vehicle = field(default_factory=Vehicle)
    left_s: float = NEVER
    """When the last vehicle left."""
    wish: Wish | None = None
    planned_s: float = NEVER
    """When what is planned was changed, by the clock of whoever told it."""
    switch: PhaseSwitch = field(default_factory=PhaseSwitch)

    @classmethod
    def left_over(cls, evse: EvseModel, *, lease_s: float, now_s: float) -> "EvseRecord":
        """Return what a memory that begins now reckons with: somebody may have given it a limit.

        That holds until the longest lease is over; then it has fallen back (S8).
        """
        return cls(
            ladder=Ladder(bound_a=evse.config.max_a),
            lease_until_s=now_s + SEND_DELAY_S + lease_s + FOLLOW_S,
        )

    @property
    def may_have_vehicle(self) -> bool:
        """A vehicle is plugged in, or current flows although the state is unknown."""
        if self.state is None:
            return (self.most_drawn_a or 0.0) > DRAWING_A
        return self.state.has_vehicle

    @property
    def most_drawn_a(self) -> float | None:
        """The highest measured line current; ``None`` when none is known."""
        known = [amps for amps in self.line_a if amps is not None]
        return max(known) if known else None

    def is_measured(self, now_s: float) -> bool:
        """Its current was measured recently."""
        return now_s - self.measured_s <= FRESH_S

    def measured_most_a(self, evse: EvseModel, now_s: float) -> Three:
        """Return the current per grid phase; unknown is zero here, the limit covers it."""
        return self.last_most_a(evse) if self.is_measured(now_s) else NOTHING

    def last_most_a(self, evse: EvseModel) -> Three:
        """Return the current per grid phase when it was last measured, however long ago."""
        return evse.most_on_grid(self._known_lines())

    def may_have_fallen_back(self, now_s: float) -> bool:
        """It is connected, and its lease was over before it took a renewal (S8)."""
        return self.online and now_s >= self.renewed_until_s

    @property
    def has_defied(self) -> bool:
        """It was last measured above every limit of that time, and its vehicle is still there."""
        is_over = (self.most_drawn_a or 0.0) > self.measured_under_a + EXCESS_A
        return is_over and self.state is not EvseState.A

    def measured_least_a(self, evse: EvseModel, now_s: float) -> Three:
        """Return what certainly flows per grid phase; unknown counts as nothing."""
        return evse.least_on_grid(self._known_lines()) if self.is_measured(now_s) else NOTHING

    def usage(self, evse: EvseModel) -> Three:
        """Return 1.0 for each grid phase that the car may use."""
        return evse.usage_by_lines[self.lines(evse)]

    def lines(self, evse: EvseModel) -> int:
        """Return the bit mask of the box's lines that the car may use."""
        if self.switch.is_single:
            return 0b001
        return evse.all_lines if self.used_lines is None else self.used_lines

    @property
    def used_lines(self) -> int | None:
        """Bit mask of the lines the car was seen to use; ``None`` = not known yet."""
        return self.vehicle.used_lines

    def may_switch(self, evse: EvseModel) -> bool:
        """Its box can change between three phases and one, and for this car that may matter."""
        if not evse.config.switches_phases or evse.config.phases == 1 or self.switch.is_refuted:
            return False
        return self.switch.told == 1 or self.used_lines is None or self.used_lines & 0b110 > 0

    def is_permitted(self, evse: EvseModel) -> bool:
        """Whoever has a say permits charging (S25)."""
        return not evse.needs_permission if self.permission is None else self.permission.permitted

    @property
    def has_its_energy(self) -> bool:
        """It was given all that its plan asks for."""
        wish = self.wish
        if wish is None or wish.energy_wh is None or wish.is_first:
            return False
        return self.vehicle.delivered.wh >= wish.energy_wh

    def upper_a(self, now_s: float) -> float:
        """Return the highest limit that may be in force.

        Without a vehicle nobody has to follow, so what the box accepted counts at once.
        """
        follow_s = FOLLOW_S if self.state is None or self.state.has_vehicle else 0.0
        return self.ladder.upper_a(now_s, follow_s)

    def lower_a(self, evse: EvseModel, now_s: float) -> float:
        """Return what may be sent and is certainly no raise.

        A car that draws proves that its limit is at least its minimum and what it draws; that
        counts as long as nothing has been sent.
        """
        if self.sent is not None:
            return self.ladder.lower_a()
        drawn_a = (self.most_drawn_a or 0.0) if self.is_measured(now_s) else 0.0
        return max(drawn_a, evse.config.min_a) if drawn_a > DRAWING_A else 0.0

    def upper_out_of_reach_a(self, fallback_a: float, now_s: float) -> float:
        """Return the highest limit that may be in force when nobody can reach the box.

        It may keep its last limit until its lease has run out, and then falls back (S8).
        """
        may_keep = now_s < self.lease_until_s or not self.is_leased
        upper_a = self.ladder.upper_a(now_s) if may_keep else 0.0
        return max(fallback_a, upper_a, self.out_of_reach_a)

    def upper_let_go_a(self, evse: EvseModel, policy: DeactivationPolicy, now_s: float) -> float:
        """Return what may flow at an EVSE that the manager has let go (S9)."""
        left_to_a = {
            DeactivationPolicy.SWITCH_OFF: 0.0,
            DeactivationPolicy.MINIMUM: evse.config.min_a,
            DeactivationPolicy.CANCEL_LIMITS: evse.config.max_a,
        }
        left_a = self.upper_out_of_reach_a(evse.config.fallback_a, now_s)
        return max(left_a, left_to_a[policy])

    def disobeys(self, now_s: float) -> bool:
        """It accepted a limit and, after the time to follow, draws clearly more."""
        sent, drawn_a = self.sent, self.most_drawn_a
        if sent is None or drawn_a is None or sent.outcome is not SetpointOutcome.ACCEPTED:
            return False
        has_had_time = self.measured_s >= sent.changed_s + DISOBEYS_AFTER_S
        return has_had_time and self.is_measured(now_s) and drawn_a > sent.limit_a + EXCESS_A

    def observe(self, evse: EvseModel, seen: EvseObserved, *, lease_s: float, now_s: float) -> None:
        """Take in an observation. One of an old connection is ignored."""
        if seen.epoch < self.epoch:
            return
        if seen.online and (not self.online or seen.epoch > self.epoch):
            self._came_online(evse, seen, lease_s=lease_s, now_s=now_s)
        self.epoch, self.was_heard = seen.epoch, True
        if not seen.online:
            self.lose(now_s)
            return
        self.online, self.out_of_reach_a = True, 0.0
        self._take_state(seen.state, now_s)
        self._take_current(evse, seen, now_s)
        if self.may_have_vehicle:
            self._watch_vehicle(evse, seen, now_s)

    def permit(self, word: PermissionChanged, now_s: float) -> None:
        """Take in what the backend allows."""
        limit_a = word.limit_a
        if limit_a is not None and not isfinite(limit_a):
            limit_a = 0.0  # a limit that cannot be read is the strictest
        self.permission = Permission(word.permitted, limit_a, now_s)

    def plan(self, told: PlanChanged) -> bool:
        """Take in plan and override; return whether that is news.

        Those of the last vehicle are not taken, nor is a word that is older than the last one: with
        two replicas of the api a repetition may come late.
        """
        changed_s = told.changed_at.timestamp()
        if changed_s <= self.left_s or changed_s < self.planned_s:
            return False
        self.planned_s = changed_s
        before, self.wish = self.wish, Wish.of(told)
        return before != self.wish

    def applied(self, evse: EvseModel, outcome: SetpointApplied, now_s: float) -> None:
        """Take in what became of a setpoint."""
        sent = self.sent
        if outcome.outcome is SetpointOutcome.ACCEPTED:
            self.is_leased = True
            self.ladder.accepted(outcome.revision, now_s)
            self.switch.accepted(outcome.revision)
            if sent is not None and outcome.revision == sent.revision:
                self.renewed_until_s = sent.sent_s + sent.lease_s
        elif outcome.outcome is SetpointOutcome.LEASE_EXPIRED:
            self._fell_back(evse.config.fallback_a, outcome.revision, now_s)
        if sent is not None and outcome.revision == sent.revision:
            sent.outcome = outcome.outcome

    def _fell_back(self, fallback_a: float, revision: int, now_s: float) -> None:
        """Its lease is over: the fallback holds, on all its phases. A renewal may be on its way."""
        self.ladder.fell_back(revision, fallback_a, now_s)
        if self.sent is not None and self.sent.revision > revision:
            self.ladder.sent(self.sent.revision, self.sent.limit_a, now_s)
        self._forget_phases()
        self.must_resend = True

    def note_sent(self, setpoint: ApplySetpoint, now_s: float) -> None:
        """Note a setpoint that is being sent; a raise is reserved from now on."""
        before, revision, limit_a = self.sent, setpoint.revision, setpoint.limit_a
        if setpoint.phases is not None and self.switch.sent(setpoint.phases, revision, now_s):
            self.vehicle.forget_lines()
        is_new = before is None or before.limit_a != limit_a
        if before is not None and limit_a > before.limit_a:
            self.raised_s, self.vehicle.unused_since_s = now_s, None
        if is_new:
            self.moved_s = now_s
        self.sent = Sent.after(before, setpoint, now_s)
        self.ladder.sent(revision, limit_a, now_s)
        self.lease_until_s = now_s + SEND_DELAY_S + setpoint.lease_s + FOLLOW_S
        self.must_resend = False

    def retake(self, upper_a: float, *, is_leased: bool = True) -> None:
        """Begin to steer it anew; up to ``upper_a`` may be in force until it accepts a limit."""
        self.ladder, self.sent, self.is_leased = Ladder(bound_a=upper_a), None, is_leased

    def lose(self, now_s: float) -> None:
        """The station cannot be reached; what it said last is no longer the present.

        Another car may come meanwhile, and its fallback holds for all its phases.
        """
        drawn_a = self.most_drawn_a or 0.0
        if self.online and drawn_a > self.upper_a(now_s) + EXCESS_A:
            self.out_of_reach_a = max(self.out_of_reach_a, drawn_a + MARGIN_A)
        self.online = False
        self._forget_phases()

    def _forget_phases(self) -> None:
        self.vehicle.forget_lines()
        self.switch = PhaseSwitch()

    def _came_online(
        self, evse: EvseModel, seen: EvseObserved, *, lease_s: float, now_s: float
    ) -> None:
        if not self.was_heard:  # what was set before this memory began may be in force
            has_vehicle = seen.state is not None and seen.state.has_vehicle
            told_a = seen.offered_a if has_vehicle else None
            is_known = told_a is not None and 0 <= told_a <= evse.config.max_a
            self.retake(told_a if told_a is not None and is_known else evse.config.max_a)
            self.lease_until_s = now_s + SEND_DELAY_S + lease_s + FOLLOW_S
        else:
            upper_a = self.upper_out_of_reach_a(evse.config.fallback_a, now_s)
            self.retake(upper_a, is_leased=self.is_leased)
        self.renewed_until_s = now_s + lease_s
        self._forget_phases()

    def _take_state(self, state: EvseState | None, now_s: float) -> None:
        """Take in a state. Only A tells that the vehicle left, not E, F or none at all."""
        if state is not self.state:
            self.moved_s = now_s
        self.state = state
        is_known = self.vehicle.plugged_s > NEVER
        if state is EvseState.A:
            self._forget_vehicle(has_just_left=is_known, now_s=now_s)
        elif self.may_have_vehicle and not is_known:
            self.vehicle = Vehicle(plugged_s=now_s)

    def _forget_vehicle(self, *, has_just_left: bool, now_s: float) -> None:
        self.vehicle, self.raised_s = Vehicle(), NEVER
        if has_just_left:
            self.left_s, self.wish = now_s, None
        word = self.permission
        if word is not None and (has_just_left or now_s - word.heard_s > PERMISSION_S):
            self.permission = None

    def _take_current(self, evse: EvseModel, seen: EvseObserved, now_s: float) -> None:
        if seen.current_a is None or not seen.current_a.known:
            self.line_a, self.measured_s = (None, None, None), NEVER
            return
        first, second, third = (
            plausible(evse, line, amps) for line, amps in enumerate(seen.current_a)
        )
        self.line_a = (first, second, third)
        self.measured_s = min(seen.observed_at.timestamp(), now_s)
        self.measured_under_a = self.upper_a(self.measured_s)
        self._believe_silent_box(now_s)

    def _believe_silent_box(self, now_s: float) -> None:
        """Accept for a box that never answers what its car proves by drawing just its limit."""
        sent, drawn_a = self.sent, self.most_drawn_a
        if sent is None or drawn_a is None or None in self.line_a or sent.limit_a <= 0:
            return
        is_silent = sent.outcome in {None, SetpointOutcome.FAILED}
        is_at_limit = sent.limit_a - 1.0 <= drawn_a <= sent.limit_a + MARGIN_A
        if is_silent and is_at_limit and self.measured_s >= sent.changed_s + SILENT_BOX_S:
            self.ladder.accepted(sent.revision, now_s - FOLLOW_S)

    def _watch_vehicle(self, evse: EvseModel, seen: EvseObserved, now_s: float) -> None:
        drawn_a, vehicle = self.most_drawn_a, self.vehicle
        self.switch.watch(self.line_a)
        vehicle.learn_lines(self.line_a, drawn_a, now_s)
        vehicle.note_energy(seen.energy_wh, self.line_a, now_s, most_a=evse.config.max_a)
        sent = self.sent
        if sent is None or drawn_a is None or None in self.line_a:
            vehicle.unused_since_s = None
            return
        vehicle.judge_unused(drawn_a, sent.limit_a, evse.config.min_a, now_s=now_s)
        if sent.limit_a > 0:
            vehicle.judge_idle(drawn_a, sent.offered_s, now_s)

    def _known_lines(self) -> Three:
        first, second, third = (0.0 if amps is None else amps for amps in self.line_a)
        return (first, second, third)
