"""The site of the conformance tests: a station with two connectors for every case, and tokens."""

from datetime import timedelta
from typing import Any

from shared.clock import SYSTEM_CLOCK
from tests.conformance.cases import CASES, Case
from tests.conformance.settings import CONNECTORS

VALID = "VALID"
SIBLING = "SIBLING"
"""Another tag of the group of ``VALID``."""
PARENT = "FAMILY"
INVALID, EXPIRED, BLOCKED = "INVALID", "EXPIRED", "BLOCKED"
PAST = "PAST"
"""Accepted once; its time has passed."""
UNKNOWN = "NOBODY"

PASSWORD = "a-password-of-16"
"""Of the stations in ``WITH_PASSWORD``."""
WITH_PASSWORD = frozenset({"TC_073", "TC_083", "TC_085", "TC_086"})

CPO_NAME = "Parkade Conformance"
SERVER = {"heartbeat_interval_s": 300, "meter_interval_s": 10, "cpo_name": CPO_NAME}


def station_of(case: Case) -> str:
    """Return the id of the station that a case has for itself."""
    return case.number


def evse_of(case: Case, connector: int = 1) -> str:
    """Return the id of an EVSE of that station."""
    return f"{case.number}-{connector}"


def conformance_site() -> dict[str, Any]:
    """Return the site as an operator would write it."""
    yesterday = (SYSTEM_CLOCK.now() - timedelta(days=1)).isoformat()
    return {
        "name": "conformance",
        "circuits": [{"id": "main", "limit_a": 10_000}],
        "ocpp_server": SERVER,
        "stations": [_station(case) for case in CASES],
        "evses": [
            {
                "id": evse_of(case, connector),
                "station": station_of(case),
                "connector": connector,
                "circuit": "main",
            }
            for case in CASES
            for connector in range(1, CONNECTORS + 1)
        ],
        "tokens": [
            {"id": VALID, "parent": PARENT},
            {"id": SIBLING, "parent": PARENT},
            {"id": INVALID, "status": "invalid"},
            {"id": EXPIRED, "status": "expired"},
            {"id": PAST, "expires_at": yesterday},
            {"id": BLOCKED, "status": "blocked"},
        ],
    }


def _station(case: Case) -> dict[str, Any]:
    station: dict[str, Any] = {"id": station_of(case), "protocol": "ocpp"}
    if case.number in WITH_PASSWORD:
        station["password"] = PASSWORD
    return station
