"""What flows on each circuit beside the EVSEs: measured where there is a meter, else worst case.

Generation is never room on a fuse, because the sun may go within the second. Only where a grid
meter shows what is left of the consumption, that counts. What a meter of generation shows in the
direction of consumption (a storage that is charged, an inverter at night) is load like any other.
"""

from math import isfinite

import numpy as np

from loadmgr.domain.arrays import Bools, Floats, Three
from loadmgr.domain.evse_model import EvseModel
from loadmgr.domain.evse_record import EvseRecord
from loadmgr.domain.meter_record import Drawn, MeterRecord, PhaseRecord, estimate
from loadmgr.domain.site_model import SiteModel
from shared.contracts.meter import MeterSampled
from shared.contracts.site import Meter, MeterRole
from shared.units import PHASES

MOTION_S = 15.0
"""So long after a new limit or state a box's own figure may lag behind the meter's."""


def take_sample(
    model: SiteModel,
    records: dict[str, EvseRecord],
    meter: MeterRecord,
    sample: MeterSampled,
    *,
    now_s: float,
) -> None:
    """Turn a reading into estimates. A phase that the meter does not tell ages instead.

    Of other consumers and of generation only what flows in the direction of consumption counts.
    """
    config = model.meters[sample.meter_id]
    circuit = model.circuit_index(config.circuit)
    drawn = _drawn(model.below[circuit], records, now_s) if config.role is MeterRole.GRID else None
    heard_s = min(sample.sampled_at.timestamp(), now_s)
    meter.note_power(sample, heard_s)
    for index, (phase, shown_a) in enumerate(zip(meter.phases, sample.current_a, strict=True)):
        if shown_a is None or not isfinite(shown_a) or heard_s < phase.heard_s:
            continue
        if drawn is None:
            phase.add(max(0.0, shown_a), heard_s)
            continue
        limit_a = model.circuits[circuit].limit_a.on(PHASES[index])
        phase.is_blind = drawn[index].is_blind
        before_a = phase.last_window_a()
        phase.add(estimate(shown_a, drawn[index], before_a=before_a, limit_a=limit_a), heard_s)


def _drawn(
    evses: tuple[EvseModel, ...], records: dict[str, EvseRecord], now_s: float
) -> list[Drawn]:
    sums = [[0.0, 0.0, 0.0] for _ in range(3)]
    for evse in evses:
        for total, amps in zip(sums, _drawn_by(evse, records[evse.config.id], now_s), strict=True):
            for phase in range(3):
                total[phase] += amps[phase]
    is_blind = any(_is_blind(evse, records[evse.config.id], now_s) for evse in evses)
    return [
        Drawn(measured_a=measured, least_a=least, most_a=most, is_blind=is_blind)
        for measured, least, most in zip(*sums, strict=True)
    ]


def _is_blind(evse: EvseModel, record: EvseRecord, now_s: float) -> bool:
    """Tell whether its current cannot be found in the meter's; as long as the vehicle stays."""
    if not record.online or not record.may_have_vehicle:
        return False
    is_placed = evse.grid_phase is not None or record.used_lines == 0b111
    return not is_placed or not record.is_measured(now_s)


def _drawn_by(evse: EvseModel, record: EvseRecord, now_s: float) -> tuple[Three, Three, Three]:
    """Return what an EVSE is measured to draw, and the least and most it may, on the grid."""
    seen = record.measured_least_a(evse, now_s)
    if now_s - record.moved_s >= MOTION_S:
        return seen, seen, seen
    high = record.measured_most_a(evse, now_s)
    upper_a, usage = record.upper_a(now_s), record.usage(evse)
    sent_a = record.sent.limit_a if record.sent is not None else 0.0
    least = (min(seen[0], sent_a), min(seen[1], sent_a), min(seen[2], sent_a))
    most = (
        max(high[0], usage[0] * upper_a),
        max(high[1], usage[1] * upper_a),
        max(high[2], usage[2] * upper_a),
    )
    return seen, least, most


def uncontrolled_rows(
    model: SiteModel, meters: dict[str, MeterRecord], now_s: float
) -> tuple[Floats, Bools]:
    """Return the uncontrolled current of every row, and which rows count a lost meter's worst case.

    A grid meter tells all of its circuit. A circuit without one carries its own consumers, measured
    or ``uncontrolled_a``, and those of the circuits below. A meter of generation replaces neither:
    it takes nothing off, and lost it costs nothing but what it was seen to draw.
    """
    amps = np.zeros((len(model.circuits), 3))
    lost = np.zeros((len(model.circuits), 3), dtype=bool)
    below = np.zeros_like(amps)
    for index in reversed(model.loaded):
        worst_a = model.circuits[index].uncontrolled_a
        amps[index] = worst_a + below[index]
        for phase in range(3) if model.meters_at[index] else ():
            at = [(m.role, meters[m.id].phases[phase]) for m in model.meters_at[index]]
            beside_a = _beside_a(at, worst_a, below[index, phase], now_s=now_s)
            amps[index, phase], lost[index, phase] = beside_a, _counts_worst(at, now_s)
        if model.parents[index] >= 0:
            below[model.parents[index]] += amps[index]
    return amps.ravel(), lost.ravel()


def _beside_a(
    at: list[tuple[MeterRole, PhaseRecord]], worst_a: float, below_a: float, *, now_s: float
) -> float:
    """Return what flows beside the EVSEs at a circuit with meters, on one phase."""
    grid = [record for role, record in at if role is MeterRole.GRID]
    if grid:
        return max(record.uncontrolled_a(worst_a + below_a, now_s) for record in grid)
    own = [record for role, record in at if role is MeterRole.CONSUMPTION]
    sources = [record for role, record in at if role is MeterRole.GENERATION]
    own_a = sum(record.uncontrolled_a(worst_a, now_s) for record in own) if own else worst_a
    return own_a + sum(record.uncontrolled_a(0.0, now_s) for record in sources) + below_a


def _counts_worst(at: list[tuple[MeterRole, PhaseRecord]], now_s: float) -> bool:
    """Tell whether the worst case of a lost meter counts on one phase of a circuit."""
    return any(record.is_lost(now_s) for role, record in at if role is not MeterRole.GENERATION)


def silent_meters(
    model: SiteModel, meters: dict[str, MeterRecord], now_s: float
) -> frozenset[Meter]:
    """Return the meters whose worst case counts."""
    return frozenset(m for m in model.meters.values() if meters[m.id].is_lost(now_s))
