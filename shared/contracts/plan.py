"""What the user of a vehicle wants, and what somebody has set by hand: until the vehicle leaves."""

from datetime import datetime
from typing import ClassVar

from shared.contracts.message import Contract, Event


class ChargingPlan(Contract):
    """When and how much one vehicle is to be charged. What is ``None`` is not known."""

    starts_at: datetime | None = None
    """Not earlier."""
    ends_at: datetime | None = None
    """Not later, whether or not it is full."""
    departs_at: datetime | None = None
    """By then the energy is to be in it. Charging goes on as long as the vehicle stays."""
    energy_wh: float | None = None
    """How much this session is to be given."""


class Override(Contract):
    """What somebody has set by hand. It goes before plan and sun, and never beyond a limit."""

    charge: bool
    """True: charge now, before others of its class; False: do not charge."""
    limit_a: float | None = None
    """At most so much per phase; ``None`` = all it can get."""


class PlanChanged(Event):
    """Plan and override of the vehicle at an EVSE, or of the next one. Repeated while it holds.

    Both ``None`` = neither any more. After silence the last word counts until the vehicle leaves.
    """

    topic: ClassVar[str] = "charging.plan_changed.v1"
    address_space: ClassVar[str] = "evse"
    address_field: ClassVar[str] = "evse_id"

    evse_id: str
    plan: ChargingPlan | None = None
    override: Override | None = None
    changed_at: datetime
