"""Jobs of a station: how far firmware, diagnostics and logs are (OCPP 1.6, 4.4 and 4.5)."""

import logging

from ocpp_server.answers import Answer
from ocpp_server.domain.frames import Call
from ocpp_server.domain.jobs import REPORTS, is_final, request_id
from ocpp_server.station import Station
from shared.contracts.station import StationJobChanged

logger = logging.getLogger(__name__)


def progress(station: Station, call: Call) -> Answer:
    """The four status notifications want nothing but an answer."""
    logger.info("%s: %s %.60r", station.id, call.action, call.payload.get("status"))
    return {}


async def tell_progress(station: Station, call: Call) -> None:
    """Tell how far a job is. Safe, or kept until it is, when this returns.

    ``Idle`` is told like any other word; it neither begins nor ends a job.
    """
    if not station.known:
        return
    kind, status = REPORTS[call.action], str(call.payload.get("status"))[:64]
    await station.facilities.postman.publish(
        station.id,
        StationJobChanged(
            station_id=station.id,
            kind=kind,
            request_id=request_id(call.payload),
            status=status,
            finished=is_final(kind, status),
            changed_at=station.facilities.clock.now(),
        ),
    )
