"""Who ought to have how much: fair shares by class, minimum or nothing, in steps."""

from dataclasses import dataclass

import numpy as np

from loadmgr.domain.admission import admit
from loadmgr.domain.arrays import Bools, Floats, Ints, order_among
from loadmgr.domain.claims import Claims
from loadmgr.domain.demand import floor_steps
from loadmgr.domain.fill import TOLERANCE_A, UNBOUND, Filled, Members, fill
from loadmgr.domain.turns import TURN_S


@dataclass(frozen=True, eq=False, kw_only=True)
class Shares:
    """What each EVSE ought to be offered once everybody follows."""

    amps: Floats
    row: Ints
    """The row that allows no more; ``UNBOUND`` = it has the most it may be offered."""
    deserved_a: Floats
    """Its fair share if any current could be offered; below the minimum it becomes time."""


def share(claims: Claims, members: Members, room: Floats) -> Shares:
    """Share ``room`` (in the unit of each row) among the EVSEs that want current.

    Higher classes first. In a class the fair shares are found as if any current could be offered;
    whoever may have his minimum by his share, his turn or what is left is in; then what there is
    is shared among those. What nobody in need can use goes to those who have left some unused.
    """
    count = len(claims.most_a)
    amps, deserved = np.zeros(count), np.zeros(count)
    row = np.full(count, UNBOUND)
    for of_class in _classes(claims, claims.wants):
        round_ = _Round(claims, members, of_class, room - members.row_sums(amps, len(room)))
        filled = round_.filled()
        amps = np.where(of_class, filled.amps, amps)
        row = np.where(of_class, filled.row, row)
        deserved = np.where(of_class, round_.deserved_a, deserved)
    if ((amps > 0) & (row == UNBOUND) & (amps < claims.most_a - TOLERANCE_A)).any():
        topped, full = _top_up(claims, members, amps=amps, room=room)
        row = np.where((row == UNBOUND) | (topped > amps + TOLERANCE_A), full, row)
        amps = topped
    amps = _in_steps(claims, members, amps=amps, room=room)
    row[amps >= claims.most_a - TOLERANCE_A] = UNBOUND
    row = _fullest_of_waiting(claims, members, amps, row, room=room)
    return Shares(amps=amps, row=row, deserved_a=deserved)


def _classes(claims: Claims, among: Bools) -> list[Bools]:
    """Return who is in which class, higher ones first."""
    present = np.unique(claims.rank[among])[::-1]
    return [among & (claims.rank == rank) for rank in present]


class _Round:
    """The sharing among one class."""

    def __init__(self, claims: Claims, members: Members, of_class: Bools, room: Floats) -> None:
        self._claims, self._members = claims, members
        self._of_class, self._room = of_class, room
        self._refused = np.zeros(len(of_class), dtype=bool)
        self._hi = np.minimum(claims.most_a, np.maximum(claims.cap_a, claims.min_a))
        lively = of_class & ~claims.is_idle
        self._fair = self._level(lively, np.zeros(len(lively)))

    @property
    def deserved_a(self) -> Floats:
        """The fair shares among those who draw, the minimum current left aside."""
        return self._fair.amps

    def _level(self, chosen: Bools, least_a: Floats) -> Filled:
        """Fill by the policy; whoever is young has at least what equal sharing gives."""
        policy, young = self._claims.policy, chosen & self._claims.is_young
        hi, lo = np.where(chosen, self._hi, 0.0), np.where(chosen, least_a, 0.0)
        if young.any():
            equal = fill(self._members, lo=lo, hi=hi, weight=policy.equal, room=self._room)
            lo = np.where(young, equal.amps, lo)
        return fill(
            self._members,
            lo=lo,
            hi=hi,
            weight=policy.weight,
            room=self._room,
            offset=policy.offset_a,
        )

    def filled(self) -> Filled:
        """Return the current and the binding row of each EVSE of the class."""
        claims = self._claims
        nobody = np.zeros(len(claims.wants), dtype=bool)
        on = self._admitted(self._entitled(), nobody)
        on |= self._admitted((self.deserved_a > TOLERANCE_A) & ~claims.policy.is_planned, on)
        filled = self._given(on)
        late = self._admitted(self._of_class, on, taken_a=filled.amps)
        return Filled(amps=np.where(late, claims.min_a, filled.amps), row=filled.row)

    def _given(self, on: Bools) -> Filled:
        """Share what there is among those who are on."""
        enough = self.deserved_a >= self._claims.min_a - TOLERANCE_A
        if np.where(on, enough, self.deserved_a <= TOLERANCE_A).all():
            return self._fair
        return self._level(on, self._claims.min_a)

    def _entitled(self) -> Bools:
        """Return who is to have his minimum before all others of the class."""
        claims = self._claims
        by_share = self.deserved_a >= claims.min_a - TOLERANCE_A
        by_turn = claims.owed_s >= np.where(claims.is_on, 0.0, TURN_S)
        return (claims.must_stay_on | by_share | by_turn) & ~claims.is_idle

    def _admitted(self, among: Bools, on: Bools, *, taken_a: Floats | None = None) -> Bools:
        """Return who of these gets his minimum beside those who are on, in the order of turns.

        Who was refused need not ask again: there is never more left than before.
        """
        claims = self._claims
        asking = among & self._of_class & ~on & ~self._refused & claims.may_begin
        if not asking.any() or (taken_a is None and self._fits(asking | on)):
            return asking
        taken_a = np.where(on, claims.min_a, 0.0) if taken_a is None else taken_a
        room = self._room - self._members.row_sums(taken_a, len(self._room))
        granted = admit(self._members, order=self._order(asking), need=claims.min_a, room=room)
        self._refused |= asking & ~granted
        return granted

    def _fits(self, together: Bools) -> bool:
        """Tell whether the minimum of all these is within their fair shares, which fit."""
        return bool((self.deserved_a >= self._claims.min_a - TOLERANCE_A)[together].all())

    def _order(self, asking: Bools) -> Ints:
        claims = self._claims
        by_share = self.deserved_a >= claims.min_a - TOLERANCE_A
        score_s = claims.owed_s + np.where(claims.is_on, TURN_S, 0.0)
        keys = (claims.place, ~by_share, -score_s, ~claims.must_stay_on, claims.is_idle)
        return order_among(asking, keys)


def _top_up(claims: Claims, members: Members, *, amps: Floats, room: Floats) -> tuple[Floats, Ints]:
    """Give what the caps have left over, class by class, and find the row that binds each."""
    row = np.full(len(amps), UNBOUND)
    for of_class in _classes(claims, amps > 0):
        others = np.where(of_class, 0.0, amps)
        low = np.where(of_class, amps, 0.0)
        high = np.where(of_class, np.maximum(claims.most_a, amps), 0.0)
        left = room - members.row_sums(others, len(room))
        weight = claims.policy.equal
        filled = fill(members, lo=low, hi=high, weight=weight, room=left)
        amps = np.where(of_class, filled.amps, amps)
        row = np.where(of_class, filled.row, row)
    return amps, row


def _in_steps(claims: Claims, members: Members, *, amps: Floats, room: Floats) -> Floats:
    """Round down to the steps of each box and give away whole steps of what is left over.

    Of equals the one who has the odd step now keeps it.
    """
    on, step_a = amps > 0, claims.step_a
    steps = np.where(on, np.maximum(floor_steps(amps, step_a), claims.min_a), 0.0)
    missed = on & (steps + step_a <= claims.most_a + TOLERANCE_A)
    loses = ~(claims.present_a >= steps + step_a - TOLERANCE_A)
    remainder = np.round(amps - steps, 6)
    order = order_among(missed, (claims.place, loses, -remainder, -claims.rank))
    left = room - members.row_sums(steps, len(room))
    given = admit(members, order=order, need=step_a, room=left)
    topped: Floats = np.where(given, steps + step_a, steps)
    return np.round(topped, 6)


def _fullest_of_waiting(
    claims: Claims, members: Members, amps: Floats, row: Ints, *, room: Floats
) -> Ints:
    """Name for those who get nothing the fullest of their rows: by how often the minimum fits."""
    waiting = claims.wants & (amps <= 0)
    if not waiting.any():
        return row
    mine = members.among(waiting)
    left = (room - members.row_sums(amps, len(room)))[mine.row]
    left /= mine.load * claims.min_a[mine.evse]  # rows are in A or in W
    least = np.full(len(amps), np.inf)
    np.minimum.at(least, mine.evse, left)
    fullest = mine.where(left == least[mine.evse])
    row = row.copy()
    row[fullest.evse[::-1]] = fullest.row[::-1]  # of equals the one nearest to the root
    return row
