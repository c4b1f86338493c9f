"""What MeterValues say about the present: currents, power, energy.

The habits of field notes 5.4, 28. How single values are read is in ``sampled_values``.
"""

from typing import NamedTuple

from ocpp_server.domain.sampled_values import (
    CURRENT,
    ENERGY,
    OFFERED,
    POWER,
    VOLTAGE,
    Sampled,
)
from shared.units import NOMINAL_VOLTAGE_V, PhaseAmps


class Reading(NamedTuple):
    """The newest values of one message. ``None`` = the station said nothing of it."""

    current_a: PhaseAmps | None = None
    power_w: float | None = None
    energy_wh: float | None = None
    offered_a: float | None = None

    @property
    def is_empty(self) -> bool:
        """The message told nothing that steers."""
        return self == NOTHING_READ


NOTHING_READ = Reading()


def reading_of(sampled: Sampled, *, phases: int) -> Reading:
    """Return what sampled values say about the present.

    ``phases``: to how many the box is wired. Currents that are not told per phase are taken for
    every wired phase, which is never too little; without any current, power per phase (or the
    power of a one-phase box) over the voltage stands in.
    """
    return Reading(
        _currents(sampled, phases),
        sampled.total(POWER),
        sampled.total(ENERGY),
        offered_a(sampled),
    )


def offered_a(sampled: Sampled) -> float | None:
    """Return what the box offers the car: the most that it tells of any phase."""
    told = [v for v in sampled.values[OFFERED : OFFERED + 4] if v is not None]
    return max(told) if told else None


def _currents(sampled: Sampled, phases: int) -> PhaseAmps | None:
    l1, l2, l3 = sampled.line(CURRENT)
    if l1 is not None or l2 is not None or l3 is not None:
        return PhaseAmps(l1=l1, l2=l2, l3=l3)
    total = sampled.values[CURRENT]
    if total is not None:
        return _on_wired_phases(total, phases)
    return _currents_from_power(sampled, phases)


def _currents_from_power(sampled: Sampled, phases: int) -> PhaseAmps | None:
    told = sampled.line(POWER)
    if any(power is not None for power in told):
        l1, l2, l3 = (
            None if power is None else power / _voltage(sampled, line)
            for line, power in enumerate(told, 1)
        )
        return PhaseAmps(l1=l1, l2=l2, l3=l3)
    total = sampled.values[POWER]
    # One number for three phases does not tell how many of them the car uses: unknown.
    if total is None or (phases > 1 and total != 0):
        return None
    return _on_wired_phases(total / _voltage(sampled, 0), phases)


def _voltage(sampled: Sampled, line: int) -> float:
    told = sampled.values[VOLTAGE + line] or sampled.values[VOLTAGE]
    return told if told and told > 100 else NOMINAL_VOLTAGE_V


def _on_wired_phases(current_a: float, phases: int) -> PhaseAmps:
    other = current_a if phases > 1 else None
    return PhaseAmps(l1=current_a, l2=other, l3=other)
