"""What one connector is to hold, and what it is known to hold."""

from dataclasses import dataclass, field
from datetime import datetime

from ocpp_server.domain.lease import Slot
from ocpp_server.domain.phases import Told
from ocpp_server.domain.profile_forms import Form
from ocpp_server.domain.profiles import Limit, Outlet
from shared.contracts.site import DeactivationPolicy, Evse


@dataclass(slots=True)
class Duty:
    """The limits of one connector of one connection."""

    evse: Evse
    """As last configured: a device that was removed from the site is let go of, too."""
    slot: Slot = field(default_factory=Slot)
    told: Told | None = None
    """The phases that it was told to use, and accepted."""
    base: Limit | None = None
    """The base profile that the station has confirmed,"""
    base_form: Form | None = None
    """and in which form."""
    base_not_before: float = 0.0
    steered: bool = False
    """A limit was sent, or may be there from before, so letting go needs a release."""
    released: DeactivationPolicy | None = None
    """The policy by which it was let go; None while it is steered."""
    lease_form: Form | None = None
    """In which form the lease was confirmed."""
    transaction_id: int | None = None
    transaction_since: datetime | None = None
    coming: tuple[int, datetime] | None = None
    """A transaction that the station has not been answered to, so that it knows no id of it."""
    overridden: bool = False
    """This transaction does not heed the default profile, so it gets one of its own, too."""

    @property
    def outlet(self) -> Outlet:
        """Where its limits are to hold."""
        return Outlet(
            connector=self.evse.connector,
            wired=self.evse.phases,
            transaction_id=self.transaction_id,
            transaction_since=self.transaction_since,
        )

    @property
    def has_transaction(self) -> bool:
        """A transaction runs here."""
        return self.transaction_id is not None

    def send_again(self) -> None:
        """The station may have lost everything."""
        self.base = self.base_form = self.lease_form = None
        self.base_not_before = 0.0
        self.released = None
        self.overridden = False
        self.told = None
        self.slot.send_again()

    def base_is_due(self, wanted: Limit, form: Form | None, now: float) -> bool:
        """Tell whether the base has to be sent: not confirmed, other limit, or other form."""
        if form is None or now < self.base_not_before:
            return False
        known = self.base_form
        if known is None or self.base != wanted:
            return True
        return known is not form and known.base_shape != form.base_shape
