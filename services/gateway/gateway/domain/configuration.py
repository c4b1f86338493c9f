"""OCPP 1.6 configuration keys of a virtual charge point: a table, read and written (section 9)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

MEASURANDS = (
    "Energy.Active.Import.Register",
    "Power.Active.Import",
    "Current.Import",
    "Current.Offered",
)


@dataclass(frozen=True)
class Key:
    """One configuration key: its first value, and which values it takes."""

    value: str
    kind: Literal["int", "bool", "measurands", "text"] = "text"
    writable: bool = False
    least: int = 0
    most: int = 2_147_483_647


KEYS: Mapping[str, Key] = {
    "AllowOfflineTxForUnknownId": Key("false", "bool"),
    "AuthorizeRemoteTxRequests": Key("false", "bool", writable=True),
    "ChargeProfileMaxStackLevel": Key("99", "int"),
    "ChargingScheduleAllowedChargingRateUnit": Key("Current,Power"),
    "ChargingScheduleMaxPeriods": Key("200", "int"),
    "ClockAlignedDataInterval": Key("0", "int"),
    "ConnectionTimeOut": Key("60", "int", writable=True, least=1),
    "ConnectorPhaseRotation": Key("NotApplicable"),
    "GetConfigurationMaxKeys": Key("100", "int"),
    "HeartbeatInterval": Key("300", "int", writable=True, least=1),
    "LocalAuthorizeOffline": Key("true", "bool"),
    "LocalPreAuthorize": Key("false", "bool"),
    "MaxChargingProfilesInstalled": Key("100", "int"),
    "MeterValuesAlignedData": Key(""),
    "MeterValueSampleInterval": Key("30", "int", writable=True),
    "MeterValuesSampledData": Key(",".join(MEASURANDS), "measurands", writable=True),
    "NumberOfConnectors": Key("1", "int"),
    "ResetRetries": Key("0", "int"),
    "StopTransactionOnEVSideDisconnect": Key("true", "bool"),
    "StopTransactionOnInvalidId": Key("true", "bool", writable=True),
    "StopTxnAlignedData": Key(""),
    "StopTxnSampledData": Key(""),
    "SupportedFeatureProfiles": Key("Core,SmartCharging,RemoteTrigger"),
    "TransactionMessageAttempts": Key("3", "int"),
    "TransactionMessageRetryInterval": Key("5", "int"),
    "UnlockConnectorOnEVSideDisconnect": Key("true", "bool"),
}
_CANONICAL = {name.casefold(): name for name in KEYS}


class Configuration:
    """The values in force: those of the table, and those the backend has written."""

    def __init__(self, connectors: int, written: Mapping[str, str]) -> None:
        self._fixed = {"NumberOfConnectors": str(connectors)}
        self.written = {name: value for name, value in written.items() if name in KEYS}

    def text(self, name: str) -> str:
        """Return the value of a key of the table."""
        return self._fixed.get(name) or self.written.get(name, KEYS[name].value)

    def number(self, name: str) -> int:
        """Return the value of a whole-number key."""
        return int(self.text(name))

    def is_on(self, name: str) -> bool:
        """Return the value of a yes-or-no key."""
        return self.text(name).casefold() == "true"

    def change(self, name: str, value: str) -> str:
        """Write a key; return the status of ChangeConfiguration.conf."""
        canonical = _CANONICAL.get(name.casefold())
        if canonical is None:
            return "NotSupported"
        if not KEYS[canonical].writable or not _fits(KEYS[canonical], value):
            return "Rejected"
        self.written[canonical] = value.strip()
        return "Accepted"

    def report(self, names: list[str]) -> dict[str, Any]:
        """Return the payload of GetConfiguration.conf; no names = every key."""
        known = [_CANONICAL[n.casefold()] for n in names if n.casefold() in _CANONICAL]
        unknown = [n for n in names if n.casefold() not in _CANONICAL]
        answer: dict[str, Any] = {
            "configurationKey": [
                {"key": name, "readonly": not KEYS[name].writable, "value": self.text(name)}
                for name in (known if names else sorted(KEYS))
            ]
        }
        return answer | ({"unknownKey": unknown} if unknown else {})


def _fits(key: Key, value: str) -> bool:
    match key.kind:
        case "int":
            return value.strip().isdecimal() and key.least <= int(value) <= key.most
        case "bool":
            return value.strip().casefold() in {"true", "false"}
        case "measurands":
            return all(name.strip() in MEASURANDS for name in value.split(",") if name.strip())
        case "text":
            return True
