"""When a plan until the last departure takes the place of least laxity, and how long it is kept."""

from dataclasses import dataclass, field, replace

import numpy as np

from loadmgr.domain.arrays import Bools, Floats
from loadmgr.domain.fill import Members
from loadmgr.domain.horizon import planned_a
from loadmgr.domain.policy import Policy, Stays, congestion

CONGESTED = 0.85
"""From here on it is likely that not all can be full in time (facts 3.3: U > 0.85)."""
KEPT_S = 60.0
"""So long a plan is kept while nothing happens."""
MOST_EVSES = 1_000
"""More are not planned: to see whether a plan is needed would cost more than a decision."""
LEAST_A = 0.5
"""Who is planned less has nothing now, unless all can have so much on top: 6 A are a lot for it."""
TRIFLE = 0.02
"""A row may have so much more or less room, as a part of it, before everything is planned anew."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MadePlan:
    made_s: float
    chosen: Bools
    leaves_s: Floats
    room: Floats
    amps: Floats | None
    """Of the first block; ``None`` = none is needed or possible."""

    def still_holds(self, now_s: float, chosen: Bools, leaves_s: Floats, room: Floats) -> bool:
        """Tell whether nothing has happened since that makes a difference."""
        return (
            0 <= now_s - self.made_s < KEPT_S
            and np.array_equal(chosen, self.chosen)
            and np.array_equal(leaves_s, self.leaves_s)
            and len(room) == len(self.room)
            and bool((np.abs(room - self.room) <= TRIFLE * np.abs(self.room)).all())
        )


@dataclass(eq=False, kw_only=True)
class KeptPlan:
    """The last plan of a site; losing it costs a few milliseconds and nothing else."""

    plan: MadePlan | None = field(default=None)


@dataclass(frozen=True, eq=False, kw_only=True)
class Prospect:
    """What a plan goes by, beside the stays."""

    members: Members
    room: Floats
    """In the unit of each row."""
    kept: KeptPlan

    def policy(self, policy: Policy, stays: Stays, *, chosen: Bools, now_s: float) -> Policy:
        """Return the policy with the plan for those ``chosen``, where one is needed.

        What the plan leaves is shared equally on top. Without a plan the policy remains.
        """
        amps = self._planned_a(policy, stays, chosen, now_s)
        if amps is None:
            return policy
        return replace(
            policy,
            offset_a=np.where(chosen, np.where(amps < LEAST_A, -LEAST_A, amps), policy.offset_a),
            weight=np.where(chosen, 1.0, policy.weight),
            is_planned=chosen,
        )

    def _planned_a(
        self, policy: Policy, stays: Stays, chosen: Bools, now_s: float
    ) -> Floats | None:
        used = np.zeros(len(self.room), dtype=bool)
        used[self.members.among(chosen).row] = True
        room = np.where(used, self.room, 0.0)
        leaves_s = np.where(chosen, np.round(stays.left_s + now_s), 0.0)
        plan = self.kept.plan
        if plan is None or not plan.still_holds(now_s, chosen, leaves_s, room):
            plan = MadePlan(
                made_s=now_s,
                chosen=chosen,
                leaves_s=leaves_s,
                room=room,
                amps=self._anew(stays, chosen, policy.equal),
            )
            self.kept.plan = plan
        return plan.amps

    def _anew(self, stays: Stays, chosen: Bools, weight: Floats) -> Floats | None:
        if chosen.sum() > MOST_EVSES:
            return None
        if congestion(stays, self.members, self.room, chosen=chosen) < CONGESTED:
            return None
        return planned_a(stays, self.members, self.room, chosen=chosen, weight=weight)
