"""What each EVSE may be given, what may flow there, and why it is no more: one line per EVSE."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from loadmgr.domain.arrays import Bools, Floats, Ints, Three
from loadmgr.domain.evse_model import EvseModel
from loadmgr.domain.evse_record import EvseRecord
from loadmgr.domain.site_model import SiteModel
from loadmgr.domain.state import State, turn_key
from shared.contracts.charging import ReasonCode
from shared.contracts.evse import EvseState
from shared.contracts.site import Mode, SiteConfig

NO_LIMIT_A = float("inf")


class Demand(NamedTuple):
    """One EVSE at this moment."""

    is_steered: bool
    """A setpoint would reach it."""
    upper_a: float
    """The most that may flow per phase by the limits in force."""
    lower_a: float
    """Up to here a setpoint is certainly no raise."""
    most_a: float
    """The most it may be offered; 0 = it is to have nothing."""
    cap_a: float
    """What it is known to use; the rest goes to others first."""
    code: ReasonCode
    """Why it is not offered more than ``most_a``."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Demands:
    """All EVSEs as arrays, in the order of the model."""

    is_steered: Bools
    upper_a: Floats
    lower_a: Floats
    most_a: Floats
    """On the step grid, and 0 or at least the minimum."""
    cap_a: Floats
    codes: tuple[ReasonCode, ...]
    usage: Floats
    """N x 3: 1.0 on each grid phase that the car may use."""
    measured_a: Floats
    """N x 3: measured on the grid's phases; unknown is zero, the limit covers it."""
    order: Ints
    """EVSEs by class (higher first), then by their place in the queue."""

    @property
    def wants(self) -> Bools:
        """Who could use a minimum current."""
        return self.is_steered & (self.most_a > 0)


def demand(site: SiteConfig, evse: EvseModel, record: EvseRecord, now_s: float) -> Demand:
    """Judge one EVSE. What is unknown is taken as what asks for less and reserves more."""
    config = evse.config
    if site.mode is not Mode.LOAD_MANAGEMENT:
        return _untouched(_unsteered_a(evse, record), ReasonCode.UNCHANGED)
    if not config.enabled:
        upper_a = record.upper_let_go_a(evse, site.deactivation, now_s)
        return _untouched(upper_a, ReasonCode.DISABLED)
    if not record.online:
        upper_a = record.upper_out_of_reach_a(config.fallback_a, now_s)
        return _untouched(upper_a, ReasonCode.FAULT)
    most_a, code = _most(evse, record)
    cap_a = NO_LIMIT_A if record.cap_a is None else record.cap_a
    return Demand(
        is_steered=True,
        upper_a=record.upper_a(now_s),
        lower_a=record.lower_a(evse, now_s),
        most_a=most_a,
        cap_a=cap_a,
        code=code,
    )


def _untouched(upper_a: float, code: ReasonCode) -> Demand:
    """Return an EVSE that no setpoint reaches."""
    return Demand(
        is_steered=False, upper_a=upper_a, lower_a=0.0, most_a=0.0, cap_a=NO_LIMIT_A, code=code
    )


def _unsteered_a(evse: EvseModel, record: EvseRecord) -> float:
    """S1: nobody limits it, so with a vehicle it may draw all it can."""
    is_empty = record.online and record.state is EvseState.A
    return 0.0 if is_empty else evse.config.max_a


def _most(evse: EvseModel, record: EvseRecord) -> tuple[float, ReasonCode]:
    if record.state in {EvseState.E, EvseState.F}:
        return 0.0, ReasonCode.FAULT
    if not record.may_have_vehicle:
        return 0.0, ReasonCode.NO_VEHICLE
    word, max_a = record.permission, evse.config.max_a
    if word is None:
        return (0.0, ReasonCode.BACKEND) if evse.needs_permission else (max_a, ReasonCode.MAXIMUM)
    if not word.permitted:
        return 0.0, ReasonCode.BACKEND
    if word.limit_a is not None and word.limit_a < max_a:  # S25: the minimum of both
        return word.limit_a, ReasonCode.BACKEND
    return max_a, ReasonCode.MAXIMUM


def judge(model: SiteModel, state: State, now_s: float) -> Demands:
    """Judge all EVSEs."""
    records = [state.evses[evse.config.id] for evse in model.evses]
    pairs = list(zip(model.evses, records, strict=True))
    rows = [demand(model.site, evse, record, now_s) for evse, record in pairs]
    numbers = np.array([row[:5] for row in rows], dtype=float).reshape(-1, 5)
    most_a = floor_steps(numbers[:, 3], model.step_a)
    most_a = np.where(numbers[:, 3] >= model.min_a, np.maximum(most_a, model.min_a), 0.0)
    return Demands(
        is_steered=numbers[:, 0] > 0,
        upper_a=numbers[:, 1],
        lower_a=numbers[:, 2],
        most_a=most_a,
        cap_a=np.maximum(numbers[:, 4], model.min_a),
        codes=tuple(row.code for row in rows),
        usage=_by_phase([record.usage(evse) for evse, record in pairs]),
        measured_a=_by_phase([record.measured_most_a(evse, now_s) for evse, record in pairs]),
        order=_order(model, records, now_s),
    )


def floor_steps(amps: Floats, step_a: Floats) -> Floats:
    """Round down to steps, so that a box is never told more than was granted."""
    return np.round(np.floor(amps / step_a + 1e-9) * step_a, 6)


def _by_phase(values: list[Three]) -> Floats:
    return np.array(values, dtype=float).reshape(-1, 3)


def _order(model: SiteModel, records: list[EvseRecord], now_s: float) -> Ints:
    keys = np.array([turn_key(record, now_s) for record in records]).reshape(-1, 2)
    return np.lexsort((keys[:, 1], keys[:, 0], -model.priority))
