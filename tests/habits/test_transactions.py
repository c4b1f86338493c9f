"""Field notes 5.3, habits 19 to 26: how stations start and stop, each with the frames that show it.

Habit 23 (a backend's ids arrive late) concerns the gateway; the server's part of it, that the
station sees our id, is here, the rest in ``tests/integration/test_gateway_relay.py`` and
``tests/unit/gateway/test_outbox.py``.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ocpp_server.domain.timestamps import format_timestamp
from shared.bus.port import Delivery
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.ocpp import FrameReceived
from shared.contracts.session import (
    MeterRow,
    MeterValuesRecorded,
    SessionEnded,
    SessionStarted,
    SignedValueReceived,
)
from shared.contracts.site import SiteConfig, Station
from tests.ocpp_core import BACKEND, Core, FakeStation, evse, running_core, site_of

START = {
    "connectorId": 1,
    "idTag": "GOOD",
    "meterStart": 5,
    "timestamp": "2026-01-01T12:00:00Z",
}
STOP = {"transactionId": 1, "meterStop": 905, "timestamp": "2026-01-01T12:30:00Z"}
AVAILABLE = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}


def current(amps: float, at: str, **changes: Any) -> dict[str, Any]:
    sample = {"value": str(amps), "measurand": "Current.Import", "phase": "L1"}
    values = [{"timestamp": at, "sampledValue": [sample]}]
    return {"connectorId": 1, "meterValue": values, **changes}


async def start(station: FakeStation, **changes: Any) -> int:
    answer = await station.call("StartTransaction", START | changes)
    return int(answer["transactionId"])


async def recorded(core: Core) -> list[MeterRow]:
    """Return a list that meter values will be in."""
    rows: list[MeterRow] = []

    async def hear(delivery: Delivery[MeterValuesRecorded]) -> None:
        rows.extend(MeterRow(*row) for row in delivery.message.rows)

    await core.operator.listen([MeterValuesRecorded], hear)
    return rows


async def test_habit_19_a_start_sent_again_on_a_new_connection_gets_the_same_id(
    core: Core,
) -> None:
    first = await start(await core.booted())
    again = await start(await core.booted())
    assert again == first
    assert len(core.events(SessionStarted)) == 1


async def test_habit_19_ids_are_unique_positive_31_bit_and_outlast_a_restart(
    tmp_path: Path,
) -> None:
    seen = []
    for hour in (12, 13):
        async with running_core(site_of(), tmp_path) as core:
            station = await core.booted()
            times = [f"2026-01-01T{hour}:{minute:02}:00Z" for minute in range(3)]
            seen.extend([await start(station, timestamp=at) for at in times])
    assert len(set(seen)) == 6
    assert seen == sorted(seen)
    assert all(0 < one < 2**31 for one in seen)
    assert max(seen) < 1_000, "counted, and not made of the time"


@pytest.mark.parametrize("useless", [-1, 0, 4_711, 2**31 - 1, 2**40])
async def test_habit_20_a_stop_with_a_useless_id_is_accepted_and_ends_what_runs(
    core: Core, useless: int
) -> None:
    station = await core.booted()
    transaction_id = await start(station)
    assert await station.call("StopTransaction", STOP | {"transactionId": useless}) == {}
    ended = await core.event(SessionEnded)
    assert (ended.transaction_id, ended.energy_stop_wh) == (transaction_id, 905)


async def test_habit_20_a_stop_of_nothing_is_accepted_so_that_it_is_not_repeated_for_ever(
    core: Core,
) -> None:
    station = await core.booted()
    stop = STOP | {"transactionId": -1, "idTag": "GOOD"}
    answer = await station.call("StopTransaction", stop)
    assert answer == {"idTagInfo": {"status": "Accepted", "parentIdTag": "FAMILY"}}
    assert not core.events(SessionEnded)


async def test_habit_21_a_second_stop_is_accepted_and_told_once(core: Core) -> None:
    station = await core.booted()
    stop = STOP | {"transactionId": await start(station)}
    assert await station.call("StopTransaction", stop) == {}
    assert await station.call("StopTransaction", stop | {"reason": "Other"}) == {}
    await core.facilities.announcer.flush()
    assert len(core.events(SessionEnded)) == 1


async def test_habit_21_closing_meter_values_are_recorded_and_do_not_revive_the_session(
    core: Core,
) -> None:
    rows = await recorded(core)
    station = await core.booted()
    transaction_id = await start(station)
    await station.call("StopTransaction", STOP | {"transactionId": transaction_id})
    closing = current(0, "2026-01-01T12:00:01Z", transactionId=transaction_id)
    assert await station.call("MeterValues", closing) == {}
    assert [row.transaction_id for row in rows] == [transaction_id]
    assert (await core.newest(EvseObserved)).transaction_id is None
    assert len(core.events(SessionStarted)) == 1


EARLY = STOP | {"transactionId": -1, "idTag": "GOOD"}
SIGNED_END = {"value": "OCMF|{}|end", "format": "SignedData", "context": "Transaction.End"}


@pytest.mark.parametrize("useless", [-1, 0, 4_711])
async def test_habit_21_a_stop_that_overtakes_its_start_is_one_finished_session(
    core: Core, useless: int
) -> None:
    """Some flush their memory in the wrong order."""
    station = await core.booted()
    await station.call("StopTransaction", EARLY | {"transactionId": useless})
    assert core.events(SessionEnded) == []
    transaction_id = await start(station)
    started, ended = await core.event(SessionStarted), await core.event(SessionEnded)
    assert started.transaction_id == ended.transaction_id == transaction_id
    assert format_timestamp(ended.ended_at) == "2026-01-01T12:30:00Z"
    assert (ended.energy_stop_wh, ended.reason, ended.token) == (905, "Local", "GOOD")
    assert core.heard.index(started) < core.heard.index(ended)
    assert await core.ledger.open_transactions("CP1") == []
    assert (await core.newest(EvseObserved)).transaction_id is None, "it does not run"


async def test_habit_21_however_often_both_are_repeated_it_stays_one_session(core: Core) -> None:
    station = await core.booted()
    await station.call("StopTransaction", EARLY)
    transaction_id = await start(station)
    again = await core.booted()
    await again.call("StopTransaction", EARLY)
    assert await start(again) == transaction_id
    known = EARLY | {"transactionId": transaction_id}
    assert (await again.call("StopTransaction", known))["idTagInfo"]["status"] == "Accepted"
    await core.facilities.announcer.flush()
    assert len(core.events(SessionStarted)) == len(core.events(SessionEnded)) == 1
    assert await core.ledger.open_transactions("CP1") == []


async def test_habit_21_a_stop_kept_before_a_restart_meets_its_start_after_it(
    tmp_path: Path,
) -> None:
    async with running_core(site_of(), tmp_path) as core:
        await (await core.booted()).call("StopTransaction", EARLY)
    async with running_core(site_of(), tmp_path) as core:
        transaction_id = await start(await core.booted())
        assert (await core.event(SessionEnded)).transaction_id == transaction_id


@pytest.mark.parametrize(
    ("stop", "begin"),
    [
        ({"idTag": "OTHER"}, {}),
        ({"idTag": None}, {}),
        ({}, {"meterStart": 906}),
        ({}, {"timestamp": "2026-01-01T12:30:01Z"}),
        ({}, {"timestamp": "1970-01-01T00:00:00Z"}),
    ],
    ids=["another tag", "no tag", "the meter would run back", "it begins later", "no clock"],
)
async def test_habit_21_an_early_stop_that_proves_nothing_loses_nothing(
    core: Core, stop: dict[str, Any], begin: dict[str, Any]
) -> None:
    """The start is billed as running, and seen."""
    station = await core.booted()
    told = {key: value for key, value in (EARLY | stop).items() if value is not None}
    await station.call("StopTransaction", told)
    transaction_id = await start(station, **begin)
    (running,) = await core.ledger.open_transactions("CP1")
    assert running.id == transaction_id
    assert (await core.newest(EvseObserved)).transaction_id == transaction_id
    assert core.events(SessionEnded) == []


async def test_habit_21_of_two_early_stops_none_is_guessed(core: Core) -> None:
    station = await core.booted()
    for at in ("2026-01-01T12:30:00Z", "2026-01-01T13:30:00Z"):
        await station.call("StopTransaction", EARLY | {"timestamp": at})
    transaction_id = await start(station)
    (running,) = await core.ledger.open_transactions("CP1")
    assert running.id == transaction_id


async def test_habit_21_signed_values_of_an_early_stop_are_of_its_transaction(core: Core) -> None:
    station = await core.booted()
    values = [{"timestamp": "2026-01-01T12:30:00Z", "sampledValue": [SIGNED_END]}]
    await station.call("StopTransaction", EARLY | {"transactionData": values})
    assert (await core.event(SignedValueReceived)).transaction_id is None
    transaction_id = await start(station)
    told = await core.event(SignedValueReceived, lambda e: e.transaction_id == transaction_id)
    assert (told.raw, told.connector) == ("OCMF|{}|end", 1)
    assert told.session_id == f"ocpp-CP1-{transaction_id}"
    assert await core.ledger.signed_texts(transaction_id) == ["OCMF|{}|end"]


@pytest.mark.parametrize("site", [site_of(evse(backend=BACKEND))])
async def test_habit_21_a_backend_gets_start_and_stop_in_order_with_one_id(
    core: Core, site: SiteConfig
) -> None:
    station = await core.booted()
    await station.call("StopTransaction", EARLY)
    transaction_id = await start(station)
    await core.event(SessionEnded)
    named = [f for f in core.events(FrameReceived) if f.transaction_id == transaction_id]
    assert [(f.action, f.frame_id) for f in named] == [
        ("StartTransaction", f"start-{transaction_id}"),
        ("StopTransaction", f"stop-{transaction_id}"),
    ]
    assert json.loads(named[1].payload_text) == EARLY, "as the station wrote it"
    assert not named[1].wants_answer, "the station was answered when it stopped"


async def test_habit_21_available_clears_what_is_shown_as_running(core: Core) -> None:
    station = await core.booted()
    await start(station)
    assert (await core.newest(EvseObserved)).transaction_id is not None
    await station.call("StatusNotification", AVAILABLE)
    observed = await core.newest(EvseObserved)
    assert (observed.state, observed.transaction_id) == (EvseState.A, None)


@pytest.mark.parametrize("token", ["UNKNOWN", "BLOCKED", "EXPIRED"])
async def test_habit_22_a_transaction_of_a_refused_token_exists_anyway(
    core: Core, token: str
) -> None:
    station = await core.booted()
    answer = await station.call("StartTransaction", START | {"idTag": token})
    assert answer["idTagInfo"]["status"] in {"Invalid", "Blocked", "Expired"}
    assert (await core.event(SessionStarted)).transaction_id == answer["transactionId"]
    stop = STOP | {"transactionId": answer["transactionId"]}
    assert await station.call("StopTransaction", stop) == {}
    assert (await core.event(SessionEnded)).energy_stop_wh == 905


@pytest.mark.parametrize("site", [site_of(evse(backend=BACKEND))])
async def test_habit_23_with_the_backend_away_the_station_gets_our_id_and_the_frame_is_kept(
    core: Core, site: SiteConfig
) -> None:
    station = await core.booted()
    transaction_id = await start(station)
    frame = await core.event(FrameReceived, lambda f: f.action == "StartTransaction")
    assert (frame.transaction_id, transaction_id > 0) == (transaction_id, True)


async def test_habit_24_months_of_backlog_are_recorded_and_do_not_steer(core: Core) -> None:
    rows = await recorded(core)
    station = await core.booted()
    await station.call(
        "StatusNotification",
        {"connectorId": 1, "errorCode": "NoError", "status": "Charging"},
    )
    now = core.clock.now()
    for days in range(90, 0, -10):
        at = format_timestamp(now - timedelta(days=days))
        assert await station.call("MeterValues", current(30, at)) == {}
        assert await station.call("StatusNotification", AVAILABLE | {"timestamp": at}) == {}
    observed = await core.newest(EvseObserved)
    assert observed.state is EvseState.C
    assert observed.current_a is None
    assert len(rows) == 9
    await station.call("MeterValues", current(7, format_timestamp(now)))
    steering = (await core.newest(EvseObserved)).current_a
    assert steering is not None
    assert steering.l1 == 7


async def test_habit_24_an_old_start_and_stop_are_billed_with_their_own_times(core: Core) -> None:
    station = await core.booted()
    transaction_id = await start(station, timestamp="2025-10-01T08:00:00Z")
    stop = {"transactionId": transaction_id, "meterStop": 9, "timestamp": "2025-10-01T09:00:00Z"}
    await station.call("StopTransaction", stop)
    started, ended = await core.event(SessionStarted), await core.event(SessionEnded)
    assert format_timestamp(started.started_at) == "2025-10-01T08:00:00Z"
    assert format_timestamp(ended.ended_at) == "2025-10-01T09:00:00Z"


SIGNING = Station(
    id="CP1",
    protocol="ocpp",
    configuration={"StopTxnSampledData": "Energy.Active.Import.Register"},
)


@pytest.mark.parametrize("site", [site_of(stations=(SIGNING,))])
async def test_habit_25_the_keys_that_make_it_send_signed_values_are_set(
    core: Core, site: SiteConfig
) -> None:
    station = await core.booted()
    await station.idle()
    written = {p["key"]: p["value"] for p in station.payloads("ChangeConfiguration")}
    assert written["StopTxnSampledData"] == "Energy.Active.Import.Register"


async def test_habit_25_a_signed_end_without_a_signed_begin_is_kept(core: Core) -> None:
    station = await core.booted()
    transaction_id = await start(station)
    signed = {"value": "OCMF|{}|end", "format": "SignedData", "context": "Transaction.End"}
    values = [{"timestamp": "2026-01-01T12:30:00Z", "sampledValue": [signed]}]
    stop = STOP | {"transactionId": transaction_id, "transactionData": values}
    await station.call("StopTransaction", stop)
    told = await core.event(SignedValueReceived)
    assert (told.raw, told.context) == ("OCMF|{}|end", "Transaction.End")
    assert told.transaction_id == transaction_id


async def test_habit_26_a_meter_that_begins_anew_ends_its_transaction_as_it_says(
    core: Core,
) -> None:
    station = await core.booted()
    transaction_id = await start(station, meterStart=120_000)
    stop = STOP | {"transactionId": transaction_id, "meterStop": 900}
    assert await station.call("StopTransaction", stop) == {}
    ended = await core.event(SessionEnded)
    assert (ended.transaction_id, ended.energy_stop_wh) == (transaction_id, 900)
