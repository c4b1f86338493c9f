"""Turns: who has charged more or less than his share, for the times when 6 A do not reach all.

Below the minimum current there is nothing, so a share of 4 A becomes time: credit grows by what an
EVSE deserves and falls by what it is given (deficit round robin), and who has enough of it is
served first. One column per EVSE, in the order of the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loadmgr.domain.arrays import Bools, Floats
from loadmgr.domain.moment import NEVER

TURN_S = 900.0
"""So much more of its minimum current than one that charges an EVSE must be owed to take over."""
MOST_S = 2_400.0
"""More than this is neither owed nor repaid."""
MIN_ON_S = 300.0
"""So long one that has begun to charge is not stopped for another's turn."""
MIN_OFF_S = 60.0
"""So long one that was stopped stays so: contactors and cars are not made for less."""
LONGEST_STEP_S = 60.0
"""More time than this between two decisions is not reckoned: nothing is known of it."""


@dataclass(eq=False, kw_only=True)
class Turns:
    """What is remembered from decision to decision."""

    ids: tuple[str, ...]
    credit_as: Floats
    """Ampere seconds deserved and not given, when the last decision was taken."""
    rate_a: Floats
    """What it has deserved beyond what it was given, since then."""
    is_on: Bools
    """It was to have its minimum or more."""
    since_s: Floats
    """Since when; NEVER = not since the vehicle came."""
    decided_s: float = NEVER

    @classmethod
    def of(cls, ids: Sequence[str], before: "Turns | None" = None) -> "Turns":
        """Begin with nothing, or with what is known of the same EVSEs."""
        turns = cls(
            ids=tuple(ids),
            credit_as=np.zeros(len(ids)),
            rate_a=np.zeros(len(ids)),
            is_on=np.zeros(len(ids), dtype=bool),
            since_s=np.full(len(ids), NEVER),
        )
        if before is not None:
            turns._take_over(before)
        return turns

    def _take_over(self, before: "Turns") -> None:
        place = {id_: index for index, id_ in enumerate(before.ids)}
        pairs = [(new, place[id_]) for new, id_ in enumerate(self.ids) if id_ in place]
        new, old = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
        self.credit_as[new], self.rate_a[new] = before.credit_as[old], before.rate_a[old]
        self.is_on[new], self.since_s[new] = before.is_on[old], before.since_s[old]
        self.decided_s = before.decided_s

    def must_stay_on(self, now_s: float) -> Bools:
        """Return who has begun too recently to be stopped for another."""
        return np.asarray(self.is_on & (now_s - self.since_s < MIN_ON_S))

    def may_begin(self, now_s: float) -> Bools:
        """Return who is on, or was stopped long enough ago."""
        return np.asarray(self.is_on | (now_s - self.since_s >= MIN_OFF_S))

    def owed_s(self, min_a: Floats, now_s: float) -> Floats:
        """Return how long each would have to charge at his minimum for what he is owed."""
        step_s = min(max(now_s - self.decided_s, 0.0), LONGEST_STEP_S)
        owed = (self.credit_as + self.rate_a * step_s) / min_a
        return np.asarray(np.clip(owed, -MOST_S, MOST_S))

    def note(
        self, *, wants: Bools, deserved_a: Floats, given_a: Floats, min_a: Floats, now_s: float
    ) -> None:
        """Remember a decision: what each deserves from now on, and what it is to have."""
        self.credit_as = np.where(wants, self.owed_s(min_a, now_s) * min_a, 0.0)
        self.rate_a = np.where(wants, deserved_a - given_a, 0.0)
        is_on = given_a > 0
        self.since_s = np.where(is_on != self.is_on, now_s, self.since_s)
        self.since_s[~wants & ~is_on] = NEVER
        self.is_on, self.decided_s = is_on, now_s
