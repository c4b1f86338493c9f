"""Orders from the bus: remote start and stop, and any call an operator likes."""

from typing import Any

import pytest

from shared.contracts.charging import StartCharging, StopCharging
from shared.contracts.ocpp import CallOutcome, CallResult, CallStation
from shared.contracts.site import SiteConfig
from shared.errors import Refused, Unroutable
from tests.ocpp_core import Core, FakeStation, site_of

START = {
    "connectorId": 1,
    "idTag": "GOOD",
    "meterStart": 5,
    "timestamp": "2026-01-01T12:00:00Z",
}


@pytest.fixture
def site() -> SiteConfig:
    return site_of(mode="monitor")


async def raw(core: Core, action: str, payload_text: str, **changes: Any) -> CallOutcome:
    order = CallStation(station_id="CP1", action=action, payload_text=payload_text, **changes)
    return await core.operator.ask(order, timeout_s=5)


async def connected(core: Core) -> FakeStation:
    station = await core.booted()
    await station.idle()
    station.calls.clear()
    return station


async def test_start(core: Core) -> None:
    station = await connected(core)
    order = StartCharging(station_id="CP1", connector=1, token="GOOD")
    assert (await core.operator.ask(order, timeout_s=5)).done
    assert await station.was_called("RemoteStartTransaction") == {
        "connectorId": 1,
        "idTag": "GOOD",
    }


async def test_a_refused_start_is_told(core: Core) -> None:
    station = await connected(core)
    station.answers["RemoteStartTransaction"] = {"status": "Rejected"}
    order = StartCharging(station_id="CP1", connector=1, token="GOOD")
    outcome = await core.operator.ask(order, timeout_s=5)
    assert (outcome.done, outcome.detail) == (False, "Rejected")


async def test_stop_ends_what_runs_at_the_connector(core: Core) -> None:
    station = await connected(core)
    running = (await station.call("StartTransaction", START))["transactionId"]
    assert (await core.operator.ask(StopCharging(station_id="CP1", connector=1), timeout_s=5)).done
    assert await station.was_called("RemoteStopTransaction") == {"transactionId": running}


async def test_stop_without_a_transaction_says_so(core: Core) -> None:
    await connected(core)
    outcome = await core.operator.ask(StopCharging(station_id="CP1", connector=1), timeout_s=5)
    assert (outcome.done, outcome.detail) == (False, "no transaction runs at this connector")


async def test_odd_values_are_sendable_and_both_ways_are_byte_exact(core: Core) -> None:
    station = await connected(core)
    station.answers["ChangeConfiguration"] = '{ "status" : "Rejected","x":1.50}'
    text = '{"key":"MeterValueSampleInterval" ,"value":"-1"}'
    outcome = await raw(core, "ChangeConfiguration", text)
    assert station.sent[-1].endswith(f",{text}]")
    assert outcome.outcome is CallResult.ANSWERED
    assert outcome.payload_text == '{ "status" : "Rejected","x":1.50}'
    assert outcome.payload == {"status": "Rejected", "x": 1.5}


async def test_a_silent_station_is_a_timeout(core: Core) -> None:
    station = await connected(core)
    station.answers["Reset"] = None
    outcome = await raw(core, "Reset", '{"type":"Soft"}', timeout_s=0.02)
    assert outcome.outcome is CallResult.TIMEOUT


@pytest.mark.parametrize(
    ("action", "payload"), [("Dance", "{}"), ("Reset", "[]"), ("Reset", "{"), ("Reset", "5")]
)
async def test_what_has_no_shape_is_refused(core: Core, action: str, payload: str) -> None:
    station = await connected(core)
    with pytest.raises(Refused):
        await raw(core, action, payload)
    assert station.calls == []


async def test_a_station_that_is_away_is_unroutable(core: Core) -> None:
    station = await connected(core)
    station.close()
    with pytest.raises(Unroutable):
        await raw(core, "Reset", "{}")
