"""Samples for the history: what they are, and which of them are kept."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.evse import EvseObserved
from shared.contracts.meter import MeterSampled


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One wide row: an EVSE or a meter at one moment. ``None`` = not known."""

    source: str
    kind: str
    """``evse`` or ``meter``."""
    at: datetime
    state: str | None = None
    l1_a: float | None = None
    l2_a: float | None = None
    l3_a: float | None = None
    power_w: float | None = None
    energy_wh: float | None = None
    """Import register."""
    energy_export_wh: float | None = None
    offered_a: float | None = None
    """What load management decided."""


def evse_sample(fact: EvseObserved, *, offered_a: float | None) -> Sample:
    """Return the row of an EVSE."""
    current = fact.current_a
    return Sample(
        source=fact.evse_id,
        kind="evse",
        at=fact.observed_at,
        state=fact.state.value if fact.online and fact.state is not None else None,
        l1_a=None if current is None else current.l1,
        l2_a=None if current is None else current.l2,
        l3_a=None if current is None else current.l3,
        power_w=fact.power_w,
        energy_wh=fact.energy_wh,
        offered_a=offered_a,
    )


def meter_sample(fact: MeterSampled) -> Sample:
    """Return the row of a meter."""
    return Sample(
        source=fact.meter_id,
        kind="meter",
        at=fact.sampled_at,
        l1_a=fact.current_a.l1,
        l2_a=fact.current_a.l2,
        l3_a=fact.current_a.l3,
        power_w=fact.power_w,
        energy_wh=fact.energy_import_wh,
        energy_export_wh=fact.energy_export_wh,
    )


def is_due(last: Sample | None, sample: Sample, interval: timedelta) -> bool:
    """Tell whether a sample is kept: the first, a change of state, or ``interval`` after the last.

    Without thinning, forty bays at one reading a second would be 300 million rows in 90 days.
    """
    if last is None or sample.state != last.state:
        return True
    return sample.at - last.at >= interval
