"""Why each EVSE is offered what it is offered, and not more."""

from dataclasses import dataclass
from typing import NamedTuple

from loadmgr.domain.arrays import Bools
from loadmgr.domain.commit import Committed
from loadmgr.domain.demand import Demands
from loadmgr.domain.fill import TOLERANCE_A, UNBOUND
from loadmgr.domain.limits import Limits
from loadmgr.domain.pace import Paced
from loadmgr.domain.share import Shares
from loadmgr.domain.site_model import SiteModel
from shared.contracts.charging import Reason, ReasonCode


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """Every stage of one decision."""

    demands: Demands
    limits: Limits
    shares: Shares
    committed: Committed
    paced: Paced
    is_lost: Bools
    """Phases of circuits that count the worst case of a lost meter."""


class _Line(NamedTuple):
    """What the stages did to one EVSE."""

    wants: bool
    is_held: bool
    is_slowed: bool
    share_a: float
    share_row: int
    committed_a: float
    committed_row: int


def reasons(model: SiteModel, outcome: Outcome) -> tuple[Reason, ...]:
    """Return one reason for each EVSE, in the order of the model."""
    columns = (
        outcome.demands.wants,
        outcome.paced.is_held,
        outcome.paced.is_slowed,
        outcome.shares.amps,
        outcome.shares.row,
        outcome.committed.amps,
        outcome.committed.row,
    )
    lines = map(_Line._make, zip(*(column.tolist() for column in columns), strict=True))
    keys = list(map(_code_and_row, lines, outcome.demands.codes))
    by_key = {key: _at_row(model, outcome, *key) for key in set(keys)}
    return tuple(by_key[key] for key in keys)


def _code_and_row(line: _Line, own: ReasonCode) -> tuple[ReasonCode, int]:
    if not line.wants:
        return own, UNBOUND
    if line.is_held:
        return ReasonCode.UNCHANGED, UNBOUND
    if line.share_a <= 0:
        return ReasonCode.WAITING, line.share_row
    if line.committed_a < line.share_a - TOLERANCE_A:
        return ReasonCode.RESERVED, line.committed_row
    if line.is_slowed:
        return ReasonCode.RAMP, UNBOUND
    if line.share_row == UNBOUND:
        return own, UNBOUND
    return ReasonCode.CIRCUIT, line.share_row


def _at_row(model: SiteModel, outcome: Outcome, code: ReasonCode, row: int) -> Reason:
    if row == UNBOUND:
        return Reason(code=code)
    if code is not ReasonCode.CIRCUIT:
        return model.rows.reason(code, row)
    binding = outcome.limits.bindings.get(row)
    if binding is not None:
        return model.rows.reason(binding.code, row, source=binding.source)
    is_lost = row < len(outcome.is_lost) and bool(outcome.is_lost[row])
    return model.rows.reason(ReasonCode.METER_LOST if is_lost else code, row)
