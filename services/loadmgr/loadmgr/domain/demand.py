"""What each EVSE may be given, what may flow there, and why it is no more: one column per EVSE.

An EVSE is judged anew when a fact about it came in, or when time alone changes the judgement; so a
decision in a quiet second costs nothing here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from math import inf, nan

import numpy as np

from loadmgr.domain.arrays import Bools, Floats, Three
from loadmgr.domain.evse_model import EvseModel
from loadmgr.domain.evse_record import FRESH_S, EvseRecord
from loadmgr.domain.site_model import SiteModel
from shared.contracts.charging import ReasonCode, SetpointOutcome
from shared.contracts.evse import EvseState
from shared.contracts.site import Mode, SiteConfig

RETRY_S = 10.0
"""A setpoint that was not accepted is sent again after this."""
CODES = tuple(ReasonCode)
_NUMBER = {code: float(number) for number, code in enumerate(CODES)}


class Column(IntEnum):
    """What is known of an EVSE as a number. Truths are 0 and 1, times seconds of UTC."""

    STEERED = 0
    """A setpoint would reach it."""
    UPPER_A = 1
    """The most that may flow per phase by the limits in force."""
    LOWER_A = 2
    """Up to here a setpoint is certainly no raise."""
    MOST_A = 3
    """The most it may be offered; 0 = it is to have nothing."""
    CAP_A = 4
    """What it is known to use; the rest goes to others first."""
    CODE = 5
    """Why it is not offered more than ``MOST_A``; a place in ``CODES``."""
    UNTIL_S = 6
    """Until then this judgement holds, unless a fact comes in."""
    SENT_A = 7
    """The setpoint in force; NaN = none was sent yet."""
    RAISED_S = 8
    DUE_S = 9
    """When its setpoint must be sent again, even if it is the same."""
    DISOBEYS = 10
    IDLE = 11
    """It takes nothing of what it is offered."""
    FIRST = 12
    """By hand: before others of its class."""
    SOLAR = 13
    """It charges from the sun only."""
    UNBALANCED = 14
    """Its car uses fewer than three phases."""
    ARRIVED_S = 15
    """When the vehicle was plugged in; NEVER = there is none."""
    DELIVERED_WH = 16
    WANTED_WH = 17
    """What it was to be given by plan; NaN = nobody said."""
    DEPARTS_S = 18
    """NaN = nobody said."""
    TOLD_PHASES = 19
    """What a switching box was told; 0 = nothing yet, NaN = it cannot switch or may not now."""
    SWITCHED_S = 20
    UNDER_A = 21
    """The highest limit that may have been in force when its current was measured."""
    UNANSWERED_S = 22
    """Since when a limit has been waiting for its answer; ALWAYS = none is."""
    USAGE = 23
    """This and the next two: 1.0 on each grid phase that the car may use."""
    MEASURED_A = 26
    """This and the next two: measured on the grid's phases; unknown is zero."""
    LINE_A = 29
    """This and the next two: measured at the box's own lines; NaN = not known at present."""
    FLOWING_A = 32
    """This and the next two: what may flow on the grid's phases whatever the limit is."""


_COLUMNS = Column.FLOWING_A + 3


@dataclass(frozen=True, eq=False, kw_only=True)
class Demands:
    """All EVSEs, in the order of the model."""

    table: Floats
    """One row per ``Column``."""
    most_a: Floats
    """On the step grid, and 0 or at least the minimum."""

    @property
    def is_steered(self) -> Bools:
        """To whom a setpoint can be sent."""
        return np.asarray(self.table[Column.STEERED] > 0)

    @property
    def wants(self) -> Bools:
        """Who could use a minimum current."""
        return self.is_steered & (self.most_a > 0)

    def column(self, column: Column) -> Floats:
        """Return one number of each EVSE."""
        return np.asarray(self.table[column])

    def truth(self, column: Column) -> Bools:
        """Return one truth of each EVSE."""
        return np.asarray(self.table[column] > 0)

    @property
    def upper_a(self) -> Floats:
        """The most that may flow per phase by the limits in force."""
        return self.column(Column.UPPER_A)

    @property
    def usage(self) -> Floats:
        """N x 3: 1.0 on each grid phase that the car may use."""
        return self.table[Column.USAGE : Column.USAGE + 3].T

    @property
    def measured_a(self) -> Floats:
        """N x 3: measured on the grid's phases."""
        return self.table[Column.MEASURED_A : Column.MEASURED_A + 3].T

    @property
    def flowing_a(self) -> Floats:
        """N x 3: what may flow on the grid's phases whatever the limit is."""
        return self.table[Column.FLOWING_A : Column.FLOWING_A + 3].T

    @property
    def line_a(self) -> Floats:
        """N x 3: measured at the box's own lines; NaN = not known at present."""
        return self.table[Column.LINE_A : Column.LINE_A + 3].T

    @property
    def who(self) -> Floats:
        """N x 3: 1.0 for each ``Trait`` that an EVSE has."""
        table = self.table
        any_one = np.ones(table.shape[1])
        return np.stack([any_one, table[Column.UNBALANCED], table[Column.SOLAR]], axis=1)


class Board:
    """The judgements of all EVSEs of a site, kept from decision to decision."""

    def __init__(self, model: SiteModel) -> None:
        self.model = model
        self._table = np.zeros((_COLUMNS, len(model.evses)))
        self._table[Column.UNTIL_S] = -inf
        self._is_shown = False
        """A decision holds the table: whoever is judged anew is written into a copy."""

    def forget(self, evse: EvseModel) -> None:
        """A fact about an EVSE came in."""
        self._table[Column.UNTIL_S, evse.index] = -inf

    def judge(self, records: dict[str, EvseRecord], now_s: float) -> Demands:
        """Judge anew whoever needs it, and return what holds for all now."""
        self.renew(records, now_s)
        self._is_shown = True
        model, table = self.model, self._table
        most_a = floor_steps(table[Column.MOST_A], model.step_a)
        enough = table[Column.MOST_A] >= model.min_a
        most_a = np.where(enough, np.maximum(most_a, model.min_a), 0.0)
        return Demands(table=table, most_a=most_a)

    def renew(self, records: dict[str, EvseRecord], now_s: float) -> None:
        """Judge anew whoever needs it. What is done when a fact comes in, no decision waits for."""
        due = np.flatnonzero(self._table[Column.UNTIL_S] <= now_s).tolist()
        if due and self._is_shown:
            self._table, self._is_shown = self._table.copy(), False
        model, table = self.model, self._table
        for index in due:
            evse = model.evses[index]
            table[:, index] = judgement(model.site, evse, records[evse.config.id], now_s)


def judgement(site: SiteConfig, evse: EvseModel, record: EvseRecord, now_s: float) -> list[float]:
    """Judge one EVSE. What is unknown is taken as what asks for less and reserves more."""
    row = [0.0] * _COLUMNS
    row[Column.CAP_A] = inf
    _judge_limits(row, site, evse, record, now_s=now_s)
    _judge_session(row, evse, record, now_s)
    _judge_sent(row, site, record, now_s)
    row[Column.UNDER_A] = record.measured_under_a
    row[Column.USAGE : Column.USAGE + 3] = record.usage(evse)
    measured_a = record.measured_most_a(evse, now_s)
    row[Column.MEASURED_A : Column.MEASURED_A + 3] = measured_a
    row[Column.FLOWING_A : Column.FLOWING_A + 3] = _flowing_a(evse, record, measured_a, now_s)
    row[Column.LINE_A : Column.LINE_A + 3] = _lines(record, now_s)
    row[Column.UNTIL_S] = min(_changes(record, now_s))
    return row


def _judge_limits(
    row: list[float], site: SiteConfig, evse: EvseModel, record: EvseRecord, *, now_s: float
) -> None:
    config = evse.config
    if site.mode is not Mode.LOAD_MANAGEMENT:
        row[Column.UPPER_A] = _unsteered_a(evse, record)
        row[Column.CODE] = _NUMBER[ReasonCode.UNCHANGED]
    elif not config.enabled:
        row[Column.UPPER_A] = record.upper_let_go_a(evse, site.deactivation, now_s)
        row[Column.CODE] = _NUMBER[ReasonCode.DISABLED]
    elif not record.online:
        row[Column.UPPER_A] = record.upper_out_of_reach_a(config.fallback_a, now_s)
        row[Column.CODE] = _NUMBER[ReasonCode.OFFLINE]
    else:
        most_a, code = _most(evse, record, now_s)
        row[Column.STEERED] = 1.0
        row[Column.UPPER_A] = record.upper_a(now_s)
        row[Column.LOWER_A] = record.lower_a(evse, now_s)
        row[Column.MOST_A], row[Column.CODE] = most_a, _NUMBER[code]


def _flowing_a(
    evse: EvseModel, record: EvseRecord, measured_a: Three, now_s: float
) -> Iterable[float]:
    """Return what is measured, was measured against its limit, or flows after a fallback.

    Who defied his limit counts on until he is measured again or leaves.
    """
    seen_a = record.last_most_a(evse) if record.has_defied else measured_a
    if not record.may_have_fallen_back(now_s):
        return seen_a
    fallback_a = evse.config.fallback_a
    return [max(a, used * fallback_a) for a, used in zip(seen_a, record.usage(evse), strict=True)]


def _unsteered_a(evse: EvseModel, record: EvseRecord) -> float:
    """S1: nobody limits it, so with a vehicle it may draw all it can."""
    is_empty = record.online and record.state is EvseState.A
    return 0.0 if is_empty else evse.config.max_a


def _most(evse: EvseModel, record: EvseRecord, now_s: float) -> tuple[float, ReasonCode]:
    if record.state in {EvseState.E, EvseState.F}:
        return 0.0, ReasonCode.FAULT
    if not record.may_have_vehicle:
        return 0.0, ReasonCode.NO_VEHICLE
    if not record.is_permitted(evse):
        return 0.0, ReasonCode.BACKEND
    most = (evse.config.max_a, ReasonCode.MAXIMUM)
    word, wish = record.permission, record.wish
    if word is not None and word.limit_a is not None:  # S25: the minimum of both
        most = min(most, (word.limit_a, ReasonCode.BACKEND), key=_amps)
    if wish is None:
        return most
    if wish.charge is False:
        return 0.0, ReasonCode.OVERRIDE
    if not wish.is_time(now_s) or record.has_its_energy:
        return 0.0, ReasonCode.PLAN
    return min(most, (wish.limit_a, ReasonCode.OVERRIDE), key=_amps)


def _amps(limit: tuple[float, ReasonCode]) -> float:
    return limit[0]


def _judge_session(row: list[float], evse: EvseModel, record: EvseRecord, now_s: float) -> None:
    vehicle, wish = record.vehicle, record.wish
    is_first = wish is not None and wish.is_first
    cap_a = vehicle.cap_a
    row[Column.CAP_A] = inf if cap_a is None else max(cap_a, evse.config.min_a)
    row[Column.IDLE] = float(now_s < vehicle.idle_until_s)
    row[Column.FIRST] = float(is_first)
    row[Column.SOLAR] = float(evse.config.surplus_only and not is_first)
    row[Column.UNBALANCED] = float(record.lines(evse) != 0b111)
    row[Column.ARRIVED_S] = vehicle.plugged_s
    row[Column.DELIVERED_WH] = vehicle.delivered.wh
    energy_wh = None if wish is None else wish.energy_wh
    departs_s = None if wish is None else wish.departs_s
    row[Column.WANTED_WH] = nan if energy_wh is None else energy_wh
    row[Column.DEPARTS_S] = nan if departs_s is None else departs_s
    can_switch = record.may_switch(evse)
    row[Column.TOLD_PHASES] = float(record.switch.told or 0) if can_switch else nan
    row[Column.SWITCHED_S] = record.switch.changed_s


def _judge_sent(row: list[float], site: SiteConfig, record: EvseRecord, now_s: float) -> None:
    sent = record.sent
    row[Column.SENT_A] = nan if sent is None else sent.limit_a
    row[Column.RAISED_S] = record.raised_s
    row[Column.UNANSWERED_S] = record.ladder.unanswered_since_s()
    row[Column.DISOBEYS] = float(record.disobeys(now_s))
    renew_s = site.lease_s / 3 - 1
    if sent is None or record.must_resend:
        row[Column.DUE_S] = -inf
    elif sent.outcome is SetpointOutcome.ACCEPTED:
        row[Column.DUE_S] = sent.sent_s + renew_s
    else:
        row[Column.DUE_S] = sent.sent_s + min(renew_s, RETRY_S)


def _lines(record: EvseRecord, now_s: float) -> list[float]:
    if not record.is_measured(now_s):
        return [nan, nan, nan]
    return [nan if amps is None else amps for amps in record.line_a]


def _changes(record: EvseRecord, now_s: float) -> Iterable[float]:
    """Return when time alone will change the judgement; the last is never."""
    moments = [record.measured_s + FRESH_S, record.vehicle.idle_until_s]
    moments += [record.lease_until_s, record.renewed_until_s]
    moments += record.ladder.settles_at_s()
    if record.wish is not None:
        moments.append(record.wish.changes_at_s(now_s))
    return (moment for moment in (*moments, inf) if moment >= now_s)


def floor_steps(amps: Floats, step_a: Floats) -> Floats:
    """Round down to steps, so that a box is never told more than was granted."""
    return np.round(np.floor(amps / step_a + 1e-9) * step_a, 6)
