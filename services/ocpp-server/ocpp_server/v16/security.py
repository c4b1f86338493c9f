"""What a station tells and asks for its security (OCPP 1.6 security white paper)."""

import hashlib
import logging

from ocpp_server.answers import Answer
from ocpp_server.domain.frames import Call
from ocpp_server.domain.security_events import event_id, is_critical
from ocpp_server.domain.signing_requests import is_signing_request
from ocpp_server.station import Station
from ocpp_server.v16.certificates import renew_certificate
from shared.contracts.station import SecurityEventReported

logger = logging.getLogger(__name__)

_LONGEST = 4_096
"""Characters kept of a text of the station; OCPP allows 255 for ``techInfo``."""


def security_event(station: Station, call: Call) -> Answer:
    """A05, SecurityEventNotification.req: any type is answered, OCPP's or not."""
    logger.info("%s: security event %.60r", station.id, call.payload.get("type"))
    return {}


async def tell_security_event(station: Station, call: Call) -> None:
    """Tell a security event. Safe, or kept until it is, when this returns."""
    if not station.known:
        return
    payload = call.payload
    type_ = str(payload.get("type") or "")[:255]
    tech_info = str(payload.get("techInfo") or "")[:_LONGEST]
    told_at = str(payload.get("timestamp") or "")[:64]
    await station.facilities.postman.publish(
        station.id,
        SecurityEventReported(
            event_id=event_id(
                station.id,
                type_,
                tech_info=tech_info,
                told_at=told_at,
                arrival=f"{station.epoch} {call.message_id}",
            ),
            station_id=station.id,
            type=type_,
            critical=is_critical(type_),
            tech_info=tech_info,
            told_at=told_at,
            received_at=station.facilities.clock.now(),
        ),
    )


def sign_certificate(station: Station, call: Call) -> Answer:
    """A02, A03, SignCertificate.req: taken when the station is configured and the shape is right.

    Signing comes after the answer. The same request once more is the one that is under way.
    """
    csr = call.payload.get("csr")
    if not station.known or not is_signing_request(csr):
        logger.warning("%s: signing request refused", station.id)
        return {"status": "Rejected"}
    name = f"certificate {hashlib.sha256(csr.encode()).hexdigest()[:16]}"
    begun = station.errands.begin(name, lambda: renew_certificate(station, csr))
    return {"status": "Accepted" if begun else "Rejected"}
