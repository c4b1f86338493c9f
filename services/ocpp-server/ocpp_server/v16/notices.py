"""Messages that want nothing but an answer."""

import logging

from ocpp_server.answers import Answer
from ocpp_server.domain.frames import Call
from ocpp_server.station import Station

logger = logging.getLogger(__name__)


def authorize(station: Station, call: Call) -> Answer:
    """OCPP 1.6, 4.1."""
    token = call.payload["idTag"]
    station.token_read(token)
    return {"idTagInfo": station.token_info(token)}


def data_transfer(_station: Station, _call: Call) -> Answer:
    """OCPP 1.6, 4.3. We speak for no vendor; a backend may."""
    return {"status": "UnknownVendorId"}


def security_event(station: Station, call: Call) -> Answer:
    """OCPP 1.6 security extension, A05."""
    logger.info("%s: security event %.60r", station.id, call.payload.get("type"))
    return {}


def progress(station: Station, call: Call) -> Answer:
    """The state of firmware, diagnostics or log: answered and logged."""
    logger.info("%s: %s %.60r", station.id, call.action, call.payload.get("status"))
    return {}
