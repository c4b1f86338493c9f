"""What the OCPP server counts, for ``/metrics``."""

from prometheus_client import Counter, Gauge

CALLS = Counter("parkade_ocpp_calls_total", "Calls of stations, by action", ["action"])
REPAIRS = Counter(
    "parkade_ocpp_repairs_total", "Payloads served in spite of their schema", ["action", "kind"]
)
FAULTS = Counter("parkade_ocpp_faults_total", "CALLERRORs sent to stations, by code", ["code"])
DROPPED = Counter(
    "parkade_ocpp_frames_dropped_total", "Frames that nobody can be answered for", ["why"]
)
UNSAFE = Counter("parkade_ocpp_unsafe_events_total", "Durable events the bus did not confirm")
CONNECTED = Gauge("parkade_ocpp_stations_connected", "Stations connected to this replica")
REFUSED = Counter("parkade_ocpp_refused_total", "Connections that were not admitted", ["reason"])
