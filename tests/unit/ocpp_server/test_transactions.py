"""Transactions: recorded before they are told, told before they are answered."""

from pathlib import Path
from typing import Any

import pytest

from ocpp_server.postman import AGAIN_AFTER
from shared.bus.port import Delivery
from shared.bus.topology import SESSIONS_TO_API
from shared.contracts.evse import EvseObserved
from shared.contracts.session import SessionEnded, SessionStarted
from shared.errors import StoreUnavailable
from tests.conditions import eventually
from tests.ocpp_core import Core, FakeStation, running_core, site_of

NOW = "2026-01-01T12:00:00Z"
START = {"connectorId": 1, "idTag": "GOOD", "meterStart": 5, "timestamp": NOW}


def stop(transaction_id: int, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "transactionId": transaction_id,
        "meterStop": 905,
        "timestamp": "2026-01-01T13:00:00Z",
    }
    return values | changes


async def started(station: FakeStation, **changes: Any) -> int:
    answer = await station.call("StartTransaction", START | changes)
    return int(answer["transactionId"])


async def test_a_start_is_answered_with_an_id_and_told(core: Core) -> None:
    station = await core.booted()
    answer = await station.call("StartTransaction", START)
    assert answer["idTagInfo"] == {"status": "Accepted", "parentIdTag": "FAMILY"}
    told = await core.event(SessionStarted)
    assert told.session_id == f"ocpp-CP1-{answer['transactionId']}"
    assert (told.evse_id, told.token, told.energy_start_wh, told.transaction_id) == (
        "bay-1",
        "GOOD",
        5,
        answer["transactionId"],
    )


async def test_a_stop_is_answered_and_told(core: Core) -> None:
    station = await core.booted()
    transaction_id = await started(station)
    answer = await station.call("StopTransaction", stop(transaction_id, idTag="GOOD"))
    assert answer["idTagInfo"]["status"] == "Accepted"
    told = await core.event(SessionEnded)
    assert told.session_id == f"ocpp-CP1-{transaction_id}"
    assert (told.energy_stop_wh, told.reason, told.ended_at.isoformat()) == (
        905,
        "Local",
        "2026-01-01T13:00:00+00:00",
    )


async def test_a_stop_without_a_tag_is_answered_without_one(core: Core) -> None:
    station = await core.booted()
    assert await station.call("StopTransaction", stop(await started(station))) == {}


async def test_the_running_transaction_is_observed(core: Core) -> None:
    station = await core.booted()
    transaction_id = await started(station)
    await core.event(EvseObserved, lambda e: e.transaction_id == transaction_id)
    await station.call("StopTransaction", stop(transaction_id))
    await eventually(lambda: core.events(EvseObserved)[-1].transaction_id is None)


async def test_the_same_start_after_a_reconnect_gets_the_same_id_and_is_told_once(
    core: Core,
) -> None:
    first = await core.booted()
    transaction_id = await started(first)
    first.close()
    again = await core.booted()
    assert await started(again) == transaction_id
    assert len(core.events(SessionStarted)) == 1


async def test_a_refused_token_starts_a_transaction_all_the_same(core: Core) -> None:
    station = await core.booted()
    answer = await station.call("StartTransaction", START | {"idTag": "BLOCKED"})
    assert answer["idTagInfo"] == {"status": "Blocked"}
    await core.event(SessionStarted)


@pytest.mark.parametrize("claimed", [-1, 0, 4711])
async def test_a_stop_with_a_useless_id_ends_what_runs(core: Core, claimed: int) -> None:
    station = await core.booted()
    transaction_id = await started(station)
    assert await station.call("StopTransaction", stop(claimed)) == {}
    assert (await core.event(SessionEnded)).transaction_id == transaction_id


async def test_a_stop_of_nothing_is_accepted(core: Core) -> None:
    station = await core.booted()
    assert await station.call("StopTransaction", stop(4711)) == {}
    assert core.events(SessionEnded) == []


async def test_a_repeated_stop_is_accepted_and_told_once(core: Core) -> None:
    station = await core.booted()
    transaction_id = await started(station)
    for _ in range(2):
        await station.call("StopTransaction", stop(transaction_id))
    await core.event(SessionEnded)
    assert len(core.events(SessionEnded)) == 1


async def test_an_offline_start_and_stop_at_once_are_both_answered(core: Core) -> None:
    station = await core.booted()
    old = {"timestamp": "2025-12-31T12:00:00Z"}
    transaction_id = await started(station, **old)
    await station.call("StopTransaction", stop(transaction_id, timestamp="2025-12-31T13:00:00Z"))
    assert (await core.event(SessionStarted)).started_at.isoformat() == "2025-12-31T12:00:00+00:00"
    assert (await core.event(SessionEnded)).ended_at.isoformat() == "2025-12-31T13:00:00+00:00"


async def test_signed_values_of_a_stop_are_kept_byte_for_byte(core: Core) -> None:
    station = await core.booted()
    transaction_id = await started(station)
    raw = '{"signedMeterValue":"T0NNRg==\\u00e4"}' * 200
    data = [{"timestamp": NOW, "sampledValue": [{"value": raw, "format": "SignedData"}]}]
    await station.call("StopTransaction", stop(transaction_id, transactionData=data))
    assert await core.ledger.signed_texts(transaction_id) == [raw]


async def test_without_a_confirmation_the_station_is_answered_and_the_fact_is_kept(
    core: Core,
) -> None:
    core.hub.queue(SESSIONS_TO_API)  # a durable queue that nobody consumes: nothing is confirmed
    station = await core.booted()
    transaction_id = await started(station)
    await station.call("StopTransaction", stop(transaction_id))
    committed: list[Any] = []

    async def commit(batch: list[Delivery[Any]]) -> None:
        committed.extend(delivery.message for delivery in batch)

    await core.operator.consume(SESSIONS_TO_API, commit)
    core.clock.advance(AGAIN_AFTER.total_seconds() + 1)
    await core.facilities.postman.deliver_old()
    assert [type(message) for message in committed] == [SessionStarted, SessionEnded]
    assert await core.ledger.kept_events(before=core.clock.now()) == []


async def test_what_could_not_be_told_is_told_after_a_restart(tmp_path: Path) -> None:
    async with running_core(site_of(), tmp_path) as core:
        core.hub.queue(SESSIONS_TO_API)
        transaction_id = await started(await core.booted())
    async with running_core(site_of(), tmp_path) as core:
        core.clock.advance(60)
        await core.facilities.postman.deliver_old()
        assert (await core.event(SessionStarted)).transaction_id == transaction_id


async def test_a_running_transaction_outlasts_a_restart(tmp_path: Path) -> None:
    async with running_core(site_of(), tmp_path) as core:
        transaction_id = await started(await core.booted())
    async with running_core(site_of(), tmp_path) as core:
        await core.connect()
        observed = await core.event(EvseObserved)
        assert (observed.transaction_id, observed.token) == (transaction_id, "GOOD")


async def test_a_start_that_cannot_be_recorded_is_not_answered_as_if_it_were(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = await core.booted()

    async def away(*_: Any) -> None:
        raise StoreUnavailable("no database")

    monkeypatch.setattr(core.ledger, "record_start", away)
    assert await station.call("StartTransaction", START) == "InternalError"
