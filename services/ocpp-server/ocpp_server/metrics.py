"""What the OCPP server counts, for ``/metrics``."""

from collections import Counter as Counts
from collections.abc import Iterable

from prometheus_client import REGISTRY, Counter, Gauge, Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


class Tally(Collector):
    """A counter with one label for what happens thousands of times a second.

    A plain dictionary counts; it is turned into a metric when somebody looks.
    """

    def __init__(self, name: str, documentation: str, label: str) -> None:
        self.counts: Counts[str] = Counts()
        self._description = (name, documentation, label)
        REGISTRY.register(self)

    def collect(self) -> Iterable[Metric]:
        """Return what was counted so far."""
        name, documentation, label = self._description
        family = CounterMetricFamily(name, documentation, labels=[label])
        for value, count in self.counts.items():
            family.add_metric([value], count)
        return [family]


CALLS = Tally("parkade_ocpp_calls_total", "Calls of stations, by action", "action")
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
