"""The configuration that is measured: so many single boxes on one generous fuse."""

from typing import Any


def bench_site(stations: int) -> dict[str, Any]:
    """Return a site that knows every station of the load generator."""
    names = [f"BENCH-{number}" for number in range(stations)]
    return {
        "revision": 1,
        "name": "Bench",
        "ocpp_server": {"heartbeat_interval_s": 86_400, "meter_interval_s": 3_600},
        "circuits": [{"id": "main", "limit_a": 10_000}],
        "stations": [{"id": name, "protocol": "ocpp"} for name in names],
        "evses": [{"id": name, "station": name, "circuit": "main"} for name in names],
    }
