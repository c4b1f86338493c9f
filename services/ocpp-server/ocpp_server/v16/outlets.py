"""What happens at the outlets: state and measurements."""

from datetime import datetime
from typing import Any

from ocpp_server.answers import Answer, Later
from ocpp_server.domain.connector_state import read_status
from ocpp_server.domain.frames import Call, Payload
from ocpp_server.domain.meter_rows import rows_of
from ocpp_server.domain.meter_values import reading_of
from ocpp_server.domain.sampled_values import Sampled, merged, read_samples
from ocpp_server.station import Station
from ocpp_server.station_time import in_its_time, time_reader
from shared.contracts.site import Evse


def status_notification(station: Station, call: Call) -> Answer:
    """OCPP 1.6, 4.9. A replayed state says nothing about now."""
    payload = call.payload
    number = payload["connectorId"]
    told = time_reader(station)(payload.get("timestamp"))
    if number in station.evses and station.is_present(told):
        station.connector(number).take_status(read_status(payload))
        station.announce(number)
    return {}


def meter_values(station: Station, call: Call) -> Answer | Later:
    """OCPP 1.6, 4.7. Every value is recorded, and answered to when that is safe.

    Values of a connector that the site does not list are in the message log only.
    """
    payload = call.payload
    evse = station.evses.get(payload["connectorId"])
    sampled = in_its_time(station, payload["meterValue"], read_samples(payload["meterValue"]))
    if evse is None or not sampled:
        return {}
    facilities = station.facilities
    now = facilities.clock.now()
    _steer_by(station, payload, merged(sampled), evse=evse, arrived=now)
    rows = rows_of(
        payload,
        sampled,
        text=call.text,
        station_id=station.id,
        evse_id=evse.id,
        received_at=now,
    )
    return Later({}, facilities.meter_values.record(rows))


def _steer_by(
    station: Station, payload: Payload, newest: Sampled, *, evse: Evse, arrived: datetime
) -> None:
    """Take what is measured now; replayed values and those of another transaction do not steer."""
    if not station.is_present(newest.at):
        return
    connector = station.connector(evse.connector)
    if _is_of_another(payload.get("transactionId"), connector.transaction_id):
        return
    reading = reading_of(newest, phases=evse.phases)
    if not reading.is_empty:
        connector.take_reading(reading, arrived=arrived)
        station.announce_soon(evse.connector)


def _is_of_another(told: Any, running: int | None) -> bool:
    """The values belong to a transaction that is not the running one."""
    return running is not None and isinstance(told, int) and told > 0 and told != running
