"""StatusNotification to vehicle state."""

import pytest

from ocpp_server.domain.connector_state import ConnectorStatus, read_status
from shared.contracts.evse import EvseState


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Available", EvseState.A),
        ("Preparing", EvseState.B),
        ("Charging", EvseState.C),
        ("SuspendedEV", EvseState.B),
        ("SuspendedEVSE", EvseState.B),
        ("Finishing", EvseState.B),
        ("Reserved", EvseState.A),
        ("Unavailable", EvseState.E),
        ("Faulted", EvseState.F),
    ],
)
def test_every_status_has_a_vehicle_state(status: str, state: EvseState) -> None:
    assert read_status({"status": status, "errorCode": "NoError"}).state is state


def test_an_unknown_status_is_an_unknown_state() -> None:
    assert read_status({"status": "Dancing", "errorCode": "NoError"}) == ConnectorStatus(None, None)


def test_a_fault_is_told_in_the_words_of_the_station() -> None:
    payload = {
        "status": "Faulted",
        "errorCode": "OtherError",
        "vendorErrorCode": "E17",
        "info": "fan",
    }
    assert read_status(payload).fault == "OtherError E17 fan"


def test_faulted_without_a_reason_is_still_a_fault() -> None:
    assert read_status({"status": "Faulted", "errorCode": "NoError"}).fault == "NoError"
    assert read_status({"status": "Faulted"}).fault == "Faulted"


def test_an_error_code_without_faulted_is_a_fault_too() -> None:
    status = read_status({"status": "Available", "errorCode": "WeakSignal"})
    assert status == ConnectorStatus(EvseState.A, "WeakSignal")
