"""The last setpoint that an EVSE was sent."""

from dataclasses import dataclass

from shared.contracts.charging import ApplySetpoint, SetpointOutcome


@dataclass(slots=True)
class Sent:
    """The last setpoint sent to an EVSE."""

    revision: int
    limit_a: float
    sent_s: float
    changed_s: float
    """When this limit was first sent; repetitions renew the lease only."""
    offered_s: float
    """Since when it has been offered current at all."""
    lease_s: float
    outcome: SetpointOutcome | None = None

    @classmethod
    def after(cls, before: "Sent | None", setpoint: ApplySetpoint, now_s: float) -> "Sent":
        """Return what was sent last, now that ``setpoint`` is."""
        is_new = before is None or before.limit_a != setpoint.limit_a
        is_first_offer = before is None or before.limit_a <= 0
        return cls(
            revision=setpoint.revision,
            limit_a=setpoint.limit_a,
            sent_s=now_s,
            changed_s=now_s if before is None or is_new else before.changed_s,
            offered_s=now_s if before is None or is_first_offer else before.offered_s,
            lease_s=setpoint.lease_s,
            outcome=None if before is None or is_new else before.outcome,
        )
