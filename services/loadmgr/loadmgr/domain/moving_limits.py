"""Limits that move with what is measured and heard: dimming, quarter hours, overdrafts, the sun."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, isfinite

from loadmgr.domain.arrays import Floats
from loadmgr.domain.dimming import DimmingRecord
from loadmgr.domain.limits import Amounts, Binding, Limits
from loadmgr.domain.mean_limit import MeanRecord
from loadmgr.domain.meter_record import MeterRecord
from loadmgr.domain.overdraft import OverdraftRecord
from loadmgr.domain.rows import GRID
from loadmgr.domain.site_model import SiteModel
from loadmgr.domain.surplus import Look, SurplusRecord, beside, generation_w
from shared.contracts.charging import LimitChanged, LimitScope, ReasonCode
from shared.contracts.meter import MeterSampled
from shared.contracts.site import MeterRole
from shared.units import PHASES

Overdrafts = tuple[OverdraftRecord, OverdraftRecord, OverdraftRecord]


@dataclass(slots=True)
class MovingLimits:
    """What is remembered for them."""

    dimming: DimmingRecord = field(default_factory=DimmingRecord)
    surplus: SurplusRecord = field(default_factory=SurplusRecord)
    means: dict[str, MeanRecord] = field(default_factory=dict)
    """By circuit with ``mean_limit_w``."""
    overdrafts: dict[str, Overdrafts] = field(default_factory=dict)
    """By circuit with a grid meter, one for each phase."""

    def fit(self, model: SiteModel) -> None:
        """Keep a record for everything that the site has, and nothing else."""
        limited = [c.id for c in model.circuits if c.mean_limit_w is not None]
        self.means = {id_: self.means.get(id_, MeanRecord()) for id_ in limited}
        metered = {m.circuit for m in model.meters.values() if m.role is MeterRole.GRID}
        self.overdrafts = {
            id_: self.overdrafts.get(id_)
            or (OverdraftRecord(), OverdraftRecord(), OverdraftRecord())
            for id_ in sorted(metered)
        }

    def hear_dimming(self, model: SiteModel, told: LimitChanged, now_s: float) -> bool:
        """Take in a word of the control box; return whether it changes what is allowed."""
        return model.terms is not None and self.dimming.hear(model.terms, told, now_s)

    def hear_sample(
        self, model: SiteModel, meter: MeterRecord, sample: MeterSampled, now_s: float
    ) -> None:
        """Take in what a grid meter shows."""
        config = model.meters[sample.meter_id]
        if config.role is not MeterRole.GRID:
            return
        circuit = model.circuits[model.circuit_index(config.circuit)]
        heard_s = min(sample.sampled_at.timestamp(), now_s)
        records = self.overdrafts[circuit.id]
        for record, phase, shown_a in zip(records, PHASES, sample.current_a, strict=True):
            if shown_a is not None:
                record.add(shown_a, circuit.limit_a.on(phase), heard_s)
        power_w = meter.power_w(now_s)
        if circuit.mean_limit_w is not None and power_w is not None:
            self.means[circuit.id].add(power_w, circuit.mean_limit_w, now_s)

    def lower(self, limits: Limits, look: Look, flows: Callable[[], Floats]) -> None:
        """Lower the limits of a decision. ``flows`` tells the most that may flow on each row."""
        self._lower_by_overdraft(limits, look)
        self._lower_by_mean(limits, look, flows)
        self._lower_by_dimming(limits, look)
        if look.solar:
            self.surplus.add(beside(look), look.now_s)
            limits.amount[look.model.rows.solar] = self.surplus.power_w(look.now_s)

    def _lower_by_overdraft(self, limits: Limits, look: Look) -> None:
        for circuit_id, records in self.overdrafts.items():
            less = [record.less_a(look.now_s) for record in records]
            if max(less) > 0:
                circuit = look.model.circuits[look.model.circuit_index(circuit_id)]
                l1, l2, l3 = (circuit.limit_a.on(p) - a for p, a in zip(PHASES, less, strict=True))
                place = look.model.rows.place_of(LimitScope.CIRCUIT, circuit_id)
                binding = Binding(code=ReasonCode.OVERDRAFT)
                limits.lower(place, Amounts(l1, l2, l3, inf), binding)

    def _lower_by_mean(self, limits: Limits, look: Look, flows: Callable[[], Floats]) -> None:
        for circuit_id, record in self.means.items():
            index = look.model.circuit_index(circuit_id)
            limit_w = look.model.circuits[index].mean_limit_w or 0.0
            place = look.model.rows.places[LimitScope.CIRCUIT, circuit_id]
            if not any(m.role is MeterRole.GRID for m in look.model.meters_at[index]):
                record.add(float(flows()[place[1]]), limit_w, look.now_s)
            allowed_w = record.allowed_w(limit_w, look.now_s)
            limits.lower(place, Amounts(inf, inf, inf, allowed_w), Binding(code=ReasonCode.MEAN))

    def _lower_by_dimming(self, limits: Limits, look: Look) -> None:
        terms, record = look.model.terms, self.dimming
        if terms is None or (not record.words and record.release is None):
            return
        allowed = record.allowed(terms, look.now_s, generation_w=generation_w(look))
        if isfinite(allowed.power_w):
            binding = Binding(code=ReasonCode.DIMMED, source=allowed.source)
            place = look.model.rows.place_of(*GRID)
            limits.lower(place, Amounts(inf, inf, inf, allowed.power_w), binding)
