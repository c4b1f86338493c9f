"""Area SmartCharging: an operator's own profiles, beside those that load management sends."""

from datetime import timedelta
from typing import Any

from shared.clock import SYSTEM_CLOCK
from tests.conformance.bench import (
    Bench,
    ago,
    authorize,
    charge,
    plug_in_and_charge,
    status,
    stop_and_leave,
    timestamp,
)
from tests.conformance.site import VALID

DURATION_S = 300
LEVEL = 3


def _profile(purpose: str = "TxDefaultProfile", *, level: int = LEVEL, **more: Any) -> Any:
    now = SYSTEM_CLOCK.now()
    return {
        "chargingProfileId": 100 + level,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "validFrom": timestamp(ago(60)),
        "validTo": timestamp(now + timedelta(seconds=DURATION_S)),
        "chargingSchedule": {
            "duration": DURATION_S,
            "startSchedule": timestamp(ago(60)),
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0, "numberPhases": 3}],
        },
        **more,
    }


async def test_tc_056_central_smart_charging_tx_default_profile(bench: Bench) -> None:
    """Central Smart Charging - TxDefaultProfile"""
    order = {"connectorId": 1, "csChargingProfiles": _profile()}
    async with bench.booted() as station:
        assert await bench.operator.call("SetChargingProfile", order) == {"status": "Accepted"}
        assert order in station.received("SetChargingProfile")


async def test_tc_057_central_smart_charging_tx_profile(bench: Bench) -> None:
    """Central Smart Charging - TxProfile"""
    async with bench.booted() as station:
        transaction = await plug_in_and_charge(station)
        session = await bench.operator.running_session(bench.evse, transaction)
        profile = _profile("TxProfile", transactionId=session["transaction_id"])
        order = {"connectorId": 1, "csChargingProfiles": profile}
        assert await bench.operator.call("SetChargingProfile", order) == {"status": "Accepted"}
        sent = await station.called("SetChargingProfile", **order)
        assert sent["csChargingProfiles"]["transactionId"] == transaction
        await stop_and_leave(station, transaction, "Local")


async def test_tc_059_remote_start_with_charging_profile(bench: Bench) -> None:
    """Remote Start Transaction with Charging Profile"""
    profile = {
        "chargingProfileId": 1,
        "stackLevel": LEVEL,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0}],
        },
    }
    order = {"connectorId": 1, "idTag": VALID, "chargingProfile": profile}
    async with bench.booted() as station:
        await status(station, "Preparing")
        answer = await bench.operator.call("RemoteStartTransaction", order)
        assert answer == {"status": "Accepted"}
        assert station.received("RemoteStartTransaction") == [order]
        assert (await authorize(station))["status"] == "Accepted"
        transaction = await charge(station)
        await stop_and_leave(station, transaction, "Local")


async def test_tc_066_get_composite_schedule(bench: Bench) -> None:
    """Get Composite Schedule"""
    order = {"connectorId": 1, "duration": DURATION_S, "chargingRateUnit": "A"}
    schedule = {
        "status": "Accepted",
        "connectorId": 1,
        "scheduleStart": timestamp(),
        "chargingSchedule": {
            "duration": DURATION_S,
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0, "numberPhases": 3}],
        },
    }
    async with bench.booted() as station:
        station.answer("GetCompositeSchedule", schedule, **order)
        assert await bench.operator.call("GetCompositeSchedule", order) == schedule
        assert order in station.received("GetCompositeSchedule")


async def test_tc_067_clear_charging_profile(bench: Bench) -> None:
    """Clear Charging Profile"""
    by_id = {"id": 100 + LEVEL}
    by_kind = {
        "connectorId": 1,
        "chargingProfilePurpose": "TxDefaultProfile",
        "stackLevel": LEVEL + 1,
    }
    async with bench.booted() as station:
        for level in range(LEVEL, LEVEL + 3):
            order = {"connectorId": 1, "csChargingProfiles": _profile(level=level)}
            answer = await bench.operator.call("SetChargingProfile", order)
            assert answer == {"status": "Accepted"}
            assert order in station.received("SetChargingProfile")
        for wish in (by_id, by_kind, {}):
            before = station.received("ClearChargingProfile").count(wish)
            answer = await bench.operator.call("ClearChargingProfile", wish)
            assert answer == {"status": "Accepted"}
            assert station.received("ClearChargingProfile").count(wish) == before + 1
