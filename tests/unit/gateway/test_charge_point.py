"""What each call of a backend does to a virtual charge point."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.domain import payloads
from gateway.domain.answers import Fault, Outcome
from gateway.domain.charge_point import ChargePoint
from gateway.domain.charging_desk import ChargingDesk, Outlet
from gateway.domain.configuration import KEYS, Configuration
from gateway.domain.connector import Connector
from gateway.domain.effects import AskAuthorization, Begin, End, Keep, Reconnect, Status, Tell
from shared.contracts.evse import EvseObserved, EvseState
from tests.ocpp_schemas import assert_valid, assert_valid_answer

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
PROFILE = {
    "chargingProfileId": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}],
    },
}


def charge_point(*, written: dict[str, str] | None = None, plugged: int | None = 1) -> ChargePoint:
    """Two outlets that are seen; a vehicle is plugged in at one of them."""
    configuration = Configuration(2, written or {})
    connectors = {
        number: Connector(number, f"bay-{number}", fixed_token=None, configuration=configuration)
        for number in (1, 2)
    }
    made = ChargePoint(
        connectors,
        configuration=configuration,
        desk=ChargingDesk([Outlet(1, 3, 32.0), Outlet(2, 3, 32.0)], None),
        boot=payloads.boot(vendor="V" * 30, model="M" * 30, serial="S" * 30, firmware="F" * 60),
    )
    for number, connector in connectors.items():
        state = EvseState.B if number == plugged else EvseState.A
        connector.observe(seen(number, state), NOW)
    return made


def seen(number: int, state: EvseState) -> EvseObserved:
    return EvseObserved(
        evse_id=f"bay-{number}",
        station_id="S",
        connector=number,
        epoch=1,
        observed_at=NOW,
        online=True,
        state=state,
        energy_wh=50.0,
    )


def call(made: ChargePoint, action: str, **payload: Any) -> tuple[dict[str, Any], Outcome]:
    """Return a valid positive answer to a valid call."""
    assert_valid(action, payload)
    outcome = made.handle(action, payload, NOW)
    assert isinstance(outcome.answer, str), outcome
    answer = payloads.from_text(outcome.answer)
    assert_valid_answer(action, answer)
    return answer, outcome


def status(made: ChargePoint, action: str, **payload: Any) -> str:
    return str(call(made, action, **payload)[0]["status"])


def started(made: ChargePoint, *, backend_id: int = 7) -> None:
    made.handle("RemoteStartTransaction", {"idTag": "R", "connectorId": 1}, NOW)
    made.connectors[1].started(backend_id, accepted=True, now=NOW)


def test_boot_fits_the_schema_whatever_the_names() -> None:
    assert_valid("BootNotification", charge_point().boot)


def test_remote_start_begins_where_the_vehicle_is() -> None:
    answer, outcome = call(charge_point(plugged=2), "RemoteStartTransaction", idTag="R")
    assert answer == {"status": "Accepted"}
    begun = [e for e in outcome.effects if isinstance(e, Begin)]
    assert begun[0].transaction.connector == 2


def test_remote_start_asks_first_when_the_key_says_so() -> None:
    made = charge_point(written={"AuthorizeRemoteTxRequests": "true"})
    _, outcome = call(made, "RemoteStartTransaction", idTag="R", connectorId=1)
    assert [type(e) for e in outcome.effects if not isinstance(e, Status)] == [AskAuthorization]


@pytest.mark.parametrize("number", [0, 3])
def test_remote_start_at_no_outlet_is_rejected(number: int) -> None:
    payload = {"idTag": "R", "connectorId": number}
    assert status(charge_point(), "RemoteStartTransaction", **payload) == "Rejected"


def test_remote_start_where_one_charges_is_rejected() -> None:
    made = charge_point()
    started(made)
    assert status(made, "RemoteStartTransaction", idTag="R", connectorId=1) == "Rejected"


def test_remote_start_with_another_profile_than_a_tx_profile_is_rejected() -> None:
    wrong = PROFILE | {"chargingProfilePurpose": "TxDefaultProfile"}
    made = charge_point()
    answer = status(made, "RemoteStartTransaction", idTag="R", connectorId=1, chargingProfile=wrong)
    assert answer == "Rejected"
    assert made.connectors[1].can_start


def test_remote_start_keeps_its_profile() -> None:
    _, outcome = call(
        charge_point(), "RemoteStartTransaction", idTag="R", connectorId=1, chargingProfile=PROFILE
    )
    assert [e.name for e in outcome.effects if isinstance(e, Keep)] == ["profiles"]


def test_remote_stop_needs_the_right_number() -> None:
    made = charge_point()
    started(made)
    assert status(made, "RemoteStopTransaction", transactionId=8) == "Rejected"
    _, outcome = call(made, "RemoteStopTransaction", transactionId=7)
    assert any(isinstance(e, End) for e in outcome.effects)


def test_reset_stops_everything_and_reconnects_last() -> None:
    made = charge_point()
    started(made)
    _, outcome = call(made, "Reset", type="Soft")
    ends = [e.payload["reason"] for e in outcome.effects if isinstance(e, End)]
    assert ends == ["SoftReset"]
    assert isinstance(outcome.effects[-1], Reconnect)


def test_availability_of_the_whole_is_that_of_each() -> None:
    made = charge_point()
    _, outcome = call(made, "ChangeAvailability", connectorId=0, type="Inoperative")
    told = {e.connector: e.payload["status"] for e in outcome.effects if isinstance(e, Status)}
    assert told == {0: "Unavailable", 1: "Unavailable", 2: "Unavailable"}
    started_one = charge_point()
    started(started_one)
    answer = status(started_one, "ChangeAvailability", connectorId=0, type="Inoperative")
    assert answer == "Scheduled"
    assert status(made, "ChangeAvailability", connectorId=9, type="Operative") == "Rejected"


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        ("BootNotification", Tell),
        ("Heartbeat", Tell),
        ("MeterValues", Tell),
        ("StatusNotification", Status),
    ],
)
def test_trigger_is_obeyed_after_the_answer(wanted: str, kind: type) -> None:
    made = charge_point()
    _, outcome = call(made, "TriggerMessage", requestedMessage=wanted, connectorId=1)
    assert outcome.effects
    for effect in outcome.effects:
        assert isinstance(effect, kind)
        action = effect.action if isinstance(effect, Tell) else "StatusNotification"
        assert_valid(action, effect.payload)


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [("FirmwareStatusNotification", "NotImplemented"), ("MeterValues", "Rejected")],
)
def test_trigger_that_cannot_be_obeyed(wanted: str, answer: str) -> None:
    payload = {"requestedMessage": wanted} | ({"connectorId": 9} if answer == "Rejected" else {})
    assert status(charge_point(), "TriggerMessage", **payload) == answer


@pytest.mark.parametrize(
    ("action", "payload", "answer"),
    [
        ("ClearCache", {}, "Accepted"),
        ("DataTransfer", {"vendorId": "x"}, "UnknownVendorId"),
        ("UnlockConnector", {"connectorId": 1}, "NotSupported"),
        ("CancelReservation", {"reservationId": 1}, "Rejected"),
        ("SendLocalList", {"listVersion": 1, "updateType": "Full"}, "NotSupported"),
    ],
)
def test_what_it_has_not(action: str, payload: dict[str, Any], answer: str) -> None:
    assert status(charge_point(), action, **payload) == answer


def test_there_is_no_local_list() -> None:
    assert call(charge_point(), "GetLocalListVersion")[0] == {"listVersion": -1}


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("GetDiagnostics", {"location": "ftp://x"}, "NotSupported"),
        ("Nonsense", {}, "NotImplemented"),
        ("RemoteStartTransaction", {}, "FormationViolation"),
        ("RemoteStopTransaction", {"transactionId": "seven"}, "FormationViolation"),
        ("Reset", {"type": "Medium"}, "FormationViolation"),
        ("TriggerMessage", {"requestedMessage": "Nonsense"}, "FormationViolation"),
        ("GetConfiguration", {"key": 7}, "FormationViolation"),
        ("ChangeAvailability", {"connectorId": [], "type": "Operative"}, "FormationViolation"),
    ],
)
def test_what_has_no_answer_is_an_error(action: str, payload: dict[str, Any], code: str) -> None:
    outcome = charge_point().handle(action, payload, NOW)
    assert isinstance(outcome.answer, Fault)
    assert outcome.answer.code == code


@pytest.mark.parametrize(
    ("key", "value", "answer"),
    [
        ("HeartbeatInterval", "60", "Accepted"),
        ("heartbeatinterval", " 60 ", "Accepted"),
        ("HeartbeatInterval", "0", "Rejected"),
        ("HeartbeatInterval", "-1", "Rejected"),
        ("HeartbeatInterval", "soon", "Rejected"),
        ("AuthorizeRemoteTxRequests", "TRUE", "Accepted"),
        ("AuthorizeRemoteTxRequests", "maybe", "Rejected"),
        ("MeterValuesSampledData", "Power.Active.Import,Current.Import", "Accepted"),
        ("MeterValuesSampledData", "Temperature", "Rejected"),
        ("NumberOfConnectors", "3", "Rejected"),
        ("AuthorizationKey", "x", "NotSupported"),
    ],
)
def test_configuration_is_checked_before_it_is_written(key: str, value: str, answer: str) -> None:
    made = charge_point()
    told, outcome = call(made, "ChangeConfiguration", key=key, value=value)
    assert told["status"] == answer
    assert any(isinstance(e, Keep) for e in outcome.effects) == (answer == "Accepted")


def test_all_keys_are_reported_with_what_is_in_force() -> None:
    made = charge_point(written={"ConnectionTimeOut": "90"})
    keys = call(made, "GetConfiguration")[0]["configurationKey"]
    values = {entry["key"]: entry["value"] for entry in keys}
    assert values.keys() == KEYS.keys()
    assert (values["ConnectionTimeOut"], values["NumberOfConnectors"]) == ("90", "2")
