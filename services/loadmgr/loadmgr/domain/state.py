"""Everything that load management knows, and how each fact changes it. Pure: no I/O, no clock."""

from dataclasses import dataclass, field

import numpy as np

from loadmgr.domain.arrays import Bools, Floats
from loadmgr.domain.demand import Board, Demands
from loadmgr.domain.evse_model import EvseModel
from loadmgr.domain.evse_record import EvseRecord
from loadmgr.domain.fill import Members
from loadmgr.domain.limits import External, LimitKey
from loadmgr.domain.meter_record import MeterRecord
from loadmgr.domain.moving_limits import MovingLimits
from loadmgr.domain.prospect import KeptPlan
from loadmgr.domain.rhythm import Haste
from loadmgr.domain.rows import Rows
from loadmgr.domain.site_model import SiteModel
from loadmgr.domain.turns import Turns
from loadmgr.domain.uncontrolled import take_sample
from shared.contracts.charging import (
    ApplySetpoint,
    LimitChanged,
    LimitScope,
    PermissionChanged,
    SetpointApplied,
)
from shared.contracts.evse import EvseObserved
from shared.contracts.message import Event
from shared.contracts.meter import MeterSampled
from shared.contracts.plan import PlanChanged
from shared.contracts.station import StationDisconnected

JUMP_A = 1.0
"""A meter that moves by more than this is worth a decision at once."""


@dataclass(frozen=True, eq=False, slots=True)
class KeptMembers:
    """Who loads which row, and from what it was found."""

    rows: Rows
    key: tuple[Floats | Bools, ...]
    members: Members

    def holds(self, key: tuple[Floats | Bools, ...]) -> bool:
        """Tell whether nothing has changed since."""
        return all(map(np.array_equal, self.key, key))


@dataclass(slots=True)
class State:
    """The memory of load management; empty after a start."""

    evses: dict[str, EvseRecord] = field(default_factory=dict)
    meters: dict[str, MeterRecord] = field(default_factory=dict)
    external: dict[LimitKey, External] = field(default_factory=dict)
    """Limits that others have set."""
    moving: MovingLimits = field(default_factory=MovingLimits)
    turns: Turns = field(default_factory=lambda: Turns.of(()))
    plan: KeptPlan = field(default_factory=KeptPlan)
    revision: int = 0
    """The last setpoint revision given."""
    _board: Board | None = None
    _members: KeptMembers | None = None

    def fit(self, model: SiteModel, now_s: float, *, before: SiteModel | None = None) -> None:
        """Keep a record for everything that the site has, and nothing else.

        A memory that begins (``before`` None) knows nothing of the limits that another gave.
        """
        ids = [evse.config.id for evse in model.evses]
        self.evses = {e.config.id: self._fitted(e, model, before, now_s) for e in model.evses}
        self.meters = {id_: self.meters.get(id_, MeterRecord()) for id_ in model.meters}
        self.turns = Turns.of(ids, self.turns)
        self.moving.fit(model)
        self._board = Board(model)

    def _fitted(
        self, evse: EvseModel, model: SiteModel, before: SiteModel | None, now_s: float
    ) -> EvseRecord:
        """Return the record of an EVSE, as the new site makes it.

        One at another connector than before begins anew: its epochs and limits are another's. Only
        a station that the site did not have has certainly been given nothing.
        """
        record = self.evses.get(evse.config.id)
        if before is None:
            return record or _beginning(evse, model, now_s)
        old = before.evse_by_id.get(evse.config.id)
        may_go_on = old is not None and old.is_at(evse)
        if record is not None and may_go_on and (record.was_heard or before.is_steering):
            _take_over(record, evse, before, now_s)
            return record
        if old is None and before.site.station(evse.station_id) is None:
            return EvseRecord()
        return _beginning(evse, model, now_s)

    def hear(self, model: SiteModel, event: Event, now_s: float) -> Haste:
        """Take in a fact; return how soon it is worth a decision."""
        match event:
            case EvseObserved():
                return _soon(self._hear_evse(model, event, now_s))
            case MeterSampled():
                return self._hear_meter(model, event, now_s)
            case SetpointApplied():
                return _soon(self._hear_applied(model, event, now_s))
            case PermissionChanged():
                return self._hear_permission(model, event, now_s)
            case PlanChanged():
                return _soon(self._hear_plan(model, event))
            case LimitChanged():
                return self._hear_limit(model, event, now_s)
            case StationDisconnected():
                return _soon(self._lose_connection(model, event, now_s))
        return Haste.NONE

    def lose_station(self, model: SiteModel, station_id: str, now_s: float) -> bool:
        """Nobody holds this station any more; return whether that is news."""
        return self._lose([e for e in model.evses if e.station_id == station_id], now_s)

    def prepare(self, now_s: float) -> None:
        """Judge those of whom something was heard, so that the next decision is soon made."""
        if self._board is not None:
            self._board.renew(self.evses, now_s)

    def demands(self, model: SiteModel, now_s: float) -> Demands:
        """Return what each EVSE may be given now."""
        if self._board is None or self._board.model is not model:
            self._board = Board(model)
        return self._board.judge(self.evses, now_s)

    def members(self, model: SiteModel, demands: Demands, limit: Floats) -> Members:
        """Return who loads which row now; mostly the same as in the last decision."""
        key = (demands.usage, demands.who, np.isfinite(limit))
        kept = self._members
        if kept is None or kept.rows is not model.rows or not kept.holds(key):
            found = Members.of(model.rows, demands.usage, demands.who, limit=limit)
            kept = self._members = KeptMembers(model.rows, key, found)
        return kept.members

    def note_setpoints(
        self, model: SiteModel, setpoints: tuple[ApplySetpoint, ...], now_s: float
    ) -> None:
        """Remember what is about to be sent; what is raised is reserved from now on."""
        for setpoint in setpoints:
            self.revision = max(self.revision, setpoint.revision)
            self.evses[setpoint.evse_id].note_sent(setpoint, now_s)
            self._forget(model.evse_by_id[setpoint.evse_id])

    def _forget(self, evse: EvseModel) -> None:
        if self._board is not None:
            self._board.forget(evse)

    def _hear_evse(self, model: SiteModel, seen: EvseObserved, now_s: float) -> bool:
        record, evse = self.evses.get(seen.evse_id), model.evse_by_id.get(seen.evse_id)
        if record is None or evse is None:
            return False
        self._forget(evse)
        before = (record.online, record.state, record.may_have_vehicle, record.epoch)
        record.observe(evse, seen, lease_s=model.site.lease_s, now_s=now_s)
        return before != (record.online, record.state, record.may_have_vehicle, record.epoch)

    def _hear_meter(self, model: SiteModel, sample: MeterSampled, now_s: float) -> Haste:
        meter = self.meters.get(sample.meter_id)
        if meter is None:
            return Haste.NONE
        take_sample(model, self.evses, meter, sample, now_s=now_s)
        self.moving.hear_sample(model, meter, sample, now_s)
        before = meter.current_a
        first, second, third = (
            old if new is None else new for old, new in zip(before, sample.current_a, strict=True)
        )
        meter.current_a = (first, second, third)
        steps_a = [new - old for old, new in zip(before, meter.current_a, strict=True)]
        if max(steps_a) > JUMP_A:
            return Haste.NOW
        return _soon(min(steps_a) < -JUMP_A)

    def _hear_applied(self, model: SiteModel, outcome: SetpointApplied, now_s: float) -> bool:
        record, evse = self.evses.get(outcome.evse_id), model.evse_by_id.get(outcome.evse_id)
        if record is None or evse is None:
            return False
        self._forget(evse)
        record.applied(evse, outcome, now_s)
        return True

    def _hear_plan(self, model: SiteModel, told: PlanChanged) -> bool:
        record, evse = self.evses.get(told.evse_id), model.evse_by_id.get(told.evse_id)
        if record is None or evse is None:
            return False
        self._forget(evse)
        return record.plan(told)

    def _hear_permission(self, model: SiteModel, word: PermissionChanged, now_s: float) -> Haste:
        record, evse = self.evses.get(word.evse_id), model.evse_by_id.get(word.evse_id)
        if record is None or evse is None:
            return Haste.NONE
        self._forget(evse)
        before = record.permission
        record.permit(word, now_s)
        is_news = before is None or (before.permitted, before.limit_a) != (
            word.permitted,
            word.limit_a,
        )
        return Haste.NOW if is_news else Haste.NONE

    def _hear_limit(self, model: SiteModel, told: LimitChanged, now_s: float) -> Haste:
        if told.scope is LimitScope.DIMMING:
            is_news = self.moving.hear_dimming(model, told, now_s)
            return Haste.NOW if is_news else Haste.NONE
        if model.rows.place_of(told.scope, told.target) is None:
            return Haste.NONE
        key, limit = (told.scope, told.target, told.source), External.of(told)
        before = self.external.get(key)
        if not limit.may_follow(before):
            return Haste.NONE
        self.external.pop(key, None)
        if limit.is_nothing:
            return _soon(before is not None)
        self.external[key] = limit
        is_news = before is None or before.amounts != limit.amounts
        return Haste.NOW if is_news else Haste.NONE

    def _lose_connection(self, model: SiteModel, gone: StationDisconnected, now_s: float) -> bool:
        station_id = gone.station_id.casefold()
        evses = [e for e in model.evses if e.station_id.casefold() == station_id]
        return self._lose([e for e in evses if self.evses[e.config.id].epoch <= gone.epoch], now_s)

    def _lose(self, evses: list[EvseModel], now_s: float) -> bool:
        records = [self.evses[evse.config.id] for evse in evses]
        was_online = any(record.online for record in records)
        for evse, record in zip(evses, records, strict=True):
            record.lose(now_s)
            self._forget(evse)
        return was_online


def _beginning(evse: EvseModel, model: SiteModel, now_s: float) -> EvseRecord:
    """Return the record of an EVSE of which nothing is known, not even what it was told before."""
    if not model.is_steering:
        return EvseRecord()
    return EvseRecord.left_over(evse, lease_s=model.site.lease_s, now_s=now_s)


def _take_over(record: EvseRecord, evse: EvseModel, before: SiteModel, now_s: float) -> None:
    """Reckon with what the site before left at an EVSE.

    What was not steered keeps any limit, until it takes one with a lease. A box that is away keeps
    its fallback, whatever is configured meanwhile.
    """
    old = before.evse_by_id[evse.config.id]
    if not before.is_steering:
        record.retake(old.config.max_a, is_leased=False)
    elif not old.config.enabled:
        record.retake(record.upper_let_go_a(old, before.site.deactivation, now_s))
    if record.was_heard and not record.online:
        record.out_of_reach_a = max(record.out_of_reach_a, old.config.fallback_a)


def _soon(is_news: bool) -> Haste:
    return Haste.SOON if is_news else Haste.NONE
