"""Setpoints: limits that are leases. What loadmgr decides and what became of it."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from shared.contracts.message import ActionOutcome, Command, Contract, Event, Reply, Request
from shared.units import Phase, PhaseAmps


class ReasonCode(StrEnum):
    """The rule that bound a limit."""

    CIRCUIT = "circuit"
    """A fuse; ``circuit`` and ``phase`` say which."""
    POWER = "power"
    """A limit of power; ``circuit`` or ``group`` says whose."""
    GROUP = "group"
    """The limit of a group on a phase."""
    SCHEDULE = "schedule"
    """A circuit has less at this time."""
    EXTERNAL = "external"
    """Somebody outside has set a limit; ``source`` says who."""
    DIMMED = "dimmed"
    """The grid operator lowers controllable consumers (section 14a EnWG)."""
    MEAN = "mean"
    """The mean power of the quarter of an hour would become too high."""
    OVERDRAFT = "overdraft"
    """The circuit carried more than its limit and cools down."""
    IMBALANCE = "imbalance"
    """Cars on fewer than three phases would load ``phase`` too much more than the others."""
    SURPLUS = "surplus"
    """It charges from the sun only, and there is no more of that."""
    PLAN = "plan"
    """Its charging plan has not begun yet, or is over."""
    OVERRIDE = "override"
    """Set by hand until the vehicle leaves."""
    UNUSED = "unused"
    """The car has shown that it takes no more; others use the rest."""
    OFFLINE = "offline"
    """The station cannot be reached."""
    MAXIMUM = "maximum"
    """The box or cable carries no more."""
    BACKEND = "backend"
    """The billing backend allows no more, or has not permitted charging."""
    WAITING = "waiting"
    """There is less than the minimum current left; others are served first."""
    NO_VEHICLE = "no_vehicle"
    DISABLED = "disabled"
    FAULT = "fault"
    METER_LOST = "meter_lost"
    """A meter is silent, so its worst case counts."""
    RESERVED = "reserved"
    """Current that others were told to give up has not been confirmed free yet."""
    RAMP = "ramp"
    """Raises go slowly."""
    UNCHANGED = "unchanged"


class Reason(Contract):
    """Why a limit is what it is, for machines; the page makes a sentence of it."""

    code: ReasonCode
    circuit: str | None = None
    group: str | None = None
    phase: Phase | None = None
    source: str | None = None


class ApplySetpoint(Command):
    """Limit an EVSE to ``limit_a`` per phase for ``lease_s``. The latest revision wins.

    Silence means the fallback of S8: whoever holds the station applies ``fallback_a`` of the EVSE
    when the lease runs out, and leaves the box with a limit that falls back by itself.
    """

    topic: ClassVar[str] = "charging.apply_setpoint.v1"
    expires_after_s: ClassVar[float | None] = 10.0

    station_id: str
    evse_id: str
    connector: int
    revision: int
    limit_a: float
    """0 = do not charge; otherwise at least the EVSE's minimum."""
    phases: int | None = None
    """Number of phases to use, where the box can switch; ``None`` = leave it."""
    lease_s: float
    reason: Reason


class SetpointOutcome(StrEnum):
    """What became of a setpoint at the box."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"
    """The box did not answer; it may or may not have the limit."""
    LEASE_EXPIRED = "lease_expired"
    """Nobody renewed the lease: the fallback was applied."""


class SetpointApplied(Event):
    """The box answered to a setpoint, or its lease ran out."""

    topic: ClassVar[str] = "charging.setpoint_applied.v1"
    address_space: ClassVar[str] = "evse"
    address_field: ClassVar[str] = "evse_id"

    evse_id: str
    station_id: str
    revision: int
    limit_a: float
    outcome: SetpointOutcome
    applied_at: datetime
    detail: str = ""


class PermissionChanged(Event):
    """What an external party allows at an EVSE (S25). Repeated every 15 s while it holds.

    After silence the last word counts until the vehicle leaves; then nothing is permitted.
    """

    topic: ClassVar[str] = "charging.permission_changed.v1"
    address_space: ClassVar[str] = "evse"
    address_field: ClassVar[str] = "evse_id"

    evse_id: str
    source: str
    permitted: bool
    limit_a: float | None = None
    """``None`` = no limit from this source."""
    changed_at: datetime


class LimitScope(StrEnum):
    """What an external limit is for."""

    CIRCUIT = "circuit"
    GROUP = "group"
    DIMMING = "dimming"
    """All controllable consumers together, by the grid operator (section 14a EnWG)."""


NO_NUMBER_W = -1.0
"""In ``LimitChanged`` of scope ``DIMMING``: dimmed, and no number was named."""


class LimitChanged(Event):
    """A limit from outside, beside those of the site; the least counts. Repeated while it holds.

    Both limits ``None`` = this source limits nothing any more.
    """

    topic: ClassVar[str] = "charging.limit_changed.v1"
    address_space: ClassVar[str] = "limit"
    address_field: ClassVar[str] = "target"

    scope: LimitScope
    target: str
    """Id of the circuit or group; ``grid`` for dimming."""
    source: str
    """Who sets it; each source has one limit for each target."""
    limit_a: PhaseAmps | None = None
    """``None`` on a phase = no limit there."""
    limit_w: float | None = None
    expires_at: datetime | None = None
    """From then on it holds no longer; ``None`` = until it is changed."""
    changed_at: datetime


class Forecast(Contract):
    """What becomes of a session if nothing changes, reckoned from what its circuits can carry."""

    remaining_wh: float
    finishes_at: datetime | None = None
    """``None`` = not within two days."""
    misses_wh: float = 0.0
    """What it will lack at departure. Above 0 it will not finish."""


class Offer(Contract):
    """What one EVSE is offered, and why not more."""

    evse_id: str
    limit_a: float
    phases: int | None = None
    """Phases that it is told to use, where the box can switch; ``None`` = as it likes."""
    measured_a: PhaseAmps | None = None
    reserved_a: float
    """The most that may flow there now."""
    reason: Reason
    forecast: Forecast | None = None
    """Of a session whose demand is known."""


class CircuitLoad(Contract):
    """How full a circuit is, per phase."""

    circuit_id: str
    limit_a: PhaseAmps
    """What it may carry now: the least of fuse, guard, schedule and limits from outside."""
    reserved_a: PhaseAmps
    """What EVSEs below may draw now."""
    uncontrolled_a: PhaseAmps
    """Everything else that flows there."""


class OffersDecided(Event):
    """One decision of load management, for pages and records."""

    topic: ClassVar[str] = "loadmgr.decided.v1"
    address_space: ClassVar[str] = "service"
    address_field: ClassVar[str] = "owner"

    owner: str = "loadmgr"
    decided_at: datetime
    offers: tuple[Offer, ...]
    circuits: tuple[CircuitLoad, ...]


class LoadmgrTicked(Event):
    """A second passed. It travels through loadmgr's queue, so only the active instance hears it."""

    topic: ClassVar[str] = "loadmgr.ticked.v1"
    address_space: ClassVar[str] = "service"
    address_field: ClassVar[str] = "instance"
    expires_after_s: ClassVar[float | None] = 2.0

    instance: str


class StartCharging(Request[ActionOutcome]):
    """Start charging at an EVSE by order of the operator."""

    topic: ClassVar[str] = "charging.start.v1"
    reply: ClassVar[type[Reply]] = ActionOutcome

    station_id: str
    connector: int
    token: str


class StopCharging(Request[ActionOutcome]):
    """Stop charging at an EVSE by order of the operator."""

    topic: ClassVar[str] = "charging.stop.v1"
    reply: ClassVar[type[Reply]] = ActionOutcome

    station_id: str
    connector: int


class ClearProfiles(Request[ActionOutcome]):
    """S11: delete every charging profile in a station and verify that they are gone."""

    topic: ClassVar[str] = "charging.clear_profiles.v1"
    reply: ClassVar[type[Reply]] = ActionOutcome

    station_id: str
    connector: int
