"""A station introduces itself, and says that it lives."""

from typing import Any

from ocpp_server.answers import Answer
from ocpp_server.domain.frames import Call
from ocpp_server.domain.jitter import spread
from ocpp_server.domain.timestamps import format_timestamp
from ocpp_server.station import Station
from shared.contracts.station import StationBooted

HELD_INTERVAL_S = 30
"""A held station asks again after that (OCPP 1.6, 4.2: status Pending)."""


def boot_notification(station: Station, call: Call) -> Answer:
    """OCPP 1.6, 4.2. A station that is not configured is held with ``Pending``, not refused."""
    now = station.facilities.clock.now()
    payload = call.payload
    accepted = station.booted(
        StationBooted(
            station_id=station.id,
            epoch=station.epoch,
            booted_at=now,
            vendor=_text(payload, "chargePointVendor"),
            model=_text(payload, "chargePointModel"),
            serial=_text(payload, "chargePointSerialNumber")
            or _text(payload, "chargeBoxSerialNumber"),
            firmware=_text(payload, "firmwareVersion"),
        )
    )
    heartbeat_s = station.view.site.ocpp_server.heartbeat_interval_s
    interval_s = heartbeat_s if accepted else HELD_INTERVAL_S
    return {
        "status": "Accepted" if accepted else "Pending",
        "currentTime": format_timestamp(now),
        "interval": spread(interval_s, station.id),
    }


def heartbeat(station: Station, _call: Call) -> Answer:
    """OCPP 1.6, 4.6. What is known is told again, for listeners that missed it."""
    for number in station.evses:
        station.announce_soon(number)
    return {"currentTime": format_timestamp(station.facilities.clock.now())}


def _text(payload: dict[str, Any], key: str) -> str:
    return str(payload.get(key) or "")
