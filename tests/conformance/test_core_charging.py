"""Area Core, charging: sessions, remote start and stop, refused tags, power failure, offline."""

from datetime import datetime

import pytest

from tests.conformance.bench import (
    Bench,
    ago,
    authorize,
    boot,
    charge,
    plug_in_and_charge,
    start,
    status,
    stop,
    stop_and_leave,
)
from tests.conformance.charge_point import ChargePoint
from tests.conformance.site import BLOCKED, EXPIRED, INVALID, PARENT, PAST, UNKNOWN, VALID


async def test_tc_003_regular_charging_session_plugin_first(bench: Bench) -> None:
    """Regular Charging Session - Plugin First"""
    async with bench.booted() as station:
        await status(station, "Preparing")
        assert await authorize(station) == {"status": "Accepted", "parentIdTag": PARENT}
        transaction = await charge(station)
        await bench.operator.until_state(bench.evse, "C")
        assert (await authorize(station))["status"] == "Accepted"
        answer = await stop(station, transaction, "Local", idTag=VALID)
        assert answer["idTagInfo"]["status"] == "Accepted"
        await status(station, "Finishing")
        await status(station, "Available")
        session = await bench.operator.ended_session(bench.evse, transaction)
        assert (session["token"], session["reason"]) == (VALID, "Local")
        assert session["energy_wh"] == 2000


async def test_tc_004_1_regular_charging_session_identification_first(bench: Bench) -> None:
    """Regular Charging Session – Identification First"""
    async with bench.booted() as station:
        assert (await authorize(station))["status"] == "Accepted"
        await status(station, "Preparing")
        transaction = await charge(station)
        await stop_and_leave(station, transaction, "Local")
        await bench.operator.ended_session(bench.evse, transaction)


async def test_tc_004_2_identification_first_connection_time_out(bench: Bench) -> None:
    """Regular Charging Session – Identification First - ConnectionTimeOut"""
    async with bench.booted() as station:
        assert (await authorize(station))["status"] == "Accepted"
        await status(station, "Preparing")
        await bench.operator.until_state(bench.evse, "B")
        await status(station, "Available")
        await bench.operator.until_state(bench.evse, "A")
        assert await bench.operator.sessions(bench.evse) == []


async def test_tc_005_1_ev_side_disconnected(bench: Bench) -> None:
    """EV Side Disconnected - StopTransactionOnEVSideDisconnect = true - UnlockConnectorOnEVSideDisconnect = true"""  # noqa: E501 - the name of the case
    async with bench.booted() as station:
        transaction = await plug_in_and_charge(station)
        await status(station, "SuspendedEV")
        await stop_and_leave(station, transaction, "EVDisconnected")
        session = await bench.operator.ended_session(bench.evse, transaction)
        assert session["reason"] == "EVDisconnected"


async def test_tc_007_regular_start_charging_session_cached_id(bench: Bench) -> None:
    """Regular Start Charging Session – Cached Id"""
    async with bench.booted() as station:
        first = await plug_in_and_charge(station)
        await stop_and_leave(station, first, "Local")
        await status(station, "Preparing")
        # The tag is in the station's cache, so there is no Authorize.
        second = await charge(station, meterStart=3000)
        assert second != first
        await stop_and_leave(station, second, "Local")
        await bench.operator.ended_session(bench.evse, second)


async def _start_remotely(bench: Bench, station: ChargePoint) -> None:
    outcome = await bench.operator.order(bench.evse, "start", token=VALID)
    assert outcome["outcome"] == "done"
    assert station.received("RemoteStartTransaction") == [{"connectorId": 1, "idTag": VALID}]
    assert (await authorize(station))["status"] == "Accepted"


async def test_tc_010_remote_start_cable_plugged_in_first(bench: Bench) -> None:
    """Remote Start Charging Session – Cable Plugged in First"""
    async with bench.booted() as station:
        await status(station, "Preparing")
        await _start_remotely(bench, station)
        transaction = await charge(station)
        await stop_and_leave(station, transaction, "Local")


async def test_tc_011_1_remote_start_remote_start_first(bench: Bench) -> None:
    """Remote Start Charging Session – Remote Start First"""
    async with bench.booted() as station:
        await _start_remotely(bench, station)
        await status(station, "Preparing")
        transaction = await charge(station)
        await stop_and_leave(station, transaction, "Local")


async def test_tc_011_2_remote_start_time_out(bench: Bench) -> None:
    """Remote Start Charging Session – Time Out"""
    async with bench.booted() as station:
        await _start_remotely(bench, station)
        await status(station, "Preparing")
        await bench.operator.until_state(bench.evse, "B")
        await status(station, "Available")
        await bench.operator.until_state(bench.evse, "A")
        assert await bench.operator.sessions(bench.evse) == []


async def test_tc_012_remote_stop_charging_session(bench: Bench) -> None:
    """Remote Stop Charging Session"""
    async with bench.booted() as station:
        transaction = await plug_in_and_charge(station)
        outcome = await bench.operator.order(bench.evse, "stop")
        assert outcome["outcome"] == "done"
        assert station.received("RemoteStopTransaction") == [{"transactionId": transaction}]
        await stop_and_leave(station, transaction, "Remote")
        session = await bench.operator.ended_session(bench.evse, transaction)
        assert session["reason"] == "Remote"


async def _refused(bench: Bench, verdict: str, *tags: str) -> None:
    async with bench.booted() as station:
        await status(station, "Preparing")
        await bench.operator.until_state(bench.evse, "B")
        for tag in tags:
            assert (await authorize(station, tag))["status"] == verdict, tag
        await status(station, "Available")
        await bench.operator.until_state(bench.evse, "A")
        assert await bench.operator.sessions(bench.evse) == []


async def test_tc_023_1_authorize_invalid(bench: Bench) -> None:
    """Start Charging Session – Authorize invalid"""
    await _refused(bench, "Invalid", UNKNOWN, INVALID)


async def test_tc_023_2_authorize_expired(bench: Bench) -> None:
    """Start Charging Session – Authorize expired"""
    await _refused(bench, "Expired", EXPIRED, PAST)


async def test_tc_023_3_authorize_blocked(bench: Bench) -> None:
    """Start Charging Session – Authorize blocked"""
    await _refused(bench, "Blocked", BLOCKED)


async def test_tc_024_start_charging_session_lock_failure(bench: Bench) -> None:
    """Start Charging Session Lock Failure"""
    async with bench.booted() as station:
        await status(station, "Preparing")
        assert (await authorize(station))["status"] == "Accepted"
        await status(station, "Faulted", error="ConnectorLockFailure")
        await bench.operator.until_state(bench.evse, "F")
        fault = (await bench.operator.live(bench.evse))["fault"]
        assert fault is not None
        assert "ConnectorLockFailure" in fault
        assert await bench.operator.sessions(bench.evse) == []


async def test_tc_026_remote_start_rejected(bench: Bench) -> None:
    """Remote Start Charging Session – Rejected"""
    async with bench.booted() as station:
        station.answer("RemoteStartTransaction", {"status": "Rejected"})
        outcome = await bench.operator.order(bench.evse, "start", token=VALID)
        assert outcome["outcome"] == "refused"
        assert "Rejected" in outcome["detail"]
        assert station.received("RemoteStartTransaction") == [{"connectorId": 1, "idTag": VALID}]


async def test_tc_028_remote_stop_rejected(bench: Bench) -> None:
    """Remote Stop Transaction – Rejected"""
    async with bench.booted() as station:
        transaction = await plug_in_and_charge(station)
        unknown = {"transactionId": transaction + 1}
        station.answer("RemoteStopTransaction", {"status": "Rejected"}, **unknown)
        answer = await bench.operator.call("RemoteStopTransaction", unknown)
        assert answer == {"status": "Rejected"}
        assert station.received("RemoteStopTransaction") == [unknown]
        await bench.operator.running_session(bench.evse, transaction)
        await stop_and_leave(station, transaction, "Local")


async def test_tc_032_1_power_failure_stops_transactions(bench: Bench) -> None:
    """Power failure boot charging point-configured to stop transaction(s)"""
    async with bench.booted() as station:
        transaction = await plug_in_and_charge(station)
        await station.lose_power()
        await station.connect()
        await boot(station)
        await stop(station, transaction, "PowerLoss")
        session = await bench.operator.ended_session(bench.evse, transaction)
        assert session["reason"] == "PowerLoss"


async def test_tc_037_1_offline_start_valid_tag(bench: Bench) -> None:
    """Offline Start Transaction - Valid IdTag"""
    async with bench.booted() as station:
        await station.lose_power()
        started_at = ago(30)
        await station.connect()
        answer = await start(station, at=started_at)
        assert answer["idTagInfo"]["status"] == "Accepted"
        await status(station, "Charging")
        await bench.operator.until_state(bench.evse, "C")
        session = await bench.operator.running_session(bench.evse, answer["transactionId"])
        assert datetime.fromisoformat(session["started_at"]) == started_at
        await stop_and_leave(station, answer["transactionId"], "Local")


@pytest.mark.parametrize("tag", [UNKNOWN, INVALID])
async def test_tc_037_3_offline_start_invalid_tag(bench: Bench, tag: str) -> None:
    """Offline Start Transaction - Invalid IdTag - StopTransactionOnInvalidId = true"""
    async with bench.booted() as station:
        await station.lose_power()
        started_at = ago(30)
        await station.connect()
        answer = await start(station, tag, at=started_at)
        assert answer["idTagInfo"]["status"] == "Invalid"
        await status(station, "SuspendedEVSE")
        await stop_and_leave(station, answer["transactionId"], "DeAuthorized")
        session = await bench.operator.ended_session(bench.evse, answer["transactionId"])
        assert session["reason"] == "DeAuthorized"


async def test_tc_039_offline_transaction(bench: Bench) -> None:
    """Offline Transaction"""
    async with bench.booted() as station:
        await station.lose_power()
        started_at, stopped_at = ago(60), ago(30)
        await station.connect()
        answer = await start(station, at=started_at)
        assert answer["idTagInfo"]["status"] == "Accepted"
        await stop(station, answer["transactionId"], "Local", at=stopped_at, idTag=VALID)
        session = await bench.operator.ended_session(bench.evse, answer["transactionId"])
        assert datetime.fromisoformat(session["started_at"]) == started_at
        assert datetime.fromisoformat(session["ended_at"]) == stopped_at
