"""When a limit must be sent to a box, and when silence of load management ends it.

All moments are seconds of a monotonic clock.
"""

from dataclasses import dataclass
from typing import NamedTuple

from ocpp_server.domain.profiles import Limit
from shared.contracts.charging import ApplySetpoint


class Held(NamedTuple):
    """What the box is known to have confirmed."""

    limit: Limit
    until: float
    """When the box lets go of it by itself."""
    lease_s: float
    sent_at: float = 0.0


@dataclass(slots=True)
class Slot:
    """The one place of a connector for its setpoint: the latest revision wins."""

    wanted: ApplySetpoint | None = None
    wanted_until: float = 0.0
    """When the lease of load management runs out."""
    answered: bool = True
    """The wanted revision has been reported on."""
    held: Held | None = None

    def put(self, setpoint: ApplySetpoint, now: float) -> bool:
        """Take a setpoint; False when a newer revision is known already."""
        if self.wanted is not None and setpoint.revision < self.wanted.revision:
            return False
        self.wanted = setpoint
        self.wanted_until = now + setpoint.lease_s
        self.answered = False
        return True

    def must_send(self, limit: Limit, now: float) -> bool:
        """Tell whether the box needs to hear of a limit, given as it would be sent.

        The same limit again is sent only when less than half of the box's lease is left, because
        some boxes jump at a repetition (field notes 5.5, 38).
        """
        held = self.held
        if held is None or held.limit != limit:
            return True
        return held.until - now < held.lease_s / 2

    def has_expired(self, now: float) -> bool:
        """Load management has been silent for longer than its own lease."""
        return self.wanted is not None and now >= self.wanted_until

    def send_again(self) -> None:
        """Nothing is known of the box; what is wanted has to be sent."""
        self.held = None
        self.answered = self.wanted is None

    def forget(self) -> None:
        """Nothing is wanted and nothing is known of the box."""
        self.wanted = None
        self.answered = True
        self.held = None


def limit_of(setpoint: ApplySetpoint) -> Limit:
    """Return the limit that a setpoint asks for."""
    return Limit(limit_a=setpoint.limit_a, phases=setpoint.phases)
