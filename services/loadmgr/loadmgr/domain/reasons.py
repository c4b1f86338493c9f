"""Why each EVSE is offered what it is offered, and not more."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from loadmgr.domain.arrays import Bools, Floats, Ints
from loadmgr.domain.commit import Committed
from loadmgr.domain.demand import CODES, Column, Demands
from loadmgr.domain.fill import TOLERANCE_A, UNBOUND
from loadmgr.domain.ground import Ground
from loadmgr.domain.pace import Paced
from loadmgr.domain.share import Shares
from loadmgr.domain.site_model import SiteModel
from shared.contracts.charging import Reason, ReasonCode


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """Every stage of one decision."""

    demands: Demands
    ground: Ground
    shares: Shares
    committed: Committed
    paced: Paced
    phases: Floats
    """What each box is told; 0 = nothing."""


_PLACE = {code: place for place, code in enumerate(CODES)}


class Why:
    """The reasons of one decision; each is made when somebody asks for it."""

    def __init__(self, model: SiteModel, outcome: Outcome) -> None:
        self._model, self._outcome = model, outcome
        self._made: dict[tuple[int, int], Reason] = {}

    def of(self, index: int) -> Reason:
        """Return the reason of one EVSE."""
        code, row = self._codes_and_rows
        key = (int(code[index]), int(row[index]))
        reason = self._made.get(key)
        if reason is None:
            reason = _at_row(self._model, self._outcome, CODES[key[0]], key[1])
            self._made[key] = reason
        return reason

    @cached_property
    def _codes_and_rows(self) -> tuple[Ints, Ints]:
        return _codes_and_rows(self._outcome)


def _codes_and_rows(outcome: Outcome) -> tuple[Ints, Ints]:
    """Return the code (a place in ``CODES``) and the row of each EVSE: the first that applies."""
    demands, shares, committed = outcome.demands, outcome.shares, outcome.committed
    own = demands.column(Column.CODE).astype(np.intp)
    is_unused = shares.amps >= demands.column(Column.CAP_A) - TOLERANCE_A
    rules: tuple[tuple[Bools, Ints | int, Ints | int], ...] = (
        (~demands.wants, own, UNBOUND),
        (outcome.paced.is_held, _PLACE[ReasonCode.UNCHANGED], UNBOUND),
        (shares.amps <= 0, _PLACE[ReasonCode.WAITING], shares.row),
        (committed.amps < shares.amps - TOLERANCE_A, _PLACE[ReasonCode.RESERVED], committed.row),
        (outcome.paced.is_slowed, _PLACE[ReasonCode.RAMP], UNBOUND),
        (shares.row == UNBOUND, own, UNBOUND),
        (is_unused, _PLACE[ReasonCode.UNUSED], UNBOUND),
    )
    code, row = np.full(len(own), _PLACE[ReasonCode.CIRCUIT]), shares.row.copy()
    for applies, its_code, its_row in reversed(rules):
        np.copyto(code, its_code, where=applies)
        np.copyto(row, its_row, where=applies)
    return code, row


def _at_row(model: SiteModel, outcome: Outcome, code: ReasonCode, row: int) -> Reason:
    if row == UNBOUND:
        return Reason(code=code)
    binding = outcome.ground.limits.bindings.get(row)
    if code is not ReasonCode.CIRCUIT:
        waits_for = None if binding is None or code is not ReasonCode.WAITING else binding.source
        return model.rows.reason(code, row, source=waits_for)
    if binding is not None:
        return model.rows.reason(binding.code, row, source=binding.source)
    is_lost = outcome.ground.is_lost
    counts_worst = row < len(is_lost) and bool(is_lost[row])
    return model.rows.reason(ReasonCode.METER_LOST if counts_worst else code, row)
