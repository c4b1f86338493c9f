"""What a StatusNotification says about an outlet."""

from dataclasses import dataclass
from typing import Any

from shared.contracts.evse import EvseState

STATES = {
    "Available": EvseState.A,
    "Preparing": EvseState.B,
    "Charging": EvseState.C,
    "SuspendedEV": EvseState.B,
    "SuspendedEVSE": EvseState.B,
    "Finishing": EvseState.B,
    "Reserved": EvseState.A,
    "Unavailable": EvseState.E,
    "Faulted": EvseState.F,
}
"""OCPP 1.6 ChargePointStatus to IEC 61851-1. Suspended: a vehicle is there, no energy flows."""

_NO_FAULT = frozenset({"", "NoError"})


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    """State and fault of a connector. A status that 1.6 does not know is an unknown state."""

    state: EvseState | None
    fault: str | None


def read_status(payload: dict[str, Any]) -> ConnectorStatus:
    """Return what a StatusNotification.req says. Only its text counts, never its timestamp."""
    return ConnectorStatus(STATES.get(str(payload.get("status"))), _fault_of(payload))


def _fault_of(payload: dict[str, Any]) -> str | None:
    """The fault in the station's own words; a Faulted connector always has one."""
    code = str(payload.get("errorCode") or "")
    if code in _NO_FAULT and payload.get("status") != "Faulted":
        return None
    words = (code, payload.get("vendorErrorCode"), payload.get("info"))
    return " ".join(str(word) for word in words if word) or "Faulted"
