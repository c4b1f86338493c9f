"""The models of stations and Modbus devices that Parkade knows, as far as a site can be right or
wrong about them.

Their habits are data files of ocpp-server (``ocpp_server/models``) and modbus-bridge
(``modbus_bridge/templates``); tests keep both alike.
"""

STATION_MODELS = (
    "abb",
    "alpitronic",
    "beny",
    "charge-amps",
    "easee",
    "en-plus",
    "entratek",
    "evbox-elvi",
    "go-e",
    "growatt",
    "huawei",
    "legrand",
    "mennekes",
    "mennekes-acu",
    "wallbox",
)
"""What ``Station.model`` may be."""

FAULTS_AT_ZERO = frozenset({"evbox-elvi"})
"""They are left at ``min_a`` instead of 0 A (field notes 5.5, 39), so nothing less can be promised
for the time when load management is silent."""

IGNORES_PHASES = frozenset({"charge-amps", "go-e"})
"""They cannot be told by OCPP how many phases to use (field notes 5.5, 36)."""

CHARGER_TEMPLATES = ("cfos_power_brain",)
"""What ``ModbusAccess.template`` may be of a station."""

METER_TEMPLATES = ("eastron_sdm630",)
"""What ``ModbusAccess.template`` may be of a meter."""

SWITCHING_TEMPLATES = frozenset({"cfos_power_brain"})
"""The Modbus templates that say how to switch phases."""
