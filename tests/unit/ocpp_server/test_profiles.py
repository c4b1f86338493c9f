"""Charging profiles: what goes over the wire for a limit."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.domain.profiles import (
    Limit,
    RateUnit,
    base_profile,
    lasting_profile,
    lease_profile,
    rate_unit,
)
from ocpp_server.v16.schemas import request_validator

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
AMPS = RateUnit.AMPS


def lease(limit_a: float, *, unit: RateUnit = AMPS, phases: int | None = None) -> dict[str, Any]:
    return lease_profile(
        2, Limit(limit_a=limit_a, phases=phases), unit=unit, wired=3, lease_s=120, now=NOW
    )


def period(request: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = request["csChargingProfiles"]["chargingSchedule"][
        "chargingSchedulePeriod"
    ][0]
    return found


def test_the_lease_begins_a_minute_ago_and_ends_by_itself() -> None:
    schedule = lease(16)["csChargingProfiles"]["chargingSchedule"]
    assert schedule["startSchedule"] == "2026-03-01T11:59:30Z"
    assert schedule["duration"] == 180


def test_base_and_lasting_profiles_never_end() -> None:
    for request in (
        base_profile(1, Limit(limit_a=0), unit=AMPS, wired=3),
        lasting_profile(1, Limit(limit_a=0), unit=AMPS, wired=3),
    ):
        schedule = request["csChargingProfiles"]["chargingSchedule"]
        assert "duration" not in schedule


def test_the_lease_lies_over_the_base() -> None:
    base = base_profile(2, Limit(limit_a=0), unit=AMPS, wired=3)["csChargingProfiles"]
    over = lease(16)["csChargingProfiles"]
    assert over["stackLevel"] > base["stackLevel"]
    assert over["chargingProfileId"] != base["chargingProfileId"]


def test_profile_ids_differ_between_connectors() -> None:
    requests = [base_profile(n, Limit(limit_a=0), unit=AMPS, wired=3) for n in (1, 2)]
    assert len({r["csChargingProfiles"]["chargingProfileId"] for r in requests}) == 2


@pytest.mark.parametrize(
    ("limit_a", "sent"), [(10.25, 10.2), (13.000000001, 13.0), (6, 6.0), (0, 0.0), (10.2, 10.2)]
)
def test_limits_are_rounded_down_to_a_tenth(limit_a: float, sent: float) -> None:
    assert period(lease(limit_a))["limit"] == sent


def test_watts_are_for_the_phases_used() -> None:
    assert period(lease(16, unit=RateUnit.WATTS))["limit"] == 16 * 230 * 3
    assert period(lease(16, unit=RateUnit.WATTS, phases=1))["limit"] == 16 * 230


def test_the_number_of_phases_is_sent_only_when_it_is_ordered() -> None:
    assert "numberPhases" not in period(lease(16))
    assert period(lease(16, phases=1))["numberPhases"] == 1


@pytest.mark.parametrize(
    ("allowed", "unit"),
    [
        (None, RateUnit.AMPS),
        ("", RateUnit.AMPS),
        ("Current", RateUnit.AMPS),
        ("Current,Power", RateUnit.AMPS),
        ("A", RateUnit.AMPS),
        ("Power", RateUnit.WATTS),
        ("W", RateUnit.WATTS),
        ('"Power"', RateUnit.WATTS),
        (" power ", RateUnit.WATTS),
        ("W,A", RateUnit.AMPS),
    ],
)
def test_the_unit_that_the_station_allows_is_used(allowed: str | None, unit: RateUnit) -> None:
    assert rate_unit(allowed) is unit


@given(st.floats(min_value=0, max_value=1000), st.sampled_from(RateUnit))
def test_every_limit_fits_the_schema_and_never_exceeds_what_was_granted(
    limit_a: float, unit: RateUnit
) -> None:
    request = lease(limit_a, unit=unit)
    assert request_validator("SetChargingProfile").is_valid(request)
    factor = 1 if unit is AMPS else 690
    assert period(request)["limit"] <= limit_a * factor
