"""What is seen at an outlet."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from shared.contracts.message import Event
from shared.units import PhaseAmps


class EvseState(StrEnum):
    """IEC 61851-1 vehicle states."""

    A = "A"
    """No vehicle."""
    B = "B"
    """Vehicle connected, no energy flows."""
    C = "C"
    """Charging."""
    D = "D"
    """Charging, ventilation demanded."""
    E = "E"
    """No supply."""
    F = "F"
    """Fault."""

    @property
    def has_vehicle(self) -> bool:
        """A vehicle is plugged in."""
        return self in {EvseState.B, EvseState.C, EvseState.D}


class EvseObserved(Event):
    """The present state of one EVSE. Only what is true now is published; replayed facts are not."""

    topic: ClassVar[str] = "evse.observed.v1"
    address_space: ClassVar[str] = "evse"
    address_field: ClassVar[str] = "evse_id"

    evse_id: str
    station_id: str
    connector: int
    epoch: int
    observed_at: datetime
    online: bool
    """False: the station does not answer; everything below is the last word it said."""
    state: EvseState | None = None
    current_a: PhaseAmps | None = None
    """At the box's own L1, L2, L3, before wiring rotation."""
    power_w: float | None = None
    energy_wh: float | None = None
    """Import register of the box's meter."""
    offered_a: float | None = None
    """What the box itself says it offers the car."""
    token: str | None = None
    """RFID read at the box, when it reports one."""
    token_seen: int | None = None
    """Counts RFID reads, so that the same card shown twice is two reads."""
    transaction_id: int | None = None
    fault: str | None = None
    """What the box says is wrong, in its own words."""
