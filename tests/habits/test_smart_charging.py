"""Field notes 5.5, habits 32 to 41: charging profiles, with the calls that show them.

That every kind of box charges at what was granted and falls back by itself is the table of
``tests/unit/ocpp_server/test_limits_cascade.py``. Habit 41 (the backend's profiles are merged with
ours) concerns the gateway: ``tests/unit/gateway/test_smart_charging.py``; at the server nobody
but load management sets profiles by itself. Habits 42 to 44 concern bus and replicas:
``tests/contract/test_rabbit_recovery.py`` (42, 43) and ``tests/contract/test_bus_orders.py`` (44);
that a late close of an old connection does not remove the new one is habit 5 here.
"""

from datetime import timedelta
from typing import Any

import pytest

from ocpp_server.domain.profile_forms import Form
from ocpp_server.domain.profiles import Limit, Outlet, lease_profile
from ocpp_server.domain.timestamps import parse_timestamp
from ocpp_server.v16.schemas import request_validator
from shared.contracts.charging import (
    ApplySetpoint,
    ClearProfiles,
    Reason,
    ReasonCode,
    SetpointApplied,
    SetpointOutcome,
)
from shared.contracts.site import DeactivationPolicy, SiteConfig
from tests.ocpp_core import Core, FakeStation, evse, site_of
from tests.profile_box import ProfileBox

SET = "SetChargingProfile"
ABB = {"chargePointVendor": "ABB", "chargePointModel": "Terra"}
WALLBOX = {"chargePointVendor": "Wall Box Chargers", "chargePointModel": "Pulsar"}
HUAWEI = {"chargePointVendor": "Huawei", "chargePointModel": "SCharger"}
GO_E = {"chargePointVendor": "go-e", "chargePointModel": "HOMEfix"}
ELVI = {"chargePointVendor": "EVBox", "chargePointModel": "Elvi"}
START = {
    "connectorId": 1,
    "idTag": "GOOD",
    "meterStart": 5,
    "timestamp": "2026-01-01T12:00:00Z",
}
UNKNOWN = {"chargePointVendor": "Maker", "chargePointModel": "Box"}


def keys(**values: str) -> dict[str, Any]:
    """GetConfiguration.conf."""
    return {
        "configurationKey": [{"key": k, "readonly": True, "value": v} for k, v in values.items()]
    }


async def set_up(
    core: Core, boot: dict[str, str] = UNKNOWN, box: ProfileBox | None = None, **told: str
) -> FakeStation:
    """Connect a station that tells some keys, boot it, and let it get its base."""
    station = await core.connect()
    if box is not None:
        station.answers[SET] = box.set_profile
        station.answers["ClearChargingProfile"] = box.clear_profiles
    if told:
        station.answers["GetConfiguration"] = keys(**told)
    await station.call("BootNotification", boot)
    await station.idle()
    return station


async def order(core: Core, revision: int, limit_a: float, **changes: Any) -> SetpointApplied:
    """Have load management order a limit; return what became of it."""
    values: dict[str, Any] = {
        "station_id": "CP1",
        "evse_id": "bay-1",
        "connector": 1,
        "revision": revision,
        "limit_a": limit_a,
        "lease_s": 120,
        "reason": Reason(code=ReasonCode.MAXIMUM),
    }
    await core.operator.send(ApplySetpoint(**(values | changes)))
    return await core.event(SetpointApplied, lambda e: e.revision == revision)


def last(station: FakeStation) -> dict[str, Any]:
    """Return the last profile that was sent; it fits the schema."""
    call = station.payloads(SET)[-1]
    assert request_validator(SET).is_valid(call)
    profile: dict[str, Any] = call["csChargingProfiles"]
    return profile


def periods(profile: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = profile["chargingSchedule"]["chargingSchedulePeriod"]
    return found


async def test_habit_32_the_highest_level_then_the_one_below_then_the_lowest(core: Core) -> None:
    box = ProfileBox(lambda p: p["stackLevel"] <= 1)
    station = await set_up(core, box=box, ChargeProfileMaxStackLevel="8")
    assert (await order(core, 1, 16)).outcome is SetpointOutcome.ACCEPTED
    tried = [p["csChargingProfiles"]["stackLevel"] for p in station.payloads(SET)]
    assert tried == [*sorted(tried[:-1], reverse=True), 1]
    assert tried[0] == 7, "the base below a lease at 8"


async def test_habit_32_abb_is_never_sent_the_level_that_it_names(core: Core) -> None:
    station = await set_up(core, ABB, ChargeProfileMaxStackLevel="8")
    await order(core, 1, 16)
    levels = {p["csChargingProfiles"]["stackLevel"] for p in station.payloads(SET)}
    assert levels == {6, 7}


async def test_habit_32_go_e_is_sent_nothing_at_level_0_which_it_cannot_clear(core: Core) -> None:
    station = await set_up(core, GO_E)
    await order(core, 1, 16)
    assert all(p["csChargingProfiles"]["stackLevel"] >= 1 for p in station.payloads(SET))


async def test_habit_32_what_worked_is_remembered_for_the_model(core: Core) -> None:
    first = await set_up(core, box=ProfileBox(lambda p: p["stackLevel"] == 0))
    await order(core, 1, 16)
    first.close()
    again = ProfileBox(lambda p: p["stackLevel"] == 0)
    await set_up(core, box=again)
    await order(core, 2, 16)
    assert again.refusals == 0


async def test_habit_33_no_tx_profile_without_a_transaction(core: Core) -> None:
    box = ProfileBox(lambda p: p["chargingProfilePurpose"] == "TxProfile")
    station = await set_up(core, box=box)
    assert (await order(core, 1, 16)).outcome is SetpointOutcome.REFUSED
    purposes = {p["csChargingProfiles"]["chargingProfilePurpose"] for p in station.payloads(SET)}
    assert "TxProfile" not in purposes
    await station.call("StartTransaction", START)
    core.later(1)  # its answer is out by then, so the station knows the id
    await station.idle()
    assert last(station)["chargingProfilePurpose"] == "TxProfile"
    assert last(station)["transactionId"] > 0


async def test_habit_33_the_maximum_of_the_station_lies_at_connector_0(core: Core) -> None:
    box = ProfileBox(lambda p: p["chargingProfilePurpose"] == "ChargePointMaxProfile")
    station = await set_up(core, box=box)
    assert (await order(core, 1, 16)).outcome is SetpointOutcome.ACCEPTED
    assert last(station)["chargingProfilePurpose"] == "ChargePointMaxProfile"
    assert station.payloads(SET)[-1]["connectorId"] == 0


@pytest.mark.parametrize(
    ("granted", "sent"), [(8.1, 8.1), (10.25, 10.2), (13.000000001, 13.0), (16.99, 16.9), (32, 32)]
)
async def test_habit_34_limits_are_rounded_down_to_one_decimal_without_float_noise(
    core: Core, granted: float, sent: float
) -> None:
    station = await set_up(core)
    await order(core, 1, granted)
    (period,) = periods(last(station))
    assert period["limit"] == sent
    assert f'"limit":{sent:g}' in station.sent[-1].replace(".0,", ",").replace(".0}", "}")


@pytest.mark.parametrize(
    ("allowed", "unit"),
    [
        ("Current", "A"),
        ("Current,Power", "A"),
        ("A", "A"),
        ("'Current'", "A"),
        ("Power", "W"),
        ("W", "W"),
        ("", "A"),
    ],
)
async def test_habit_34_the_unit_is_one_that_the_station_allows(
    core: Core, allowed: str, unit: str
) -> None:
    station = await set_up(core, ChargingScheduleAllowedChargingRateUnit=allowed)
    await order(core, 1, 16)
    assert last(station)["chargingSchedule"]["chargingRateUnit"] == unit


async def test_habit_35_watts_count_the_phases_that_are_in_use(core: Core) -> None:
    station = await set_up(core, HUAWEI)
    await order(core, 1, 10)
    assert periods(last(station))[0]["limit"] == 10 * 230 * 3
    await station.call("StartTransaction", START)
    samples = [
        {"value": amps, "measurand": "Current.Import", "phase": phase}
        for phase, amps in (("L1", "10"), ("L2", "0"), ("L3", "0"))
    ]
    values = [{"timestamp": "2026-01-01T12:00:00Z", "sampledValue": samples}]
    await station.call("MeterValues", {"connectorId": 1, "meterValue": values})
    await order(core, 2, 12)
    assert periods(last(station))[0]["limit"] == 12 * 230


async def test_habit_36_the_number_of_phases_is_told_when_it_is_ordered(core: Core) -> None:
    core.registry.site_changed(site_of(evse(switches_phases=True), revision=2))
    station = await set_up(core, ConnectorSwitch3to1PhaseSupported="true")
    await order(core, 1, 16)
    assert "numberPhases" not in periods(last(station))[0]
    await order(core, 2, 16, phases=1)
    assert periods(last(station))[0]["numberPhases"] == 1


@pytest.mark.parametrize(
    ("boot", "told", "switches"),
    [(GO_E, "true", True), (UNKNOWN, "false", True), (UNKNOWN, "true", False)],
    ids=["a go-e ignores it (#154)", "it denies it", "the site denies it"],
)
async def test_habit_36_where_it_is_ignored_fewer_phases_are_refused(
    core: Core, boot: dict[str, str], told: str, switches: bool
) -> None:
    core.registry.site_changed(site_of(evse(switches_phases=switches), revision=2))
    station = await set_up(core, boot, ConnectorSwitch3to1PhaseSupported=told)
    accepted = await order(core, 0, 16, phases=3)
    assert accepted.outcome is SetpointOutcome.ACCEPTED
    assert "numberPhases" not in periods(last(station))[0]
    before = len(station.payloads(SET))
    applied = await order(core, 1, 16, phases=1)
    assert applied.outcome is SetpointOutcome.REFUSED
    assert len(station.payloads(SET)) == before


async def test_habit_37_a_schedule_starts_a_minute_ago(core: Core) -> None:
    station = await set_up(core)
    await order(core, 1, 16)
    start = parse_timestamp(last(station)["chargingSchedule"]["startSchedule"])
    assert start == core.clock.now() - timedelta(minutes=1)
    assert last(station)["chargingSchedule"]["duration"] == 180


async def test_habit_37_a_station_that_wants_a_start_gets_one_with_its_base_too(
    core: Core,
) -> None:
    box = ProfileBox(lambda p: "startSchedule" in p["chargingSchedule"])
    await set_up(core, box=box)
    assert [("startSchedule" in p["chargingSchedule"]) for p in box.profiles] == [True]


async def test_habit_37_wallbox_gets_relative_schedules(core: Core) -> None:
    station = await set_up(core, WALLBOX)
    await order(core, 1, 16)
    assert last(station)["chargingProfileKind"] == "Relative"
    assert "startSchedule" not in last(station)["chargingSchedule"]


async def test_habit_38_the_same_limit_is_sent_again_only_to_renew_its_lease(core: Core) -> None:
    station = await set_up(core, WALLBOX)
    await order(core, 1, 16)
    sent = len(station.payloads(SET))
    for revision in (2, 3, 4):
        assert (await order(core, revision, 16)).outcome is SetpointOutcome.ACCEPTED
    assert len(station.payloads(SET)) == sent
    core.later(100)
    await order(core, 5, 16)
    assert len(station.payloads(SET)) == sent + 1


async def test_habit_38_of_many_limits_the_latest_is_sent(core: Core) -> None:
    station = await set_up(core)
    sent = len(station.payloads(SET))
    held: list[str] = []
    station.answers[SET] = lambda _: held.append(station.frames()[-1][1])
    for revision, limit_a in ((1, 10), (2, 11), (3, 12), (4, 13)):
        setpoint = ApplySetpoint(
            station_id="CP1",
            evse_id="bay-1",
            connector=1,
            revision=revision,
            limit_a=limit_a,
            lease_s=120,
            reason=Reason(code=ReasonCode.MAXIMUM),
        )
        await core.operator.send(setpoint)
        await station.idle()
    assert len(held) == 1, "one outstanding call"
    station.answers[SET] = {"status": "Accepted"}
    station.say(f'[3,"{held[0]}",{{"status":"Accepted"}}]')
    await core.event(SetpointApplied, lambda e: e.revision == 4)
    limits = [periods(p["csChargingProfiles"])[0]["limit"] for p in station.payloads(SET)[sent:]]
    assert limits == [10, 13]


@pytest.mark.parametrize("granted", [0.5, 1, 5.9])
async def test_habit_39_nothing_between_0_and_6_a_is_sent(core: Core, granted: float) -> None:
    station = await set_up(core)
    await order(core, 1, granted)
    assert periods(last(station))[0]["limit"] == 0


async def test_habit_39_elvi_never_gets_0_a_and_the_order_counts_as_refused(core: Core) -> None:
    station = await set_up(core, ELVI)
    applied = await order(core, 1, 0)
    assert (applied.outcome, applied.limit_a) == (SetpointOutcome.REFUSED, 6)
    limits = {
        period["limit"]
        for p in station.payloads(SET)
        for period in periods(p["csChargingProfiles"])
    }
    assert limits == {6}


async def test_habit_39_after_0_a_the_next_limit_is_told_anew(core: Core) -> None:
    station = await set_up(core)
    await order(core, 1, 0)
    assert (await order(core, 2, 16)).outcome is SetpointOutcome.ACCEPTED
    assert periods(last(station))[0]["limit"] == 16


async def test_habit_40_profiles_are_cleared_and_verified_when_a_device_is_let_go(
    core: Core,
) -> None:
    box = ProfileBox()
    station = await set_up(core, box=box)
    await order(core, 1, 16)
    cancel = DeactivationPolicy.CANCEL_LIMITS
    core.registry.site_changed(site_of(evse(enabled=False), revision=2, deactivation=cancel))
    await station.was_called("GetCompositeSchedule")
    assert station.payloads("ClearChargingProfile") == [{}]
    assert box.profiles == []


async def test_habit_40_a_profile_that_survived_is_told(core: Core) -> None:
    station = await set_up(core)
    station.answers["GetCompositeSchedule"] = {
        "status": "Accepted",
        "connectorId": 1,
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}],
        },
    }
    clear = ClearProfiles(station_id="CP1", evse_id="bay-1", connector=1)
    outcome = await core.operator.ask(clear, timeout_s=5)
    assert not outcome.done
    assert "10 A" in outcome.detail


@pytest.mark.parametrize("fallback_a", [0.0, 10.0])
async def test_habit_40_the_default_profile_forbids_charging_only_if_the_operator_wants_it(
    core: Core, fallback_a: float
) -> None:
    core.registry.site_changed(site_of(evse(fallback_a=fallback_a), revision=2))
    station = await set_up(core)
    assert last(station)["chargingProfilePurpose"] == "TxDefaultProfile"
    assert periods(last(station))[0]["limit"] == fallback_a


@pytest.mark.parametrize("site", [site_of()])
async def test_habit_41_ours_are_known_by_ids_that_no_backend_numbers(
    core: Core, site: SiteConfig
) -> None:
    station = await set_up(core)
    await order(core, 1, 16)
    ids = {p["csChargingProfiles"]["chargingProfileId"] for p in station.payloads(SET)}
    assert min(ids) >= 900_000


def test_habit_34_no_granted_current_makes_a_profile_that_the_schema_refuses(core: Core) -> None:
    now = core.clock.now()
    for tenths in range(60, 1_000):
        for noise in (0, 1e-9, -1e-9):
            limit = Limit(limit_a=tenths / 10 + noise)
            call = lease_profile(
                Outlet(connector=1, wired=3),
                limit,
                form=Form(),
                fallback=Limit(limit_a=0),
                lease_s=60,
                now=now,
            )
            assert request_validator(SET).is_valid(call), tenths
