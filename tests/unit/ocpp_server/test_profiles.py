"""Charging profiles: what goes over the wire for a limit."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.domain.model import Model, NumberPhases, Purpose, RateUnit
from ocpp_server.domain.profile_forms import Form, forms, rate_units
from ocpp_server.domain.profiles import (
    Limit,
    Outlet,
    base_filter,
    base_profile,
    lasting_profile,
    lease_profile,
    override_profile,
    sendable_a,
)
from ocpp_server.v16.schemas import request_validator

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
PLAIN = Form()
WATTS = Form(unit=RateUnit.WATTS)
ONE_LEVEL = Form(levels=(None, 0))
OUTLET = Outlet(connector=2, wired=3)
CHARGING = Outlet(
    connector=2, wired=3, transaction_id=77, transaction_since=NOW - timedelta(minutes=5)
)
ZERO = Limit(limit_a=0)
ALL_FORMS = forms(Model(), max_level=8, units=rate_units(None), has_one_connector=True)


def lease(
    limit_a: float,
    *,
    form: Form = PLAIN,
    phases: int | None = None,
    outlet: Outlet = OUTLET,
    fallback: Limit = ZERO,
) -> dict[str, Any]:
    return lease_profile(
        outlet,
        Limit(limit_a=limit_a, phases=phases),
        form=form,
        fallback=fallback,
        lease_s=120,
        now=NOW,
    )


def base(limit_a: float = 0, *, form: Form = PLAIN, outlet: Outlet = OUTLET) -> dict[str, Any]:
    return base_profile(outlet, Limit(limit_a=limit_a), form=form, now=NOW)


def schedule(request: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = request["csChargingProfiles"]["chargingSchedule"]
    return found


def periods(request: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = schedule(request)["chargingSchedulePeriod"]
    return found


def test_the_lease_begins_a_minute_ago_and_ends_by_itself() -> None:
    assert schedule(lease(16))["startSchedule"] == "2026-03-01T11:59:30Z"
    assert schedule(lease(16))["duration"] == 180
    assert len(periods(lease(16))) == 1


def test_base_and_lasting_profiles_never_end() -> None:
    for request in (base(), lasting_profile(OUTLET, ZERO, form=PLAIN, now=NOW)):
        assert "duration" not in schedule(request)


def test_the_base_holds_whatever_the_clock_of_the_station_says() -> None:
    assert "startSchedule" not in schedule(base())


def test_a_base_begins_a_minute_ago_where_a_start_is_needed() -> None:
    form = Form(base_starts=True)
    assert schedule(base(form=form))["startSchedule"] == "2026-03-01T11:59:30Z"
    lasting = lasting_profile(OUTLET, ZERO, form=form, now=NOW)
    assert schedule(lasting)["startSchedule"] == "2026-03-01T11:59:30Z"


def test_the_lease_lies_over_the_base() -> None:
    under, over = base()["csChargingProfiles"], lease(16)["csChargingProfiles"]
    assert over["stackLevel"] > under["stackLevel"]
    assert over["chargingProfileId"] != under["chargingProfileId"]


@pytest.mark.parametrize("form", ALL_FORMS)
def test_in_every_form_silence_leads_to_the_fallback(form: Form) -> None:
    outlet = CHARGING if form.purpose is Purpose.TX else OUTLET
    request = lease(16, form=form, fallback=Limit(limit_a=6), outlet=outlet)
    assert request_validator("SetChargingProfile").is_valid(request)
    found, told = schedule(request), periods(request)
    factor = 690 if form.unit is RateUnit.WATTS else 1
    if "duration" in found:
        under = base(6, form=form, outlet=outlet)["csChargingProfiles"]
        assert request["csChargingProfiles"]["stackLevel"] > under["stackLevel"]
        assert len(told) == 1
    else:
        assert [p["limit"] for p in told] == [16 * factor, 6 * factor]
        assert told[1]["startPeriod"] > 0


def test_one_profile_is_base_and_lease_where_one_level_is_all() -> None:
    under, over = base(form=ONE_LEVEL), lease(16, form=ONE_LEVEL)
    assert (
        under["csChargingProfiles"]["chargingProfileId"]
        == (over["csChargingProfiles"]["chargingProfileId"])
    )
    assert [(p["startPeriod"], p["limit"]) for p in periods(over)] == [(0, 16.0), (180, 0.0)]
    assert "duration" not in schedule(over)


def test_a_fallback_that_is_the_limit_needs_no_second_period() -> None:
    request = lease(6, form=ONE_LEVEL, fallback=Limit(limit_a=6))
    assert len(periods(request)) == 1


def test_a_relative_lease_counts_from_the_start_of_the_transaction() -> None:
    form = Form(relative=True)
    running, waiting = lease(16, form=form, outlet=CHARGING), lease(16, form=form)
    assert schedule(running)["duration"] == 300 + 120
    assert schedule(waiting)["duration"] == 120
    for request in (running, waiting):
        assert request["csChargingProfiles"]["chargingProfileKind"] == "Relative"
        assert "startSchedule" not in schedule(request)


def test_a_profile_for_a_transaction_names_it() -> None:
    request = lease(16, form=Form(purpose=Purpose.TX), outlet=CHARGING)
    assert request["csChargingProfiles"]["transactionId"] == 77
    assert "transactionId" not in lease(16, outlet=CHARGING)["csChargingProfiles"]


def test_the_maximum_of_a_station_lies_at_connector_zero() -> None:
    form = Form(purpose=Purpose.STATION_MAX)
    assert lease(16, form=form)["connectorId"] == 0
    assert base_filter(OUTLET, form)["connectorId"] == 0
    assert lease(16)["connectorId"] == 2


def test_an_override_is_the_same_lease_for_the_transaction() -> None:
    request = override_profile(CHARGING, Limit(limit_a=10), form=PLAIN, lease_s=120, now=NOW)
    assert request_validator("SetChargingProfile").is_valid(request)
    profile = request["csChargingProfiles"]
    assert profile["chargingProfilePurpose"] == "TxProfile"
    assert profile["transactionId"] == 77
    assert schedule(request)["duration"] == 180
    others = {r["csChargingProfiles"]["chargingProfileId"] for r in (base(), lease(10))}
    assert profile["chargingProfileId"] not in others


def test_a_relative_override_counts_from_the_start_of_the_transaction() -> None:
    form = Form(relative=True)
    request = override_profile(CHARGING, Limit(limit_a=10), form=form, lease_s=120, now=NOW)
    assert schedule(request)["duration"] == 420
    assert "startSchedule" not in schedule(request)


def test_profile_ids_differ_between_connectors() -> None:
    found = {
        base(outlet=Outlet(connector=n, wired=3))["csChargingProfiles"]["chargingProfileId"]
        for n in (1, 2)
    }
    assert len(found) == 2


def test_watts_are_for_the_phases_used() -> None:
    assert periods(lease(16, form=WATTS))[0]["limit"] == 16 * 230 * 3
    assert periods(lease(16, form=WATTS, phases=1))[0]["limit"] == 16 * 230
    counted = Limit(limit_a=16, watts_phases=1)
    request = base_profile(OUTLET, counted, form=WATTS, now=NOW)
    assert periods(request)[0]["limit"] == 16 * 230


def test_the_number_of_phases_is_sent_only_when_it_is_ordered() -> None:
    assert "numberPhases" not in periods(lease(16))[0]
    assert periods(lease(16, phases=1))[0]["numberPhases"] == 1


def test_or_always_or_never() -> None:
    always = Form(number_phases=NumberPhases.ALWAYS)
    never = Form(number_phases=NumberPhases.NEVER)
    assert periods(lease(16, form=always))[0]["numberPhases"] == 3
    assert "numberPhases" not in periods(lease(16, phases=3, form=never))[0]


@pytest.mark.parametrize(
    ("limit_a", "whole_amps", "sent"),
    [
        (10.25, False, 10.2),
        (13.000000001, False, 13.0),
        (6, False, 6.0),
        (0, False, 0.0),
        (10.9, True, 10.0),
        (5.9, False, 0.0),
        (1, False, 0.0),
        (6.9, True, 6.0),
    ],
)
def test_limits_are_rounded_down_and_never_between_zero_and_six(
    limit_a: float, whole_amps: bool, sent: float
) -> None:
    assert sendable_a(limit_a, whole_amps=whole_amps) == sent


@given(st.floats(min_value=0, max_value=1000), st.sampled_from(ALL_FORMS), st.booleans())
def test_every_limit_fits_the_schema_and_never_exceeds_what_was_granted(
    granted_a: float, form: Form, whole_amps: bool
) -> None:
    request = lease(sendable_a(granted_a, whole_amps=whole_amps), form=form, outlet=CHARGING)
    assert request_validator("SetChargingProfile").is_valid(request)
    factor = 690 if form.unit is RateUnit.WATTS else 1
    assert periods(request)[0]["limit"] <= granted_a * factor
