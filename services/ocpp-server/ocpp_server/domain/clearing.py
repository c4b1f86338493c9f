"""S11: did the deletion of charging profiles work? Read from what the station itself says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.units import NOMINAL_VOLTAGE_V


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether every limit is gone, and what was found."""

    gone: bool
    detail: str


def judge_clearing(
    cleared: Mapping[str, Any] | None,
    composite: Mapping[str, Any] | None,
    *,
    max_a: float,
    phases: int,
) -> Verdict:
    """Judge by the answers to ClearChargingProfile and GetCompositeSchedule.

    ``None`` = no answer, or a CALLERROR. ``Unknown`` to the first means that there was nothing to
    clear. ``Rejected`` to the second is how a box without profiles may answer. The profiles count
    as gone when no limit below ``max_a`` is left.
    """
    status = None if cleared is None else cleared.get("status")
    if status not in {"Accepted", "Unknown"}:
        return Verdict(False, f"ClearChargingProfile was answered {status or 'with nothing'}")
    found = "profiles cleared" if status == "Accepted" else "no profile was there"
    if composite is None:
        return Verdict(False, f"{found}; not verified: GetCompositeSchedule was not answered")
    left_a = _lowest_limit_a(composite, phases)
    if left_a is not None and left_a < max_a:
        return Verdict(False, f"{found}, but the station still limits to {left_a:g} A")
    return Verdict(True, f"{found}, verified: no limit is left")


def _lowest_limit_a(composite: Mapping[str, Any], phases: int) -> float | None:
    """The lowest limit of a composite schedule, in ampere per phase."""
    schedule = composite.get("chargingSchedule")
    if composite.get("status") != "Accepted" or not isinstance(schedule, Mapping):
        return None
    periods = schedule.get("chargingSchedulePeriod")
    entries = [p for p in periods if isinstance(p, Mapping)] if isinstance(periods, list) else []
    limits = [_amps(p, schedule.get("chargingRateUnit"), phases) for p in entries]
    return min((limit for limit in limits if limit is not None), default=None)


def _amps(period: Mapping[str, Any], unit: object, phases: int) -> float | None:
    limit = period.get("limit")
    if not isinstance(limit, int | float) or limit < 0:
        return None
    if unit != "W":
        return float(limit)
    told = period.get("numberPhases")
    used = told if isinstance(told, int) and told > 0 else phases
    return float(limit) / (NOMINAL_VOLTAGE_V * used)
