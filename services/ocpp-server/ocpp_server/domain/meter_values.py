"""What MeterValues say: currents, power, energy, and signed values kept as they are.

OCPP 1.6, 7.28 and 7.43 to 7.45; the habits of field notes 5.4, 28.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from ocpp_server.domain.timestamps import parse_timestamp
from shared.units import NOMINAL_VOLTAGE_V, PhaseAmps

_PREFIXES = {"": 1.0, "k": 1_000.0, "m": 0.001, "M": 1_000_000.0}
_UNIT = re.compile(r"([kmM]?)(Wh|W|A|V)")
_DEFAULT_MEASURAND = "Energy.Active.Import.Register"
_DEFAULT_UNITS = {"Energy": "Wh", "Power": "W", "Current": "A", "Voltage": "V"}
_LINES = ("L1", "L2", "L3")
_TOTAL = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest values of one message. ``None`` = the station said nothing of it."""

    current_a: PhaseAmps | None = None
    power_w: float | None = None
    energy_wh: float | None = None
    offered_a: float | None = None

    @property
    def is_empty(self) -> bool:
        """The message told nothing that steers."""
        return self == Reading()


@dataclass(frozen=True, slots=True)
class SignedValue:
    """A signed value of a calibrated meter, as the station wrote it (S14)."""

    text: str
    context: str | None


_Values = dict[tuple[str, str | None], float]
"""(measurand, line or total) -> value in SI units."""


def read_values(entries: Iterable[Mapping[str, Any]], *, phases: int) -> Reading:
    """Return what the samples of one or more MeterValue entries say, later ones winning.

    ``phases``: to how many the box is wired. Currents that are not told per phase are taken for
    every wired phase, which is never too little; without any current, power per phase (or the
    power of a one-phase box) over the voltage stands in.
    """
    values: _Values = {}
    for entry in entries:
        for sample in entry.get("sampledValue") or ():
            _take(sample, values)
    return Reading(
        current_a=_currents(values, phases),
        power_w=_sum_or_total(values, "Power.Active.Import"),
        energy_wh=_sum_or_total(values, _DEFAULT_MEASURAND),
        offered_a=_offered(values),
    )


def signed_values(entries: Iterable[Mapping[str, Any]]) -> list[SignedValue]:
    """Return every signed value, byte for byte."""
    return [
        SignedValue(sample["value"], sample.get("context"))
        for entry in entries
        for sample in entry.get("sampledValue") or ()
        if sample.get("format") == "SignedData" and isinstance(sample.get("value"), str)
    ]


def newest_timestamp(entries: Iterable[Mapping[str, Any]]) -> datetime | None:
    """Return the latest moment that the entries were sampled at, if they tell one."""
    told = (parse_timestamp(entry.get("timestamp")) for entry in entries)
    return max((moment for moment in told if moment is not None), default=None)


def _take(sample: Mapping[str, Any], values: _Values) -> None:
    if sample.get("format") == "SignedData":
        return
    place = _place(sample.get("measurand"), sample.get("phase"), sample.get("unit"))
    number = _number(sample.get("value"))
    if place is not None and number is not None:
        values[place[0]] = number * place[1]


@lru_cache(maxsize=1024)
def _place(
    measurand: str | None, phase: str | None, unit: str | None
) -> tuple[tuple[str, str | None], float] | None:
    """Where a value belongs, and the factor to SI units; None for what is not used here.

    Remembered, because a station repeats the same dozen combinations for ever.
    """
    name = measurand or _DEFAULT_MEASURAND
    expected = _DEFAULT_UNITS.get(name.partition(".")[0])
    if expected is None:
        return None
    if not unit:
        return (name, _line(phase)), 1.0
    found = _UNIT.fullmatch(unit.strip())
    if found is None or found.group(2) != expected:
        return None
    return (name, _line(phase)), _PREFIXES[found.group(1)]


def _number(value: object) -> float | None:
    text = value if isinstance(value, str) else ""
    try:
        number = float(text.replace(",", ".") if "," in text else text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _line(phase: str | None) -> str | None:
    """``L1`` of ``L1`` and ``L1-N``; the total without a phase. Between two lines is neither."""
    return phase.removesuffix("-N") if phase else _TOTAL


def _currents(values: _Values, phases: int) -> PhaseAmps | None:
    told = [values.get(("Current.Import", line)) for line in _LINES]
    if any(value is not None for value in told):
        return PhaseAmps(l1=told[0], l2=told[1], l3=told[2])
    total = values.get(("Current.Import", _TOTAL))
    if total is not None:
        return _on_wired_phases(total, phases)
    return _currents_from_power(values, phases)


def _currents_from_power(values: _Values, phases: int) -> PhaseAmps | None:
    told = [values.get(("Power.Active.Import", line)) for line in _LINES]
    if any(power is not None for power in told):
        l1, l2, l3 = (
            None if power is None else power / _voltage(values, line)
            for power, line in zip(told, _LINES, strict=True)
        )
        return PhaseAmps(l1=l1, l2=l2, l3=l3)
    total = values.get(("Power.Active.Import", _TOTAL))
    # One number for three phases does not tell how many of them the car uses: unknown.
    if total is None or (phases > 1 and total != 0):
        return None
    return _on_wired_phases(total / _voltage(values, _TOTAL), phases)


def _voltage(values: _Values, line: str | None) -> float:
    told = values.get(("Voltage", line)) or values.get(("Voltage", _TOTAL))
    return told if told and told > 100 else NOMINAL_VOLTAGE_V


def _on_wired_phases(current_a: float, phases: int) -> PhaseAmps:
    other = current_a if phases > 1 else None
    return PhaseAmps(l1=current_a, l2=other, l3=other)


def _sum_or_total(values: _Values, measurand: str) -> float | None:
    total = values.get((measurand, _TOTAL))
    if total is not None:
        return total
    told = [values.get((measurand, line)) for line in _LINES]
    known = [value for value in told if value is not None]
    return sum(known) if known else None


def _offered(values: _Values) -> float | None:
    told = [values.get(("Current.Offered", line)) for line in (_TOTAL, *_LINES)]
    return max((value for value in told if value is not None), default=None)
