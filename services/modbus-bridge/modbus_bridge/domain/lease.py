"""A setpoint is a lease: what it allows, until when, and what counts after that."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.contracts.site import DeactivationPolicy, Evse, Mode, SiteConfig

CLEARED_FOR_S = 10.0
"""How long an operator's cancellation of a limit outweighs load management."""
GRACE_S = 10.0
"""How long a box that has just been reached keeps its limit without any setpoint."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The latest word of load management about one EVSE."""

    revision: int
    limit_a: float
    expires_at: datetime
    phases: int | None = None
    """Phases to use; ``None`` = leave it."""

    def is_valid(self, now: datetime) -> bool:
        """It may still be used."""
        return now < self.expires_at


@dataclass(frozen=True, kw_only=True)
class Tenure:
    """What has been ordered for one EVSE, by load management and by an operator."""

    grace_until: datetime
    lease: Lease | None = None
    is_held: bool = False
    """An operator stopped charging; holds until unplug or start."""
    cleared_until: datetime | None = None

    def renewed(self, lease: Lease, now: datetime) -> "Tenure":
        """Return the tenure with a newer setpoint.

        The latest revision wins, but only over a lease that still runs: load management that has
        lost its memory must not be shut out for ever.
        """
        known = self.lease
        if known is not None and known.is_valid(now) and lease.revision < known.revision:
            return self
        return replace(self, lease=lease, cleared_until=None)

    def reached(self, now: datetime) -> "Tenure":
        """Return the tenure after the box came online."""
        return replace(self, grace_until=now + timedelta(seconds=GRACE_S))

    def held(self, is_held: bool) -> "Tenure":
        """Return the tenure after an operator stopped charging, or let it go on."""
        return replace(self, is_held=is_held)

    def cleared(self, now: datetime) -> "Tenure":
        """Return the tenure after an operator cancelled the limit."""
        return replace(self, cleared_until=now + timedelta(seconds=CLEARED_FOR_S))


def new_tenure(now: datetime) -> Tenure:
    """Return the tenure of an EVSE that nobody has limited yet."""
    return Tenure(grace_until=now + timedelta(seconds=GRACE_S))


class Cause(StrEnum):
    """Which rule decided."""

    LEASE = "lease"
    FALLBACK = "fallback"
    HELD = "held"
    CLEARED = "cleared"
    RELEASED = "released"
    """The EVSE is disabled (S9)."""


@dataclass(frozen=True)
class Desired:
    """The limit that a box shall have now, in ampere per phase; 0 = no charging."""

    limit_a: float
    cause: Cause
    phases: int | None = None
    """Phases to use. Only load management orders that; ``None`` = leave it."""


def desired(evse: Evse, site: SiteConfig, tenure: Tenure, now: datetime) -> Desired | None:
    """Return what an EVSE shall be limited to; ``None`` = write nothing.

    S1: outside load management nothing is written. S8: after silence the fallback counts.
    S9: a disabled EVSE is left as the policy says.
    """
    if site.mode is not Mode.LOAD_MANAGEMENT:
        return None
    if tenure.cleared_until is not None and now < tenure.cleared_until:
        return Desired(evse.max_a, Cause.CLEARED)
    if not evse.enabled:
        return released(evse, site.deactivation)
    if tenure.is_held:
        return Desired(0.0, Cause.HELD)
    if tenure.lease is not None and tenure.lease.is_valid(now):
        limit_a = min(tenure.lease.limit_a, evse.max_a)
        return Desired(limit_a, Cause.LEASE, tenure.lease.phases)
    if tenure.lease is None and now < tenure.grace_until:
        return None
    return Desired(evse.fallback_a, Cause.FALLBACK)


def released(evse: Evse, policy: DeactivationPolicy) -> Desired:
    """Return how a box is left when the manager lets it go (S9)."""
    limits = {
        DeactivationPolicy.SWITCH_OFF: 0.0,
        DeactivationPolicy.MINIMUM: evse.min_a,
        DeactivationPolicy.CANCEL_LIMITS: evse.max_a,
    }
    return Desired(limits[policy], Cause.RELEASED)


def failsafe_timeout_s(lease_s: float) -> float:
    """Return after what silence a box falls back by itself: the lease, within 10 to 60 s."""
    return max(10.0, min(lease_s, 60.0))
