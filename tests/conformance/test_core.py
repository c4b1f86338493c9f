"""Area Core without charging: boot, reset, unlock, configuration, cache."""

from datetime import datetime, timedelta

from shared.clock import SYSTEM_CLOCK
from tests.conformance.bench import (
    Bench,
    authorize,
    boot,
    plug_in_and_charge,
    reset_and_boot,
    status,
    stop,
)
from tests.conformance.scripts import Payload
from tests.conformance.settings import CONNECTORS


async def test_tc_001_cold_boot_charge_point(bench: Bench) -> None:
    """Cold Boot Charge Point"""
    async with bench.station() as station:
        answer = await boot(station)
        assert answer["interval"] > 0
        told = datetime.fromisoformat(answer["currentTime"])
        assert abs(told - SYSTEM_CLOCK.now()) < timedelta(seconds=5)
        beat = datetime.fromisoformat((await station.call("Heartbeat", {}))["currentTime"])
        assert told <= beat < told + timedelta(seconds=5)
        await bench.operator.until_state(bench.evse, "A")


async def _reset(bench: Bench, kind: str) -> None:
    async with bench.booted() as station:
        answer = await bench.operator.call("Reset", {"type": kind})
        assert answer == {"status": "Accepted"}
        assert station.received("Reset") == [{"type": kind}]
        await reset_and_boot(station)


async def test_tc_013_hard_reset(bench: Bench) -> None:
    """Hard Reset"""
    await _reset(bench, "Hard")


async def test_tc_014_soft_reset(bench: Bench) -> None:
    """Soft Reset"""
    await _reset(bench, "Soft")


async def test_tc_017_1_unlock_without_session_cable_not_fixed(bench: Bench) -> None:
    """Unlock connector - no charging session running (Not fixed cable)"""
    async with bench.booted() as station:
        station.answer("UnlockConnector", {"status": "Unlocked"})
        outcome = await bench.operator.order(bench.evse, "unlock")
        assert outcome["outcome"] == "done"
        assert station.received("UnlockConnector") == [{"connectorId": 1}]


async def test_tc_017_2_unlock_without_session_fixed_cable(bench: Bench) -> None:
    """Unlock connector - no charging session running (Fixed cable)"""
    async with bench.booted() as station:
        station.answer("UnlockConnector", {"status": "NotSupported"})
        outcome = await bench.operator.order(bench.evse, "unlock")
        assert outcome == {"outcome": "refused", "detail": "NotSupported"}
        assert station.received("UnlockConnector") == [{"connectorId": 1}]


async def test_tc_018_1_unlock_with_session_cable_not_fixed(bench: Bench) -> None:
    """Unlock Connector - With Charging Session (Not fixed cable)"""
    async with bench.booted() as station:
        transaction = await plug_in_and_charge(station)
        outcome = await bench.operator.order(bench.evse, "unlock")
        assert outcome["outcome"] == "done"
        assert station.received("UnlockConnector") == [{"connectorId": 1}]
        await status(station, "Finishing")
        await stop(station, transaction, "UnlockCommand")
        await status(station, "Available")
        session = await bench.operator.ended_session(bench.evse, transaction)
        assert session["reason"] == "UnlockCommand"


async def test_tc_019_1_retrieve_all_configuration_keys(bench: Bench) -> None:
    """Retrieve all configuration keys"""
    told = []
    async with bench.booted() as station:

        def tell(payload: Payload) -> Payload:
            told.append(station.settings.answer("GetConfiguration", payload))
            return told[-1]

        station.answer("GetConfiguration", tell)
        answer = await bench.operator.call("GetConfiguration", {})
        assert len(answer["configurationKey"]) == len(station.settings.values)
        assert answer in told
        assert {} in station.received("GetConfiguration")


async def test_tc_019_2_retrieve_specific_configuration_key(bench: Bench) -> None:
    """Retrieve specific configuration key"""
    wanted = {"key": ["SupportedFeatureProfiles"]}
    async with bench.booted() as station:
        answer = await bench.operator.call("GetConfiguration", wanted)
        assert [entry["key"] for entry in answer["configurationKey"]] == wanted["key"]
        assert wanted in station.received("GetConfiguration")


async def _change_key(bench: Bench, key: str, value: str, *, verdict: str) -> None:
    async with bench.booted() as station:
        station.answer("ChangeConfiguration", {"status": verdict}, key=key, value=value)
        assert await bench.operator.change_key(key, value) == verdict
        assert {"key": key, "value": value} in station.received("ChangeConfiguration")


async def test_tc_021_change_configuration(bench: Bench) -> None:
    """Change/set Configuration"""
    await _change_key(bench, "MeterValueSampleInterval", "60", verdict="Accepted")


async def test_tc_030_unlock_connector_unlock_failure(bench: Bench) -> None:
    """Unlock Connector – Unlock Failure"""
    async with bench.booted() as station:
        station.answer("UnlockConnector", {"status": "UnlockFailed"})
        outcome = await bench.operator.order(bench.evse, "unlock")
        assert outcome == {"outcome": "refused", "detail": "UnlockFailed"}
        assert station.received("UnlockConnector") == [{"connectorId": 1}]


async def test_tc_031_unlock_connector_unknown_connector(bench: Bench) -> None:
    """Unlock Connector – Unknown Connector"""
    unknown = {"connectorId": CONNECTORS + 1}
    async with bench.booted() as station:
        station.answer("UnlockConnector", {"status": "NotSupported"}, **unknown)
        answer = await bench.operator.call("UnlockConnector", unknown)
        assert answer == {"status": "NotSupported"}
        assert station.received("UnlockConnector") == [unknown]


async def test_tc_040_1_configuration_key_not_supported(bench: Bench) -> None:
    """Configuration keys"""
    await _change_key(bench, "NoSuchKeyAnywhere", "1", verdict="NotSupported")


async def test_tc_040_2_configuration_value_rejected(bench: Bench) -> None:
    """Configuration keys"""
    await _change_key(bench, "MeterValueSampleInterval", "-1", verdict="Rejected")


async def test_tc_061_clear_authorization_data_in_authorization_cache(bench: Bench) -> None:
    """Clear Authorization Data in Authorization Cache"""
    async with bench.booted() as station:
        assert await bench.operator.call("ClearCache", {}) == {"status": "Accepted"}
        assert station.received("ClearCache") == [{}]
        await status(station, "Preparing")
        assert (await authorize(station))["status"] == "Accepted"
