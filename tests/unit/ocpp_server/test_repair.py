"""Payloads that break the schema and keep their meaning are served."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.answers import Fault
from ocpp_server.domain.frames import Call, parse
from ocpp_server.v16.reading import check
from ocpp_server.v16.schemas import actions

STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
START = {"connectorId": 1, "idTag": "A", "meterStart": 1, "timestamp": "2026-03-01T12:00:00Z"}
STOP = {"transactionId": 1, "meterStop": 1, "timestamp": "2026-03-01T12:00:00Z"}
BOOT = {"chargePointVendor": "V", "chargePointModel": "M"}


def metering(**sample: Any) -> dict[str, Any]:
    entry = {"timestamp": "2026-03-01T12:00:00Z", "sampledValue": [{"value": "1"} | sample]}
    return {"connectorId": 1, "meterValue": [entry]}


def checked(action: str, payload: Any) -> tuple[Fault | None, dict[str, Any]]:
    call = parse(json.dumps([2, "1", action, payload]))
    assert isinstance(call, Call)
    return check(call), call.payload


@pytest.mark.parametrize(
    ("action", "payload", "repaired"),
    [
        ("StatusNotification", STATUS | {"connectorId": "1"}, STATUS),
        ("StatusNotification", STATUS | {"info": None}, STATUS),
        ("StatusNotification", STATUS | {"info": 5}, STATUS | {"info": "5"}),
        ("StartTransaction", START | {"meterStart": 1.4}, START),
        ("StartTransaction", START | {"meterStart": "1.9"}, START),
        ("StartTransaction", START | {"idTag": 17}, START | {"idTag": "17"}),
        ("StopTransaction", STOP | {"transactionData": None}, STOP),
        ("MeterValues", metering(value=1.5), metering(value="1.5")),
        ("MeterValues", metering(context=None), metering()),
        (
            "MeterValues",
            metering() | {"meterValue": metering()["meterValue"][0]},
            metering(),
        ),
        (
            "DataTransfer",
            {"vendorId": "V", "data": {"a": 1}},
            {"vendorId": "V", "data": '{"a":1}'},
        ),
    ],
)
def test_repairs(action: str, payload: Any, repaired: Any) -> None:
    assert checked(action, payload) == (None, repaired)


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("BootNotification", BOOT | {"chargePointSerialNumber": "x" * 60}),
        ("BootNotification", {"chargePointModel": "M"}),
        ("BootNotification", BOOT | {"chargePointVendor": ""}),
        ("StatusNotification", STATUS | {"vendorThing": {"a": [1]}}),
        ("StatusNotification", STATUS | {"errorCode": "Error"}),
        ("StatusNotification", {"connectorId": 1, "status": "Available"}),
        ("StartTransaction", START | {"idTag": "x" * 64}),
        ("StopTransaction", STOP | {"reason": "Whatever"}),
        ("StopTransaction", {}),
        ("MeterValues", metering(unit="Hz")),
        ("MeterValues", metering(measurand="Request.Energy")),
        ("MeterValues", {"connectorId": 1, "meterValue": [{"sampledValue": []}]}),
    ],
)
def test_what_is_harmless_stays_as_it_came(action: str, payload: Any) -> None:
    assert checked(action, payload) == (None, payload)


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("StatusNotification", {"connectorId": 1}, "OccurenceConstraintViolation"),
        ("Authorize", {}, "OccurenceConstraintViolation"),
        ("Authorize", {"idTag": None}, "OccurenceConstraintViolation"),
        ("StartTransaction", START | {"connectorId": "one"}, "TypeConstraintViolation"),
        ("StartTransaction", START | {"connectorId": -1}, "PropertyConstraintViolation"),
        ("StartTransaction", START | {"connectorId": 2**40}, "PropertyConstraintViolation"),
        ("MeterValues", {"connectorId": 1, "meterValue": [5]}, "TypeConstraintViolation"),
        ("MeterValues", {"connectorId": 1, "meterValue": "x"}, "TypeConstraintViolation"),
    ],
)
def test_without_meaning_it_is_refused_and_nothing_is_repeated_back(
    action: str, payload: Any, code: str
) -> None:
    fault, _ = checked(action, payload)
    assert fault is not None
    assert fault.code == code
    assert all(str(value) not in fault.description for value in payload.values())


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
_fields = st.sampled_from(
    ["connectorId", "idTag", "meterValue", "status", "timestamp", "data", "vendorId", "meterStart"]
)


@given(st.sampled_from(sorted(actions())), st.dictionaries(_fields, _json))
def test_no_payload_makes_checking_raise(action: str, payload: dict[str, Any]) -> None:
    call = parse(json.dumps([2, "1", action, payload]))
    if isinstance(call, Call):
        check(call)
