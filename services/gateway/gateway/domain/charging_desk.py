"""SetChargingProfile, ClearChargingProfile, GetCompositeSchedule: answered from our own store.

The same for every outlet, whatever it speaks: the backend's limit is one more limit, and the box
only ever gets the minimum (S25).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.domain.answers import Outcome, answered, fault, status
from gateway.domain.effects import Keep
from gateway.domain.payloads import Payload, timestamp
from gateway.domain.smart_charging import (
    LONGEST_SCHEDULE_S,
    ProfileBook,
    Running,
    composite_payload,
)

PROFILES = "profiles"
"""The name under which the profiles are kept."""


@dataclass
class Outlet:
    """What profiles need to know of a connector."""

    number: int
    phases: int
    max_a: float
    running: Running | None = None


class ChargingDesk:
    """The charging profiles of one charge point."""

    ACTIONS = frozenset({"SetChargingProfile", "ClearChargingProfile", "GetCompositeSchedule"})

    def __init__(self, outlets: Iterable[Outlet], kept: str | None) -> None:
        self.outlets = {outlet.number: outlet for outlet in outlets}
        self.book = ProfileBook(json.loads(kept) if kept else ())

    def handle(self, action: str, payload: Payload, now: datetime) -> Outcome:
        """Answer one of ``ACTIONS``."""
        match action:
            case "SetChargingProfile":
                return self._set(payload)
            case "ClearChargingProfile":
                known = self.book.clear(payload) > 0
                return status("Accepted", self.to_keep()) if known else status("Unknown")
            case "GetCompositeSchedule":
                return self._composite(payload, now)
        return fault("NotImplemented")

    def limit_a(self, connector: int, now: datetime) -> float | None:
        """Return what the profiles allow per phase at a connector; ``None`` = no limit."""
        outlet = self.outlets[connector]
        sharing = sum(other.running is not None for other in self.outlets.values())
        return self.book.limit_a(
            connector, now, outlet.running, phases=outlet.phases, sharing=sharing
        )

    def vacate(self, connector: int) -> tuple[Keep, ...]:
        """Forget what was meant for the transaction that has ended."""
        return (self.to_keep(),) if self.book.end_transaction(connector) else ()

    def set_for_start(self, connector: int, raw: Mapping[str, Any]) -> Keep:
        """Keep the profile that came with RemoteStartTransaction.

        Raises ``ValueError`` when it is no TxProfile (OCPP 1.6, 5.11).
        """
        if raw.get("chargingProfilePurpose") != "TxProfile":
            raise ValueError("a profile for a remote start must be a TxProfile")
        without_id = {name: value for name, value in raw.items() if name != "transactionId"}
        self.book.add(connector, without_id)
        return self.to_keep()

    def to_keep(self) -> Keep:
        """Return the whole store as something to be kept."""
        return Keep(PROFILES, json.dumps(self.book.kept))

    def _set(self, payload: Payload) -> Outcome:
        connector, raw = payload["connectorId"], payload["csChargingProfiles"]
        if connector != 0 and connector not in self.outlets:
            return status("Rejected")
        if raw.get("chargingProfilePurpose") == "TxProfile" and not self._fits(connector, raw):
            return status("Rejected")
        try:
            self.book.add(connector, raw)
        except ValueError:
            return status("Rejected")
        return status("Accepted", self.to_keep())

    def _fits(self, connector: int, raw: Mapping[str, Any]) -> bool:
        """A TxProfile needs a running transaction, and the right one if it names one."""
        running = self.outlets[connector].running if connector in self.outlets else None
        if running is None:
            return False
        named = raw.get("transactionId")
        return named is None or named == running.backend_id

    def _composite(self, payload: Payload, now: datetime) -> Outcome:
        connector, duration_s = int(payload["connectorId"]), int(payload["duration"])
        duration_s = max(0, min(duration_s, LONGEST_SCHEDULE_S))
        if connector != 0 and connector not in self.outlets:
            return status("Rejected")
        phases, most_a = self._size(connector)
        running = self.outlets[connector].running if connector else None
        slices = self.book.schedule(connector, now, running, duration_s=duration_s, phases=phases)
        return answered(
            composite_payload(
                slices,
                connector=connector,
                now_text=timestamp(now),
                duration_s=duration_s,
                unit=payload.get("chargingRateUnit") or "A",
                phases=phases,
                most_a=most_a,
            )
        )

    def _size(self, connector: int) -> tuple[int, float]:
        """Return phases and most current of a connector, or of all together."""
        if connector:
            return self.outlets[connector].phases, self.outlets[connector].max_a
        outlets = self.outlets.values()
        return max(o.phases for o in outlets), sum(o.max_a for o in outlets)
