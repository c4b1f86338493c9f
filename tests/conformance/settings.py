"""What a charge point answers when no test says otherwise: its settings, and yes to the rest."""

from dataclasses import dataclass, field
from typing import Any

CONNECTORS = 2
_READ_ONLY = frozenset(
    {
        "NumberOfConnectors",
        "SupportedFeatureProfiles",
        "ChargingScheduleAllowedChargingRateUnit",
        "ChargeProfileMaxStackLevel",
        "ChargingScheduleMaxPeriods",
        "MaxChargingProfilesInstalled",
        "GetConfigurationMaxKeys",
        "LocalAuthListMaxLength",
        "SendLocalListMaxLength",
        "ReserveConnectorZeroSupported",
    }
)
_SAME_ANSWER: dict[str, dict[str, Any]] = {
    "ExtendedTriggerMessage": {"status": "NotImplemented"},
    "GetDiagnostics": {},
    "GetInstalledCertificateIds": {"status": "NotFound"},
    "TriggerMessage": {"status": "NotImplemented"},
    "UnlockConnector": {"status": "Unlocked"},
    "UpdateFirmware": {},
}
"""Where it is not Accepted."""
_WRITE_ONLY = frozenset({"AuthorizationKey"})


def _factory_values() -> dict[str, str]:
    return {
        "AllowOfflineTxForUnknownId": "false",
        "AuthorizationCacheEnabled": "true",
        "AuthorizeRemoteTxRequests": "true",
        "AuthorizationKey": "",
        "ChargeProfileMaxStackLevel": "20",
        "ChargingScheduleAllowedChargingRateUnit": "Current",
        "ChargingScheduleMaxPeriods": "24",
        "ClockAlignedDataInterval": "0",
        "ConnectionTimeOut": "60",
        "ConnectorPhaseRotation": "0.RST,1.RST,2.RST",
        "CpoName": "",
        "GetConfigurationMaxKeys": "50",
        "HeartbeatInterval": "900",
        "LocalAuthListEnabled": "true",
        "LocalAuthListMaxLength": "500",
        "LocalAuthorizeOffline": "true",
        "LocalPreAuthorize": "false",
        "MaxChargingProfilesInstalled": "20",
        "MeterValueSampleInterval": "900",
        "MeterValuesAlignedData": "Energy.Active.Import.Register",
        "MeterValuesSampledData": "Energy.Active.Import.Register",
        "NumberOfConnectors": str(CONNECTORS),
        "ReserveConnectorZeroSupported": "true",
        "ResetRetries": "3",
        "SecurityProfile": "0",
        "SendLocalListMaxLength": "200",
        "StopTransactionOnEVSideDisconnect": "true",
        "StopTransactionOnInvalidId": "true",
        "StopTxnAlignedData": "",
        "StopTxnSampledData": "",
        "SupportedFeatureProfiles": "Core,FirmwareManagement,LocalAuthListManagement,Reservation,"
        "SmartCharging,RemoteTrigger",
        "TransactionMessageAttempts": "3",
        "TransactionMessageRetryInterval": "60",
        "UnlockConnectorOnEVSideDisconnect": "true",
        "WebSocketPingInterval": "60",
    }


@dataclass
class BoxSettings:
    """The configuration keys of a box, and its local list."""

    values: dict[str, str] = field(default_factory=_factory_values)
    list_version: int = 0

    def answer(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of a willing box."""
        match action:
            case "GetConfiguration":
                return self._configuration(payload.get("key") or list(self.values))
            case "ChangeConfiguration":
                return {"status": self._change(payload["key"], payload["value"])}
            case "GetLocalListVersion":
                return {"listVersion": self.list_version}
            case "SendLocalList":
                self.list_version = payload["listVersion"]
        return _SAME_ANSWER.get(action, {"status": "Accepted"})

    def _configuration(self, wanted: list[str]) -> dict[str, Any]:
        known = [key for key in wanted if key in self.values]
        unknown = [key for key in wanted if key not in self.values]
        entries = [
            {"key": key, "readonly": key in _READ_ONLY}
            | ({} if key in _WRITE_ONLY else {"value": self.values[key]})
            for key in known
        ]
        return {"configurationKey": entries, "unknownKey": unknown}

    def _change(self, key: str, value: str) -> str:
        if key not in self.values:
            return "NotSupported"
        if key in _READ_ONLY:
            return "Rejected"
        self.values[key] = value
        return "Accepted"
