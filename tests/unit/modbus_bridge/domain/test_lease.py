from datetime import UTC, datetime, timedelta

import pytest

from modbus_bridge.domain.lease import (
    CLEARED_FOR_S,
    GRACE_S,
    Cause,
    Desired,
    Lease,
    desired,
    failsafe_timeout_s,
    new_tenure,
)
from shared.contracts.site import DeactivationPolicy, Evse, Mode, SiteConfig

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVSE = Evse(id="e", station="s", circuit="c", max_a=16, min_a=6, fallback_a=8)
SITE = SiteConfig()


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def lease(limit_a: float, *, revision: int = 1, lease_s: float = 60) -> Lease:
    return Lease(revision=revision, limit_a=limit_a, expires_at=after(lease_s))


def test_setpoint_counts_while_its_lease_runs_and_then_the_fallback() -> None:
    tenure = new_tenure(NOW).renewed(lease(10), NOW)
    assert desired(EVSE, SITE, tenure, after(59)) == Desired(10, Cause.LEASE)
    assert desired(EVSE, SITE, tenure, after(60)) == Desired(8, Cause.FALLBACK)


def test_setpoint_never_exceeds_the_maximum_of_the_evse() -> None:
    tenure = new_tenure(NOW).renewed(lease(32), NOW)
    assert desired(EVSE, SITE, tenure, NOW) == Desired(16, Cause.LEASE)


def test_older_revision_loses_against_a_running_lease_but_not_against_one_that_ran_out() -> None:
    tenure = new_tenure(NOW).renewed(lease(10, revision=5), NOW)
    old = lease(16, revision=4, lease_s=300)
    assert tenure.renewed(old, after(59)).lease == tenure.lease
    assert tenure.renewed(old, after(61)).lease == old


def test_box_nobody_limited_yet_is_left_alone_for_a_grace_and_then_falls_back() -> None:
    tenure = new_tenure(NOW)
    assert desired(EVSE, SITE, tenure, after(GRACE_S - 0.1)) is None
    assert desired(EVSE, SITE, tenure, after(GRACE_S)) == Desired(8, Cause.FALLBACK)
    reached = tenure.reached(after(100))
    assert desired(EVSE, SITE, reached, after(100 + GRACE_S - 0.1)) is None


def test_operator_stop_outweighs_every_setpoint() -> None:
    tenure = new_tenure(NOW).held(True).renewed(lease(10), NOW)
    assert desired(EVSE, SITE, tenure, NOW) == Desired(0, Cause.HELD)
    assert desired(EVSE, SITE, tenure.held(False), NOW) == Desired(10, Cause.LEASE)


def test_cancelled_limit_counts_for_a_moment_or_until_the_next_setpoint() -> None:
    tenure = new_tenure(NOW).renewed(lease(10), NOW).cleared(NOW)
    assert desired(EVSE, SITE, tenure, NOW) == Desired(16, Cause.CLEARED)
    assert desired(EVSE, SITE, tenure, after(CLEARED_FOR_S)) == Desired(10, Cause.LEASE)
    renewed = tenure.renewed(lease(9, revision=2), NOW)
    assert desired(EVSE, SITE, renewed, NOW) == Desired(9, Cause.LEASE)


@pytest.mark.parametrize(
    ("policy", "limit_a"),
    [
        (DeactivationPolicy.SWITCH_OFF, 0),
        (DeactivationPolicy.MINIMUM, 6),
        (DeactivationPolicy.CANCEL_LIMITS, 16),
    ],
)
def test_disabled_evse_is_left_as_the_policy_says(
    policy: DeactivationPolicy, limit_a: float
) -> None:
    evse = EVSE.model_copy(update={"enabled": False})
    site = SiteConfig(deactivation=policy)
    tenure = new_tenure(NOW).renewed(lease(10), NOW)
    assert desired(evse, site, tenure, NOW) == Desired(limit_a, Cause.RELEASED)


@pytest.mark.parametrize("mode", [Mode.MONITOR, Mode.OFF])
def test_outside_load_management_nothing_is_desired(mode: Mode) -> None:
    tenure = new_tenure(NOW).renewed(lease(10), NOW).held(True).cleared(NOW)
    assert desired(EVSE, SiteConfig(mode=mode), tenure, NOW) is None


@pytest.mark.parametrize(("lease_s", "timeout_s"), [(5, 10), (30, 30), (120, 60)])
def test_failsafe_timeout_is_the_lease_within_10_and_60_seconds(
    lease_s: float, timeout_s: float
) -> None:
    assert failsafe_timeout_s(lease_s) == timeout_s
