"""The live side of an EVSE as a page shows it: what is seen, offered, permitted, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from api.domain.session_record import SessionRecord
from api.domain.station_live import StationLive
from shared.contracts.charging import Offer, PermissionChanged, Reason, SetpointApplied
from shared.contracts.evse import EvseObserved, EvseState
from shared.units import PhaseAmps


@dataclass(frozen=True, kw_only=True)
class StationIdentity:
    """S10: which box an EVSE really is."""

    online: bool
    vendor: str
    model: str
    serial: str
    firmware: str
    peer: str


@dataclass(frozen=True, kw_only=True)
class EvseLive:
    """The present of one EVSE; ``None`` = not known."""

    evse_id: str
    online: bool = False
    state: EvseState | None = None
    observed_at: datetime | None = None
    current_a: PhaseAmps | None = None
    power_w: float | None = None
    energy_wh: float | None = None
    box_offers_a: float | None = None
    """What the box itself says it offers the car."""
    offered_a: float | None = None
    """What load management decided, per phase."""
    reason: Reason | None = None
    """Why it is not more."""
    fault: str | None = None
    setpoint: SetpointApplied | None = None
    """What the box answered to the last limit."""
    permissions: tuple[PermissionChanged, ...] = ()
    """S25: what external parties allow."""
    session: SessionRecord | None = None
    station: StationIdentity | None = None


def evse_live(
    evse_id: str,
    *,
    observed: EvseObserved | None,
    offer: Offer | None,
    setpoint: SetpointApplied | None,
    permissions: Iterable[PermissionChanged],
    session: SessionRecord | None,
    station: StationLive | None,
) -> EvseLive:
    """Return the live side of an EVSE from the last word of everybody about it."""
    return EvseLive(
        evse_id=evse_id,
        online=observed is not None and observed.online,
        state=None if observed is None else observed.state,
        observed_at=None if observed is None else observed.observed_at,
        current_a=None if observed is None else observed.current_a,
        power_w=None if observed is None else observed.power_w,
        energy_wh=None if observed is None else observed.energy_wh,
        box_offers_a=None if observed is None else observed.offered_a,
        fault=None if observed is None else observed.fault,
        offered_a=None if offer is None else offer.limit_a,
        reason=None if offer is None else offer.reason,
        setpoint=setpoint,
        permissions=tuple(permissions),
        session=session,
        station=None if station is None else _identity(station),
    )


def is_newer(observed: EvseObserved, known: EvseObserved | None) -> bool:
    """Tell whether an observation replaces the last: newer epoch, or same epoch and not older."""
    if known is None or observed.epoch > known.epoch or observed.station_id != known.station_id:
        return True
    return observed.epoch == known.epoch and observed.observed_at >= known.observed_at


def _identity(station: StationLive) -> StationIdentity:
    return StationIdentity(
        online=station.online,
        vendor=station.vendor,
        model=station.model,
        serial=station.serial,
        firmware=station.firmware,
        peer=station.peer,
    )
