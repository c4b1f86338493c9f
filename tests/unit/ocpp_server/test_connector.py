"""What is known of an outlet, and for how long."""

from datetime import UTC, datetime, timedelta

from ocpp_server.domain.connector import Connector
from ocpp_server.domain.connector_state import ConnectorStatus
from ocpp_server.domain.meter_values import Reading
from shared.contracts.evse import EvseState
from shared.units import PhaseAmps

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FLOW = Reading(current_a=PhaseAmps(l1=16), power_w=3680, energy_wh=100, offered_a=16)


def test_an_old_measurement_is_unknown_and_the_meter_stays() -> None:
    connector = Connector()
    connector.take_reading(FLOW, arrived=NOW)
    minute = timedelta(minutes=1)
    assert not connector.forget_old_measurement(NOW + minute, max_age=minute)
    assert connector.forget_old_measurement(NOW + 2 * minute, max_age=minute)
    assert connector.reading == Reading(energy_wh=100)
    assert not connector.forget_old_measurement(NOW + 3 * minute, max_age=minute)


def test_energy_alone_does_not_make_an_old_current_young() -> None:
    connector = Connector()
    connector.take_reading(FLOW, arrived=NOW)
    later = NOW + timedelta(minutes=5)
    connector.take_reading(Reading(energy_wh=200), arrived=later)
    assert connector.reading.energy_wh == 200
    assert connector.reading.current_a == PhaseAmps(l1=16)
    assert connector.measured_at == NOW


def test_a_new_power_without_current_makes_the_current_unknown() -> None:
    connector = Connector()
    connector.take_reading(FLOW, arrived=NOW)
    connector.take_reading(Reading(power_w=11_000), arrived=NOW)
    assert connector.reading.current_a is None


def test_without_a_vehicle_there_is_no_session_and_no_token() -> None:
    connector = Connector(transaction_id=5, token="A", token_seen=3)
    connector.take_reading(FLOW, arrived=NOW)
    connector.take_status(ConnectorStatus(EvseState.A, None))
    assert (connector.transaction_id, connector.token, connector.reading.current_a) == (
        None,
        None,
        None,
    )
    assert connector.token_seen == 3


def test_the_same_card_twice_is_two_reads() -> None:
    connector = Connector()
    connector.take_token("A")
    connector.take_token("A")
    assert (connector.token, connector.token_seen) == ("A", 2)
