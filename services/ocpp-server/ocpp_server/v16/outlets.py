"""What happens at the outlets: state and measurements."""

from typing import Any

from ocpp_server.answers import Answer
from ocpp_server.domain.connector_state import read_status
from ocpp_server.domain.frames import Call
from ocpp_server.domain.meter_values import newest_timestamp, read_values, signed_values
from ocpp_server.domain.timestamps import parse_timestamp
from ocpp_server.station import Station


def status_notification(station: Station, call: Call) -> Answer:
    """OCPP 1.6, 4.9. A replayed state says nothing about now."""
    payload = call.payload
    number = payload["connectorId"]
    if number in station.evses and station.is_present(parse_timestamp(payload.get("timestamp"))):
        station.connector(number).take_status(read_status(payload))
        station.announce(number)
    return {}


def meter_values(station: Station, call: Call) -> Answer:
    """OCPP 1.6, 4.7. Replayed values, and those of another transaction, do not steer."""
    payload = call.payload
    number, entries = payload["connectorId"], payload["meterValue"]
    evse = station.evses.get(number)
    if evse is None or not station.is_present(newest_timestamp(entries)):
        return {}
    connector = station.connector(number)
    if _is_of_another(payload.get("transactionId"), connector.transaction_id):
        return {}
    reading = read_values(entries, phases=evse.phases)
    if not reading.is_empty:
        connector.take_reading(reading, arrived=station.facilities.clock.now())
        station.announce(number)
    return {}


def has_signed_values(call: Call) -> bool:
    """A cheap look for signed values, which have to be kept before the station is answered."""
    return "SignedData" in call.text


async def keep_signed_values(station: Station, call: Call) -> None:
    """Keep the signed values of MeterValues.req (S14)."""
    payload = call.payload
    await station.facilities.ledger.keep_signed(
        station.id,
        payload["connectorId"],
        transaction_id=payload.get("transactionId"),
        values=signed_values(payload["meterValue"]),
        received_at=station.facilities.clock.now(),
    )


def _is_of_another(told: Any, running: int | None) -> bool:
    """The values belong to a transaction that is not the running one."""
    return running is not None and isinstance(told, int) and told > 0 and told != running
