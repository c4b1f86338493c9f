"""Why each EVSE is offered what it is offered, and not more."""

from dataclasses import dataclass

from loadmgr.domain.commit import Committed
from loadmgr.domain.demand import Demands
from loadmgr.domain.fill import TOLERANCE_A, UNBOUND
from loadmgr.domain.pace import Paced
from loadmgr.domain.share import Shares
from loadmgr.domain.site_model import Bools, SiteModel
from shared.contracts.charging import Reason, ReasonCode


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """Every stage of one decision."""

    demands: Demands
    shares: Shares
    committed: Committed
    paced: Paced
    is_lost: Bools
    """Rows that count the worst case of a lost meter."""


def reasons(model: SiteModel, outcome: Outcome) -> tuple[Reason, ...]:
    """Return one reason for each EVSE, in the order of the model."""
    return tuple(_reason(model, outcome, index) for index in range(len(model.evses)))


def _reason(model: SiteModel, outcome: Outcome, index: int) -> Reason:
    demands, shares, paced = outcome.demands, outcome.shares, outcome.paced
    if not demands.wants[index]:
        return Reason(code=demands.codes[index])
    if paced.is_held[index]:
        return Reason(code=ReasonCode.UNCHANGED)
    if shares.amps[index] <= 0:
        return _at_row(model, outcome, ReasonCode.WAITING, int(shares.row[index]))
    if outcome.committed.amps[index] < shares.amps[index] - TOLERANCE_A:
        return _at_row(model, outcome, ReasonCode.RESERVED, int(outcome.committed.row[index]))
    if paced.is_slowed[index]:
        return Reason(code=ReasonCode.RAMP)
    if shares.row[index] == UNBOUND:
        return Reason(code=demands.codes[index])
    return _at_row(model, outcome, ReasonCode.CIRCUIT, int(shares.row[index]))


def _at_row(model: SiteModel, outcome: Outcome, code: ReasonCode, row: int) -> Reason:
    if row == UNBOUND:
        return Reason(code=code)
    is_lost = code is ReasonCode.CIRCUIT and bool(outcome.is_lost[row])
    return model.row_reason(ReasonCode.METER_LOST if is_lost else code, row)
