"""Tells a backend when one of its OCPP stations is out of reach: the uplink alone stays up.

The station's own last status is kept, and told again when it is back.
"""

from datetime import datetime

from gateway.domain.payloads import status, to_text
from gateway.domain.roster import PlannedConnector
from gateway.outbox import Outbox
from shared.contracts.evse import EvseObserved


class Reachability:
    """What is known of the OCPP stations behind one uplink. Silence: the last word counts."""

    def __init__(self, uplink_id: str, outbox: Outbox) -> None:
        self._uplink_id = uplink_id
        self._outbox = outbox
        self._online: dict[int, bool] = {}

    async def take(self, planned: PlannedConnector, seen: EvseObserved, now: datetime) -> None:
        """Take in whether an outlet's station answers."""
        number = planned.number
        if self._online.get(number) == seen.online:
            return
        slot = f"status/{number}"
        lost = f"{slot}/lost"  # sorts behind the station's own status, so it is told after it
        async with self._outbox.writing() as batch:
            if seen.online:
                if await batch.drop(self._uplink_id, lost):
                    await batch.repeat(self._uplink_id, slot)
            else:
                payload = status(number, "Unavailable", fault=None, now=now)
                payload["info"] = "no connection to the station"
                await batch.replace(
                    self._uplink_id,
                    lost,
                    action="StatusNotification",
                    payload_text=to_text(payload),
                )
        self._online[number] = seen.online
