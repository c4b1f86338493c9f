"""The configuration keys of a simulated OCPP 1.6 station (section 9 of the specification)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

SAMPLED_DATA = "Current.Import,Current.Offered,Energy.Active.Import.Register,Power.Active.Import"
KNOWN_MEASURANDS = frozenset(
    {
        "Current.Import",
        "Current.Offered",
        "Energy.Active.Import.Register",
        "Power.Active.Import",
        "Power.Offered",
        "SoC",
        "Voltage",
    }
)

Check = Callable[[str], bool]


def _is_count(text: str) -> bool:
    return text.isdigit()


def _is_bool(text: str) -> bool:
    return text.lower() in {"true", "false"}


def _is_measurands(text: str) -> bool:
    return not text or set(text.replace(" ", "").split(",")) <= KNOWN_MEASURANDS


def _is_any(_text: str) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One key."""

    value: str
    is_readonly: bool = False
    is_secret: bool = False
    """May be written and is never shown (AuthorizationKey)."""
    is_valid: Check = _is_any


def _fixed(value: str) -> Setting:
    return Setting(value=value, is_readonly=True)


def _count(value: int) -> Setting:
    return Setting(value=str(value), is_valid=_is_count)


def _switch(value: str) -> Setting:
    return Setting(value=value, is_valid=_is_bool)


def _measurands(value: str) -> Setting:
    return Setting(value=value, is_valid=_is_measurands)


def _standard_settings(connectors: int) -> dict[str, Setting]:
    return {
        "AllowOfflineTxForUnknownId": _switch("false"),
        "AuthorizationCacheEnabled": _switch("true"),
        "AuthorizationKey": Setting(value="", is_secret=True),
        "AuthorizeRemoteTxRequests": _switch("false"),
        "ChargeProfileMaxStackLevel": _fixed("10"),
        "ChargingScheduleAllowedChargingRateUnit": _fixed("Current,Power"),
        "ChargingScheduleMaxPeriods": _fixed("24"),
        "ClockAlignedDataInterval": _count(0),
        "ConnectionTimeOut": _count(60),
        "ConnectorSwitch3to1PhaseSupported": _fixed("true"),
        "GetConfigurationMaxKeys": _fixed("50"),
        "HeartbeatInterval": _count(300),
        "LocalAuthListEnabled": _switch("false"),
        "LocalAuthorizeOffline": _switch("true"),
        "LocalPreAuthorize": _switch("false"),
        "MaxChargingProfilesInstalled": _fixed("30"),
        "MeterValueSampleInterval": _count(60),
        "MeterValuesAlignedData": _measurands(""),
        "MeterValuesSampledData": _measurands(SAMPLED_DATA),
        "NumberOfConnectors": _fixed(str(connectors)),
        "StopTransactionOnEVSideDisconnect": _fixed("true"),
        "StopTransactionOnInvalidId": _switch("true"),
        "StopTxnAlignedData": _measurands(""),
        "StopTxnSampledData": _measurands("Energy.Active.Import.Register"),
        "SupportedFeatureProfiles": _fixed("Core,SmartCharging,RemoteTrigger"),
        "TransactionMessageAttempts": _count(3),
        "TransactionMessageRetryInterval": _count(2),
        "UnlockConnectorOnEVSideDisconnect": _switch("true"),
        "WebSocketPingInterval": _count(30),
    }


class Settings:
    """What is configured, and how changes are answered."""

    def __init__(self, connectors: int, *, extra: dict[str, str] | None = None) -> None:
        self._settings = _standard_settings(connectors)
        for key, value in (extra or {}).items():
            known = self._settings.get(key, Setting(value=value))
            self._settings[key] = replace(known, value=value)

    def text(self, key: str) -> str:
        """Return the value of a key."""
        return self._settings[key].value

    def number(self, key: str) -> int:
        """Return the value of a key that counts."""
        return int(self.text(key))

    def is_on(self, key: str) -> bool:
        """Return the value of a key that switches."""
        return self.text(key).lower() == "true"

    def listed(self, key: str) -> list[str]:
        """Return the value of a key that lists."""
        return [item for item in self.text(key).replace(" ", "").split(",") if item]

    def change(self, key: str, value: str) -> str:
        """Change a key; returns the status of ChangeConfiguration.conf."""
        name = self._spelling(key)
        if name is None:
            return "NotSupported"
        setting = self._settings[name]
        if setting.is_readonly or not setting.is_valid(value):
            return "Rejected"
        self._settings[name] = replace(setting, value=value)
        return "Accepted"

    def shown(self, keys: list[str]) -> tuple[list[dict[str, object]], list[str]]:
        """Return (configurationKey, unknownKey) of GetConfiguration.conf; no keys = all."""
        names = {key: self._spelling(key) for key in keys or self._settings}
        known = [name for name in names.values() if name is not None]
        unknown = [key for key, name in names.items() if name is None]
        return [self._entry(name) for name in known], unknown

    def _spelling(self, key: str) -> str | None:
        """Keys are CiStrings: compared without regard to case."""
        return next((name for name in self._settings if name.lower() == key.lower()), None)

    def _entry(self, name: str) -> dict[str, object]:
        setting = self._settings[name]
        entry: dict[str, object] = {"key": name, "readonly": setting.is_readonly}
        if not setting.is_secret:
            entry["value"] = setting.value
        return entry
