"""What a station is set to, what it is to be set to, and what differs (field notes 5.4, 27).

Keys are compared without regard to case, values without quotes and blanks around them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ocpp_server.domain.model import Model
from shared.contracts.site import OcppServerConfig, Station
from shared.contracts.station import ConfigurationEntry

MEASURANDS_KEY = "MeterValuesSampledData"
METER_INTERVAL_KEY = "MeterValueSampleInterval"
HEARTBEAT_KEY = "HeartbeatInterval"
CPO_NAME_KEY = "CpoName"
LOCAL_LIST_KEY = "LocalAuthListEnabled"
MAX_KEYS_KEY = "GetConfigurationMaxKeys"
MEASURANDS = (
    "Energy.Active.Import.Register",
    "Power.Active.Import",
    "Current.Import",
    "Current.Offered",
)
USUAL_GROUP = 4
"""So many keys are asked for at once where nothing is known: some take no more."""

ASKED_KEYS = (
    "GetConfigurationMaxKeys",
    "HeartbeatInterval",
    "MeterValueSampleInterval",
    "MeterValuesSampledData",
    "NumberOfConnectors",
    "SupportedFeatureProfiles",
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
    "ChargingScheduleMaxPeriods",
    "ConnectorSwitch3to1PhaseSupported",
    "SendLocalListMaxLength",
    "LocalAuthListMaxLength",
    "LocalAuthListEnabled",
    "AuthorizeRemoteTxRequests",
    "ConnectionTimeOut",
    "StopTransactionOnEVSideDisconnect",
    "StopTransactionOnInvalidId",
    "StopTxnSampledData",
    "StopTxnAlignedData",
    "WebSocketPingInterval",
)
"""What is asked for key by key where a question for all is not answered (OCPP 1.6, 9)."""


def entries_of(payload: Mapping[str, Any] | None) -> tuple[ConfigurationEntry, ...]:
    """Read GetConfiguration.conf; what is no entry is left out."""
    listed = (payload or {}).get("configurationKey")
    found = [e for e in listed if isinstance(e, Mapping)] if isinstance(listed, list) else []
    return tuple(
        ConfigurationEntry(
            key=e["key"].strip(), value=_text(e.get("value")), readonly=e.get("readonly") is True
        )
        for e in found
        if isinstance(e.get("key"), str) and e["key"].strip()
    )


def unknown_of(payload: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the keys that GetConfiguration.conf says the station does not know."""
    listed = (payload or {}).get("unknownKey")
    return tuple(k for k in listed if isinstance(k, str)) if isinstance(listed, list) else ()


def merged(
    known: Iterable[ConfigurationEntry], newer: Iterable[ConfigurationEntry]
) -> tuple[ConfigurationEntry, ...]:
    """Put newer answers over older ones, key by key, in the order of the first."""
    found = {entry.key.casefold(): entry for entry in known}
    found |= {entry.key.casefold(): entry for entry in newer}
    return tuple(found.values())


def find(entries: Iterable[ConfigurationEntry], key: str) -> ConfigurationEntry | None:
    """Return the entry of a key."""
    wanted = key.casefold()
    return next((entry for entry in entries if entry.key.casefold() == wanted), None)


def groups(keys: Sequence[str], size: int) -> tuple[tuple[str, ...], ...]:
    """Cut a list of keys into questions of at most ``size``."""
    return tuple(tuple(keys[at : at + size]) for at in range(0, len(keys), size))


def group_size(entries: Iterable[ConfigurationEntry], model: Model) -> int:
    """Return how many keys one question may have."""
    told = number_in({entry.key: entry.value for entry in entries}, MAX_KEYS_KEY)
    if model.keys_per_question is not None:
        return model.keys_per_question
    return USUAL_GROUP if told is None or told < 1 else told


def value_in(values: Mapping[str, str | None], key: str) -> str | None:
    """Return the value of a key, whatever its case."""
    wanted = key.casefold()
    return next((value for name, value in values.items() if name.casefold() == wanted), None)


def number_in(values: Mapping[str, str | None], key: str) -> int | None:
    """Return the value of a key as a number of pieces; ``None`` = not known."""
    text = bare(value_in(values, key) or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def bare(value: str) -> str:
    """Strip blanks, and the quotes that Mennekes puts around lists (evcc #16255)."""
    return value.strip(" \t\r\n'\"")


def is_same(told: str | None, wanted: str) -> bool:
    """Tell whether a value is what is wanted: lists item by item, words without regard to case."""
    return told is not None and _items(told) == _items(wanted)


def has_all(told: str | None, wanted: Iterable[str]) -> bool:
    """Tell whether a list has every item that is wanted; more is no harm."""
    return told is not None and {item.casefold() for item in wanted} <= set(_items(told))


def wishes(
    model: Model, station: Station | None, server: OcppServerConfig, *, heartbeat_s: int
) -> dict[str, str]:
    """Return what a station is to be set to. The site's word for it counts most, then its model."""
    wanted = {
        MEASURANDS_KEY: ",".join(MEASURANDS if model.measurands is None else model.measurands),
        METER_INTERVAL_KEY: str(max(server.meter_interval_s, model.minimum_meter_interval_s)),
        HEARTBEAT_KEY: str(heartbeat_s),
    }
    if server.cpo_name:
        wanted[CPO_NAME_KEY] = server.cpo_name
    if station is not None and station.local_list:
        wanted[LOCAL_LIST_KEY] = "true"
    own = {} if station is None else station.configuration
    for key, value in (*model.configuration.items(), *own.items()):
        for name in [name for name in wanted if name.casefold() == key.casefold()]:
            del wanted[name]
        wanted[key] = value
    return wanted


def satisfies(key: str, told: str | None, wanted: str) -> bool:
    """Tell whether a key needs no writing. A station may report more measurands than we want."""
    if key.casefold() == MEASURANDS_KEY.casefold():
        return has_all(told, _items(wanted))
    return is_same(told, wanted)


def differing(wanted: Mapping[str, str], entries: Sequence[ConfigurationEntry]) -> dict[str, str]:
    """Return the wishes that are not fulfilled as far as is known: drift."""
    found = {}
    for key, value in wanted.items():
        entry = find(entries, key)
        if entry is None or not satisfies(key, entry.value, value):
            found[key] = value
    return found


class ListGrowth:
    """Finds how much of a list a station takes, item by item, leaving out what it refuses."""

    def __init__(self, wanted: str) -> None:
        self._left = [item.strip() for item in wanted.split(",") if item.strip()]
        self._taken: list[str] = []

    @property
    def attempt(self) -> str | None:
        """The value to send next; ``None`` = every item was tried."""
        return ",".join([*self._taken, self._left[0]]) if self._left else None

    def answered(self, *, is_taken: bool) -> None:
        """Take note of what became of the attempt."""
        item = self._left.pop(0)
        if is_taken:
            self._taken.append(item)


def _items(text: str) -> tuple[str, ...]:
    return tuple(bare(item).casefold() for item in bare(text).split(","))


def _text(value: object) -> str | None:
    """The value as text: some stations send numbers and booleans."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None
