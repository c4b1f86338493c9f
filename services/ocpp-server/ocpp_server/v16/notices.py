"""Messages that want nothing but an answer."""

from ocpp_server.answers import Answer
from ocpp_server.domain.frames import Call
from ocpp_server.station import Station


def authorize(station: Station, call: Call) -> Answer:
    """OCPP 1.6, 4.1."""
    token = call.payload["idTag"]
    station.token_read(token)
    return {"idTagInfo": station.token_info(token)}


def data_transfer(_station: Station, _call: Call) -> Answer:
    """OCPP 1.6, 4.3. We speak for no vendor; a backend may."""
    return {"status": "UnknownVendorId"}
