"""The pure rules behind jobs, security events, signed values and signing requests."""

import base64
from typing import Any

import pytest

from ocpp_server.domain.jobs import Order, is_final, order_taken
from ocpp_server.domain.security_events import event_id, is_critical
from ocpp_server.domain.signed_values import may_have_signed_values, signed_values
from ocpp_server.domain.signing_requests import (
    is_signing_request,
    leaf_of,
    refusal_of_length,
)
from shared.contracts.station import JobKind

CSR = (
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    + base64.b64encode(b"\x30\x82\x01\x00" + b"x" * 60).decode()
    + "\n-----END CERTIFICATE REQUEST-----\n"
)


@pytest.mark.parametrize(
    ("action", "payload", "answer", "order"),
    [
        (
            "UpdateFirmware",
            {"location": "ftp://f", "retrieveDate": "2026-01-01T00:00:00Z"},
            {},
            Order(JobKind.FIRMWARE, "Accepted", "ftp://f"),
        ),
        (
            "GetDiagnostics",
            {"location": "ftp://d"},
            {"fileName": "d.zip"},
            Order(JobKind.DIAGNOSTICS, "Accepted", "ftp://d", file_name="d.zip"),
        ),
        (
            "SignedUpdateFirmware",
            {"requestId": 7, "firmware": {"location": "https://f"}},
            {"status": "AcceptedCanceled"},
            Order(JobKind.SIGNED_FIRMWARE, "AcceptedCanceled", "https://f", 7),
        ),
        (
            "GetLog",
            {"requestId": 8, "logType": "SecurityLog", "log": {"remoteLocation": "https://l"}},
            {"status": "Accepted", "filename": "l.txt"},
            Order(JobKind.LOG, "Accepted", "https://l", 8, "l.txt", detail="SecurityLog"),
        ),
        ("SignedUpdateFirmware", {"requestId": 7}, {"status": "InvalidCertificate"}, None),
        ("GetLog", {"requestId": 7}, {"status": "Rejected"}, None),
        ("Reset", {"type": "Hard"}, {"status": "Accepted"}, None),
    ],
)
def test_a_job_begins_when_the_station_takes_the_order(
    action: str, payload: dict[str, Any], answer: dict[str, Any], order: Order | None
) -> None:
    assert order_taken(action, payload, answer) == order


def test_diagnostics_without_a_file_name_are_over_at_once() -> None:
    order = order_taken("GetDiagnostics", {"location": "ftp://d"}, {})
    assert order is not None
    assert (order.finished, order.status) == (True, "NoFile")


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("GetLog", {"requestId": "x", "log": "nonsense"}),
        ("SignedUpdateFirmware", {"requestId": True, "firmware": None}),
    ],
)
def test_an_order_with_odd_values_begins_a_job_all_the_same(
    action: str, payload: dict[str, Any]
) -> None:
    order = order_taken(action, payload, {"status": "Accepted"})
    assert order is not None
    assert (order.request_id, order.location) == (None, "")


@pytest.mark.parametrize(
    ("kind", "word", "final"),
    [
        (JobKind.FIRMWARE, "Installed", True),
        (JobKind.FIRMWARE, "Installing", False),
        (JobKind.FIRMWARE, "Idle", False),
        (JobKind.SIGNED_FIRMWARE, "InvalidSignature", True),
        (JobKind.SIGNED_FIRMWARE, "InstallRebooting", False),
        (JobKind.DIAGNOSTICS, "UploadFailed", True),
        (JobKind.LOG, "UploadFailure", True),
        (JobKind.LOG, "Uploading", False),
        (JobKind.CERTIFICATE, "Accepted", False),
    ],
)
def test_final_words_end_a_job(kind: JobKind, word: str, final: bool) -> None:
    assert is_final(kind, word) is final


def test_only_the_events_that_must_be_pushed_are_critical() -> None:
    assert is_critical("TamperDetectionActivated")
    assert not is_critical("InvalidMessages")
    assert not is_critical("VendorSpecial")


def told(told_at: str, arrival: str, type_: str = "ResetOrReboot") -> str:
    return event_id("CP1", type_, tech_info="", told_at=told_at, arrival=arrival)


def test_a_repeated_security_event_has_the_same_id_whenever_it_arrives() -> None:
    moment = "2026-03-01T12:00:00Z"
    assert told(moment, "1 a") == told(moment, "2 b")
    assert told(moment, "1 a") != told("2026-03-01T12:00:01Z", "1 a")
    assert told(moment, "1 a") != told(moment, "1 a", "MemoryExhaustion")


def test_without_a_clock_every_arrival_is_an_event_of_its_own() -> None:
    never = "1970-01-01T00:00:00Z"
    assert told(never, "1 a") != told(never, "2 b")
    assert told(never, "1 a") == told(never, "1 a")


SIGNED = [
    ("SignedData", "00ff00ff"),
    (None, 'OCMF|{"FV":"1.0","GI":"x"}|{"SD":"3045"}'),
    ("Raw", '{"signedMeterData":"T0NNRg==","encodingMethod":"OCMF"}'),
    (None, '{ "encodingMethod":"OCMF", "signedMeterValue" : "OCMF|{}|{}" }'),
    (None, '<?xml version="1.0"?><values><value><signedData format="EDL">01</signedData>'),
]


@pytest.mark.parametrize(("format_", "value"), SIGNED)
def test_signed_values_are_found_in_every_known_shape(format_: str | None, value: str) -> None:
    sample = {"value": value, "context": "Transaction.End"}
    if format_ is not None:
        sample["format"] = format_
    (found,) = signed_values([{"sampledValue": [{"value": "1"}, sample]}])
    assert (found.text, found.context) == (value, "Transaction.End")
    assert may_have_signed_values(f"{value} {format_}")


@pytest.mark.parametrize("value", ["12.5", "OCMF", "{}", "<a/>", '{"a":"signedMeterValue"}' * 3])
def test_other_values_are_not_taken_for_signed(value: str) -> None:
    assert signed_values([{"sampledValue": [{"value": value}]}, {}]) == []


def test_a_plain_frame_is_seen_to_have_none() -> None:
    assert not may_have_signed_values('[2,"1","MeterValues",{"meterValue":[{"value":"1"}]}]')


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        (CSR, True),
        (CSR.replace("CERTIFICATE", "NEW CERTIFICATE"), True),
        (CSR.replace("\n", "\r\n"), True),
        ("", False),
        (None, False),
        (CSR.replace("REQUEST", ""), False),
        (CSR.replace("MII", "%%%", 1).replace("MI", "A"), False),
        ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----", False),
        ("-----BEGIN CERTIFICATE REQUEST-----\nMII\n-----END CERTIFICATE REQUEST-----", False),
        (CSR + "x" * 10_000, False),
    ],
)
def test_a_signing_request_is_known_by_its_shape(text: object, fits: bool) -> None:
    assert is_signing_request(text) is fits


def test_a_chain_that_is_too_long_is_refused_with_the_key_that_says_so() -> None:
    assert refusal_of_length("x" * 10, 10) is None
    refusal = refusal_of_length("x" * 11, 10)
    assert refusal is not None
    assert "CertificateSignedMaxChainSize" in refusal


def test_the_leaf_is_the_first_certificate_of_a_chain() -> None:
    one = "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n"
    two = one.replace("A\n", "B\n", 1)
    assert leaf_of(one + two) == one
    assert leaf_of("no certificate") == "no certificate"
