"""What the sun gives and nobody else uses: for EVSEs that charge from it only.

Powers are those of all phases together, in W, because the grid's meter nets over phases.

Wiring, once a decision where any EVSE is ``surplus_only``: ``State`` keeps one ``SurplusRecord``,
which is told ``record.add(beside(look), now_s)``; ``look.solar`` are the ids of the EVSEs that
charge from the sun now (not those which are told otherwise by hand). The row of their power then
has the limit ``record.power_w(now_s)``, of which nothing is taken off but what they may draw
themselves. ``generation_w(look)`` is what comes on top of a dimmed limit.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from loadmgr.domain.evse_model import EvseModel
from loadmgr.domain.evse_record import EvseRecord
from loadmgr.domain.meter_record import HOLD_S, MeterRecord
from loadmgr.domain.moment import NEVER
from loadmgr.domain.site_model import SiteModel
from loadmgr.domain.uncontrolled import MOTION_S
from shared.contracts.site import MeterRole
from shared.units import NOMINAL_VOLTAGE_V, PHASES

FALL_S = 5.0
"""Less than before counts when it has lasted for so long."""
RISE_S = 60.0
"""More than before counts when it has lasted for so long, so that clouds make nobody chatter."""


class Span(NamedTuple):
    """Between what bounds a power lies. Meters and boxes do not speak of the same moment."""

    least_w: float
    most_w: float

    def nearest(self, before_w: float | None) -> float:
        """Return the possible value nearest to the one before; the first time, the highest."""
        if before_w is None:
            return self.most_w
        return min(max(before_w, self.least_w), self.most_w)


@dataclass(slots=True)
class SurplusRecord:
    """The surplus over the last minute."""

    beside_w: float | None = None
    """What flowed at the grid beside the EVSEs that charge from the sun; ``None`` = not known."""
    since_s: float = NEVER
    heard_s: float = NEVER
    peaks: deque[tuple[float, float]] = field(default_factory=deque)
    """(time, surplus) of the last 5 s, falling: the first is the maximum."""
    lows: deque[tuple[float, float]] = field(default_factory=deque)
    """(time, maximum of 5 s) of the last minute, rising: the first is the minimum."""

    def add(self, found: Span | None, now_s: float) -> None:
        """Take in what flows beside; unknown forgets all that was."""
        if found is None or now_s - self.heard_s > HOLD_S:
            self.beside_w, self.since_s = None, now_s
            self.peaks.clear()
            self.lows.clear()
        if found is None:
            return
        self.heard_s, self.beside_w = now_s, found.nearest(self.beside_w)
        surplus_w = -self.beside_w
        while self.peaks and self.peaks[-1][1] <= surplus_w:
            self.peaks.pop()
        self.peaks.append((now_s, surplus_w))
        while self.peaks[0][0] <= now_s - FALL_S:
            self.peaks.popleft()
        peak_w = self.peaks[0][1]
        while self.lows and self.lows[-1][1] >= peak_w:
            self.lows.pop()
        self.lows.append((now_s, peak_w))
        while self.lows[0][0] < now_s - RISE_S:
            self.lows.popleft()

    def power_w(self, now_s: float) -> float:
        """Return the power (W) that EVSEs may take from the sun; 0 where it is not known."""
        is_known = now_s - self.heard_s <= HOLD_S and now_s - self.since_s >= RISE_S
        return max(0.0, self.lows[0][1]) if is_known else 0.0


@dataclass(frozen=True, kw_only=True)
class Look:
    """All that is known at one moment."""

    model: SiteModel
    records: Mapping[str, EvseRecord]
    meters: Mapping[str, MeterRecord]
    now_s: float
    solar: Collection[str] = frozenset()
    """Ids of the EVSEs that charge from the sun only."""

    def drawn(self, evses: Iterable[EvseModel]) -> Span:
        """Return what some EVSEs draw together (W)."""
        spans = [drawn(evse, self.records[evse.config.id], self.now_s) for evse in evses]
        return Span(sum(s.least_w for s in spans), sum(s.most_w for s in spans))

    def shown_w(self, circuit: int, role: MeterRole) -> list[float | None]:
        """Return what the meters of a role show at a circuit (W); ``None`` = it is silent."""
        mine = [m.id for m in self.model.meters_at[circuit] if m.role is role]
        return [self.meters[meter_id].power_w(self.now_s) for meter_id in mine]


def beside(look: Look) -> Span | None:
    """Return what flows at the grid beside the EVSEs ``solar`` (W); negative = towards the grid.

    ``None`` = a meter that is needed is silent. A circuit without a grid meter carries what its
    meters of consumption and generation show, other EVSEs, and the circuits below.
    """
    below: dict[int, list[int]] = {}
    for circuit, parent in enumerate(look.model.parents):
        below.setdefault(parent, []).append(circuit)
    return _together(_beside_at(look, root, below) for root in below.get(-1, ()))


def generation_w(look: Look) -> float:
    """Return what the site certainly generates now (W).

    The sum of its meters of generation, silent ones as 0. Where there are none, what a grid meter
    shows to be left beside all EVSEs.
    """
    model = look.model
    sources = [look.meters[m.id] for m in model.meters.values() if m.role is MeterRole.GENERATION]
    if sources:
        return sum(max(0.0, -(source.power_w(look.now_s) or 0.0)) for source in sources)
    found = beside(replace(look, solar=model.evse_by_id.keys()))
    return 0.0 if found is None else max(0.0, -found.most_w)


def drawn(evse: EvseModel, record: EvseRecord, now_s: float) -> Span:
    """Return what one EVSE draws (W): as measured, unless it changes or does not tell."""
    seen_w = 0.0
    if record.is_measured(now_s):
        seen_w = NOMINAL_VOLTAGE_V * sum(amps or 0.0 for amps in record.line_a)
        if None not in record.line_a and now_s - record.moved_s >= MOTION_S:
            return Span(seen_w, seen_w)
    each_a_w = NOMINAL_VOLTAGE_V * record.lines(evse).bit_count()
    upper_a = (
        record.upper_a(now_s)
        if record.online
        else record.upper_out_of_reach_a(evse.config.fallback_a, now_s)
    )
    sent_a = record.sent.limit_a if record.sent is not None else 0.0
    return Span(min(seen_w, each_a_w * sent_a), max(seen_w, each_a_w * upper_a))


def _beside_at(look: Look, circuit: int, below: Mapping[int, list[int]]) -> Span | None:
    grid_w = look.shown_w(circuit, MeterRole.GRID)
    if grid_w:
        own = [evse for evse in look.model.below[circuit] if evse.config.id in look.solar]
        of_sun = look.drawn(own)
        known_w = [power_w for power_w in grid_w if power_w is not None]
        highest_w = max(known_w, default=0.0)
        is_known = len(known_w) == len(grid_w)
        return Span(highest_w - of_sun.most_w, highest_w - of_sun.least_w) if is_known else None
    parts = [_beside_at(look, lower, below) for lower in below.get(circuit, ())]
    return _together([*parts, *_own(look, circuit)])


def _own(look: Look, circuit: int) -> Iterable[Span | None]:
    """Return what is drawn and generated at a circuit without a grid meter, and not below it."""
    consumers_w = look.shown_w(circuit, MeterRole.CONSUMPTION)
    config = look.model.circuits[circuit]
    if not consumers_w:
        consumers_w = [NOMINAL_VOLTAGE_V * len(PHASES) * config.uncontrolled_a]
    for power_w in (*consumers_w, *look.shown_w(circuit, MeterRole.GENERATION)):
        yield None if power_w is None else Span(power_w, power_w)
    others = look.drawn(
        evse
        for evse in look.model.below[circuit]
        if evse.config.circuit == config.id and evse.config.id not in look.solar
    )
    yield Span(others.most_w, others.most_w)


def _together(parts: Iterable[Span | None]) -> Span | None:
    least_w = most_w = 0.0
    for part in parts:
        if part is None:
            return None
        least_w, most_w = least_w + part.least_w, most_w + part.most_w
    return Span(least_w, most_w)
