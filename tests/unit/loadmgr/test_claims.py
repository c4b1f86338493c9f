"""What each may ask for: who is planned, and who keeps the policy of the site."""

from typing import Any

import numpy as np
import pytest

from loadmgr.domain.claims import Claims, claims_of
from loadmgr.domain.prospect import Prospect
from loadmgr.domain.site_model import compile_site
from shared.contracts.evse import EvseState
from shared.contracts.plan import ChargingPlan, PlanChanged
from tests.unit.loadmgr.garage import START
from tests.unit.loadmgr.test_state import Known

HOUR = 3_600.0


def site(sharing: str, **of_b: Any) -> dict[str, Any]:
    """Two boxes on 20 A."""
    return {
        "circuits": [{"id": "main", "limit_a": 20}],
        "sharing": sharing,
        "plans_ahead": True,
        "evses": {"a": {"max_a": 32}, "b": {"max_a": 32, **of_b}},
    }


def busy(sharing: str, **of_b: Any) -> Known:
    """Both have a vehicle that wants far more until it leaves than there is."""
    known = Known(site(sharing, **of_b))
    for evse_id, hours in (("a", 1), ("b", 2)):
        known.observe(evse_id, state=EvseState.C)
        leaves = START.fromtimestamp(START.timestamp() + hours * HOUR, tz=START.tzinfo)
        wish = ChargingPlan(departs_at=leaves, energy_wh=60_000)
        known.hear(PlanChanged(evse_id=evse_id, plan=wish, override=None, changed_at=START))
    return known


def claims(known: Known, *, with_prospect: bool = True) -> Claims:
    state, model, now_s = known.state, known.model, START.timestamp()
    demands = state.demands(model, now_s)
    members = state.members(model, demands, model.rows.limit)
    prospect = Prospect(members=members, room=model.rows.limit, kept=state.plan)
    return claims_of(
        model, demands, state.turns, now_s, prospect=prospect if with_prospect else None
    )


def test_when_not_all_can_be_full_in_time_deadlines_are_planned() -> None:
    found = claims(busy("deadline"))
    assert found.wants.all()
    assert found.policy.is_planned.all()
    assert found.policy.offset_a.sum() == pytest.approx(20.0, abs=0.1)


@pytest.mark.parametrize("sharing", ["equal", "need", "first_come"])
def test_other_policies_are_never_planned(sharing: str) -> None:
    assert not claims(busy(sharing)).policy.is_planned.any()


def test_a_site_that_does_not_plan_ahead_keeps_least_laxity() -> None:
    known = busy("deadline")
    known.model = compile_site(known.model.site.model_copy(update={"plans_ahead": False}))
    assert not claims(known).policy.is_planned.any()


def test_without_a_prospect_least_laxity_decides() -> None:
    found = claims(busy("deadline"), with_prospect=False)
    assert not found.policy.is_planned.any()
    assert (found.policy.offset_a < 0).all()


def test_lower_classes_keep_the_policy() -> None:
    found = claims(busy("deadline", priority=0))
    assert found.policy.is_planned.tolist() == [True, False]
    assert found.policy.weight.tolist() == [1.0, 32.0]


def test_an_empty_garage_is_claimed_by_nobody() -> None:
    found = claims(Known(site("deadline")))
    assert not found.wants.any()
    assert not found.policy.is_planned.any()


def test_first_energy_is_equal_unless_all_is() -> None:
    assert claims(busy("deadline")).is_young.all()
    assert not claims(busy("equal")).is_young.any()
    assert np.isnan(claims(busy("deadline")).present_a).all(), "nothing was sent yet"
