"""The sampled values of one MeterValue, in SI units and in fixed places.

Places instead of names, because this is what the server does most: ten of them in each message.
OCPP 1.6, 7.43 to 7.45; the habits of field notes 5.4, 28.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from math import isfinite, nan
from typing import Any, NamedTuple, TypeAlias

from ocpp_server.domain.timestamps import parse_timestamp

Values: TypeAlias = list[float | None]
"""One value for each place; ``None`` = not told."""

ENERGY, EXPORT, POWER, CURRENT, VOLTAGE, OFFERED = range(0, 24, 4)
"""First place of a measurand: its total, then L1, L2, L3."""
SOC = 24
PLACES = 25

_DEFAULT_MEASURAND = "Energy.Active.Import.Register"
_MEASURANDS = {
    _DEFAULT_MEASURAND: (ENERGY, "Wh"),
    "Energy.Active.Export.Register": (EXPORT, "Wh"),
    "Power.Active.Import": (POWER, "W"),
    "Current.Import": (CURRENT, "A"),
    "Voltage": (VOLTAGE, "V"),
    "Current.Offered": (OFFERED, "A"),
}
_LINES = {"L1": 1, "L2": 2, "L3": 3, "L1-N": 1, "L2-N": 2, "L3-N": 3}
_PREFIXES = {"": 1.0, "k": 1_000.0, "m": 0.001, "M": 1_000_000.0}
_UNIT = re.compile(r"([kmM]?)(Wh|W|A|V)")


class Sampled(NamedTuple):
    """What was sampled at one moment."""

    at: datetime | None
    """By the station's clock."""
    context: str | None
    values: Values

    def line(self, first: int) -> tuple[float | None, float | None, float | None]:
        """Return the values of L1, L2 and L3 of a measurand."""
        values = self.values
        return values[first + 1], values[first + 2], values[first + 3]

    def total(self, measurand: int) -> float | None:
        """Return the total of a measurand: as told, or the sum of its lines."""
        told = self.values[measurand]
        if told is not None:
            return told
        l1, l2, l3 = self.line(measurand)
        if l1 is None and l2 is None and l3 is None:
            return None
        return (l1 or 0.0) + (l2 or 0.0) + (l3 or 0.0)


def read_samples(entries: Iterable[Mapping[str, Any]]) -> list[Sampled]:
    """Return what each MeterValue entry says. What is not used here, or no number, is left out."""
    return [_read(entry) for entry in entries]


def merged(sampled: Sequence[Sampled]) -> Sampled:
    """Return several entries as one, later values winning."""
    if len(sampled) == 1:
        return sampled[0]
    values: Values = [None] * PLACES
    for one in sampled:
        values = [old if new is None else new for old, new in zip(values, one.values, strict=True)]
    times = [one.at for one in sampled if one.at is not None]
    return Sampled(max(times, default=None), None, values)


def _read(entry: Mapping[str, Any]) -> Sampled:
    values: Values = [None] * PLACES
    context = None
    for sample in entry.get("sampledValue") or ():
        told = sample.get
        place = _place(told("measurand"), told("phase"), told("unit"))
        if place is None or told("format") == "SignedData":
            continue
        try:
            number = float(sample["value"])
        except (ValueError, TypeError, KeyError):
            number = _odd_number(told("value"))
        if isfinite(number):
            values[place[0]] = number * place[1]
            context = told("context") or context
    return Sampled(parse_timestamp(entry.get("timestamp")), context, values)


@lru_cache(maxsize=1024)
def _place(measurand: str | None, phase: str | None, unit: str | None) -> tuple[int, float] | None:
    """Where a value belongs, and the factor to SI units; None for what is not used here.

    Remembered, because a station repeats the same dozen combinations for ever.
    """
    if measurand == "SoC":
        return SOC, 1.0
    first, expected = _MEASURANDS.get(measurand or _DEFAULT_MEASURAND, (None, ""))
    line = _LINES.get(phase) if phase else 0
    if first is None or line is None:  # e.g. between two lines: neither of them
        return None
    if not unit:
        return first + line, 1.0
    found = _UNIT.fullmatch(unit.strip())
    if found is None or found.group(2) != expected:
        return None
    return first + line, _PREFIXES[found.group(1)]


def _odd_number(text: object) -> float:
    """A number with a decimal comma; ``nan`` for what is no number."""
    try:
        return float(str(text).replace(",", "."))
    except ValueError:
        return nan
