"""What an OCPP station writes into MeterValues of what its outlet shows."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from parkade.simulation.ocpp_link import Payload
from parkade.simulation.outlet import Outlet
from shared.units import NOMINAL_VOLTAGE_V

PERIODIC = "Sample.Periodic"
TRIGGERED = "Trigger"
BEGIN = "Transaction.Begin"
END = "Transaction.End"


def timestamp(moment: datetime) -> str:
    """Return a moment as OCPP writes it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def meter_value(
    outlet: Outlet, measurands: Sequence[str], *, context: str, now: datetime
) -> Payload:
    """Return one MeterValue of these measurands; phases where a value has phases."""
    values = [
        {"context": context, "format": "Raw", "measurand": measurand, **sample}
        for measurand in measurands
        for sample in _samples(outlet, measurand)
    ]
    return {"timestamp": timestamp(now), "sampledValue": values}


def signed_meter_value(text: str, *, context: str, at: datetime) -> Payload:
    """Return one MeterValue with a signed reading in it."""
    value = {"context": context, "format": "SignedData", "value": text}
    return {"timestamp": timestamp(at), "sampledValue": [value]}


def _samples(outlet: Outlet, measurand: str) -> Iterator[dict[str, Any]]:
    if measurand in PER_PHASE:
        yield from _phase_samples(outlet, measurand)
    elif measurand in TOTALS:
        unit, value = TOTALS[measurand]
        yield {"unit": unit, "value": value(outlet)}
    elif measurand == "SoC" and outlet.car is not None:
        yield {"unit": "Percent", "location": "EV", "value": f"{outlet.car.charge * 100:.0f}"}


def _phase_samples(outlet: Outlet, measurand: str) -> Iterator[dict[str, Any]]:
    for number, current_a in enumerate(outlet.amps[: outlet.phases], 1):
        if measurand == "Current.Import":
            yield {"phase": f"L{number}", "unit": "A", "value": f"{current_a:.2f}"}
        else:
            yield {"phase": f"L{number}-N", "unit": "V", "value": f"{NOMINAL_VOLTAGE_V:.1f}"}


def _offered_w(outlet: Outlet) -> float:
    return outlet.offered_a * outlet.live_phases * NOMINAL_VOLTAGE_V


PER_PHASE = frozenset({"Current.Import", "Voltage"})
TOTALS: dict[str, tuple[str, Callable[[Outlet], str]]] = {
    "Current.Offered": ("A", lambda outlet: f"{outlet.offered_a:.1f}"),
    "Power.Offered": ("W", lambda outlet: f"{_offered_w(outlet):.0f}"),
    "Power.Active.Import": ("W", lambda outlet: f"{outlet.power_w:.1f}"),
    "Energy.Active.Import.Register": ("Wh", lambda outlet: f"{outlet.energy_wh:.0f}"),
}
