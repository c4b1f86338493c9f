"""From what is granted to what can be told to a box, which is never more; and whether it heeds."""

from functools import lru_cache
from typing import NamedTuple

from ocpp_server.domain.meter_values import Reading
from ocpp_server.domain.model import Model, RateUnit, WattsPhases
from ocpp_server.domain.phases import SWITCHES_WITHIN_S, in_use
from ocpp_server.domain.profile_forms import Form
from ocpp_server.domain.profiles import Limit, sendable_a
from shared.contracts.site import Evse
from shared.units import PhaseAmps

LATE_S = 20.0
"""So long after a limit a car may still draw more (IEC 61851-1: 5 s, and the box's own pace)."""
TOLERANCE_A = 1.0


class Sendable(NamedTuple):
    """What to send, and why that is not what was ordered."""

    limit: Limit | None
    refusal: str | None = None


class Box(NamedTuple):
    """What is known of the box that a limit is for."""

    model: Model
    form: Form | None
    """How it is told limits; ``None`` = not known yet."""
    measured: PhaseAmps | None
    can_switch_phases: bool = True


def sendable(wanted: Limit, *, evse: Evse, box: Box) -> Sendable:
    """Return a limit as a box takes it, rounded down (field notes 5.5, 34 to 36 and 39).

    A box that faults at 0 A is left at its minimum; the order counts as refused, because more may
    flow than was granted. A box that cannot switch its phases hears nothing of them, and refuses
    fewer than it is wired to: on those that were not granted nobody has made room.
    """
    phases = wanted.phases
    if phases is not None and not (evse.switches_phases and box.can_switch_phases):
        if phases < evse.phases:
            return Sendable(limit=None, refusal="it cannot be told how many phases to use")
        wanted = wanted._replace(phases=None)
    counted = None
    if box.form is not None and box.form.unit is RateUnit.WATTS:
        most = min(evse.phases, wanted.phases or evse.phases)
        counted = watts_phases(box.model, box.measured, wired=most)
    zero_as_a = evse.min_a if box.model.never_zero else None
    return _rounded(wanted, counted, whole_amps=box.model.whole_amps, zero_as_a=zero_as_a)


@lru_cache(maxsize=4_096)  # many stations are told the same few limits
def _rounded(
    wanted: Limit, counted: int | None, *, whole_amps: bool, zero_as_a: float | None
) -> Sendable:
    limit_a, refusal = sendable_a(wanted.limit_a, whole_amps=whole_amps), None
    if limit_a == 0 and zero_as_a is not None:
        limit_a, refusal = zero_as_a, f"this model faults at 0 A; it is left at {zero_as_a:g} A"
    limit = Limit(limit_a=limit_a, phases=wanted.phases, watts_phases=counted)
    return Sendable(limit=limit, refusal=refusal)


def watts_phases(model: Model, measured: PhaseAmps | None, *, wired: int) -> int:
    """Return for how many phases a limit in watt is counted (5.5, 35).

    Those that are seen to be in use. A car of one phase that gets watts for three would draw three
    times its ampere.
    """
    used = in_use(measured)
    if used:
        return min(used, wired)
    return 1 if model.watts_phases is WattsPhases.ONE else wired


def heeds(reading: Reading, limit: Limit, *, since_s: float) -> bool:
    """Tell whether a box does what it confirmed, by what it offers and by what flows.

    ``since_s``: how long after the limit it was measured. Without figures it is believed.
    """
    if since_s < LATE_S:
        return True
    flowing = () if reading.current_a is None else reading.current_a.known
    if limit.phases == 1 and since_s >= SWITCHES_WITHIN_S and in_use(reading.current_a) > 1:
        return False
    told = [*flowing, *(() if reading.offered_a is None else (reading.offered_a,))]
    return max(told, default=0.0) <= limit.limit_a + TOLERANCE_A
