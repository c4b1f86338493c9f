"""A valid frame of every action that a station may send, and plausible answers to our calls.

``CANARY`` stands wherever a payload has free text: it must never come back in a CALLERROR.
"""

from typing import Any

CANARY = "cAnArY"
AT = "2026-01-01T12:00:00Z"
TAG = "GOOD"

_SAMPLES = [
    {"value": "16.0", "measurand": "Current.Import", "phase": "L1", "unit": "A"},
    {"value": "3,7", "measurand": "Power.Active.Import", "unit": "kW"},
    {"value": "1234", "context": "Sample.Periodic"},
    {"value": "55", "measurand": "SoC", "unit": "Percent"},
]
_SIGNED = {"value": '{"signedMeterValue":"' + CANARY + '"}', "format": "SignedData"}
_VALUES = [{"timestamp": AT, "sampledValue": _SAMPLES}]
_SIGNED_VALUES = [{"timestamp": AT, "sampledValue": [*_SAMPLES, _SIGNED]}]
_CSR = f"-----BEGIN CERTIFICATE REQUEST-----\n{CANARY}\n-----END CERTIFICATE REQUEST-----\n"

CALLS: dict[str, dict[str, Any]] = {
    "Authorize": {"idTag": TAG},
    "BootNotification": {
        "chargePointVendor": "Maker",
        "chargePointModel": "Box",
        "chargePointSerialNumber": CANARY,
        "firmwareVersion": "1.0",
    },
    "DataTransfer": {"vendorId": "maker", "messageId": "m", "data": CANARY},
    "DiagnosticsStatusNotification": {"status": "Uploading"},
    "FirmwareStatusNotification": {"status": "Downloading"},
    "Heartbeat": {},
    "LogStatusNotification": {"status": "Uploading", "requestId": 7},
    "MeterValues": {"connectorId": 1, "transactionId": 1, "meterValue": _VALUES},
    "SecurityEventNotification": {
        "type": "SettingSystemTime",
        "timestamp": AT,
        "techInfo": CANARY,
    },
    "SignCertificate": {"csr": _CSR},
    "SignedFirmwareStatusNotification": {"status": "Installing", "requestId": 8},
    "StartTransaction": {
        "connectorId": 1,
        "idTag": TAG,
        "meterStart": 5,
        "timestamp": AT,
        "reservationId": 3,
    },
    "StatusNotification": {
        "connectorId": 1,
        "errorCode": "NoError",
        "status": "Charging",
        "info": CANARY,
        "timestamp": AT,
    },
    "StopTransaction": {
        "transactionId": 1,
        "meterStop": 900,
        "timestamp": AT,
        "idTag": TAG,
        "reason": "EVDisconnected",
        "transactionData": _SIGNED_VALUES,
    },
}
"""The ids of transactions are those of the station beside, which it has no right to."""

WITH_THE_DISK: tuple[tuple[str, dict[str, Any]], ...] = (
    ("StartTransaction", CALLS["StartTransaction"]),
    ("StopTransaction", CALLS["StopTransaction"]),
    ("SignCertificate", CALLS["SignCertificate"]),
    ("MeterValues", {"connectorId": 1, "meterValue": _SIGNED_VALUES}),
)
"""Calls that wait for the ledger."""

ANSWERS: dict[str, dict[str, Any]] = {
    "GetConfiguration": {
        "configurationKey": [
            {"key": "MeterValueSampleInterval", "readonly": False, "value": "60"},
            {"key": "ChargeProfileMaxStackLevel", "readonly": True, "value": "8"},
            {"key": "SupportedFeatureProfiles", "readonly": True, "value": "Core"},
        ],
        "unknownKey": ["AuthorizeRemoteTxRequests"],
    },
    "GetLocalListVersion": {"listVersion": 0},
    "GetCompositeSchedule": {
        "status": "Accepted",
        "connectorId": 1,
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}],
        },
    },
}
"""Other calls are answered with a status."""
