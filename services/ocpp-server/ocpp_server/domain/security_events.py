"""Security events of stations: which are critical, and when two reports are one event."""

import hashlib

from ocpp_server.domain.timestamps import parse_timestamp

CRITICAL = frozenset(
    {
        "FirmwareUpdated",
        "SettingSystemTime",
        "StartupOfTheDevice",
        "ResetOrReboot",
        "SecurityLogWasCleared",
        "MemoryExhaustion",
        "TamperDetectionActivated",
    }
)
"""Those that a station must push (security white paper, appendix on events)."""


def is_critical(type_: str) -> bool:
    """Tell whether an event is critical. Types that OCPP does not know are not."""
    return type_ in CRITICAL


def event_id(station_id: str, type_: str, *, tech_info: str, told_at: str, arrival: str) -> str:
    """Return an id that is the same for every repetition of an event.

    ``arrival`` tells arrivals apart. It counts only where the station's clock tells nothing, so
    that a second reset with the same timestamp of 1970 is not taken for the first.
    """
    moment = told_at if parse_timestamp(told_at) is not None else f"{told_at} {arrival}"
    parts = (station_id, type_, tech_info, moment)
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()
