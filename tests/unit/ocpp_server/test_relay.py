"""Stations with a backend: what it decides, what it gets a copy of, what happens without it."""

import asyncio
import json
from typing import Any

import pytest

from shared.bus.topology import FRAMES_TO_GATEWAY
from shared.contracts.ocpp import AnswerFrame, FrameReceived
from shared.contracts.session import SessionStarted
from shared.contracts.site import SiteConfig
from tests.conditions import eventually
from tests.ocpp_core import BACKEND, Core, FakeStation, evse, site_of

NOW = "2026-01-01T12:00:00Z"
START = {"connectorId": 1, "idTag": "STRANGE", "meterStart": 5, "timestamp": NOW}
STOP = {"transactionId": 1, "meterStop": 9, "timestamp": NOW, "idTag": "STRANGE"}


@pytest.fixture
def site() -> SiteConfig:
    return site_of(evse(backend=BACKEND), mode="monitor")


async def frame(core: Core, action: str) -> FrameReceived:
    return await core.event(FrameReceived, lambda e: e.action == action)


async def answer(core: Core, action: str, payload_text: str | None = None, **error: Any) -> None:
    """Be the backend: answer the frame of an action, once it comes."""
    received = await frame(core, action)
    assert received.wants_answer
    await core.operator.send(
        AnswerFrame(
            station_id="CP1", frame_id=received.frame_id, payload_text=payload_text, **error
        )
    )


async def relayed(core: Core, station: FakeStation, action: str, payload: Any, text: str) -> str:
    """Let the backend answer a call with a text; return the text that the station got."""
    calling = asyncio.create_task(station.call(action, payload, message_id="x"))
    await answer(core, action, text)
    await calling
    return station.sent[-1]


@pytest.mark.parametrize(
    ("action", "payload", "text"),
    [
        ("Authorize", {"idTag": "STRANGE"}, '{ "idTagInfo":{"status" : "Accepted"}}'),
        ("DataTransfer", {"vendorId": "V"}, '{"status":"Accepted","data":"\\u00e4 1.50" }'),
        ("SecurityEventNotification", {"type": "X", "timestamp": NOW}, "{ }"),
    ],
)
async def test_the_answer_of_the_backend_is_the_answer(
    core: Core, action: str, payload: Any, text: str
) -> None:
    await core.uplink("bay-1")
    station = await core.booted()
    assert await relayed(core, station, action, payload, text) == f'[3,"x",{text}]'


async def test_the_frame_is_passed_on_as_the_station_wrote_it(core: Core) -> None:
    station = await core.booted()
    station.say('[2,"1","DataTransfer",{ "vendorId" : "\\u00e4","data":{"a":1.50} }]')
    received = await frame(core, "DataTransfer")
    assert received.payload_text == '{ "vendorId" : "\\u00e4","data":{"a":1.50} }'
    assert (received.station_id, received.epoch) == ("CP1", 1)


async def test_our_transaction_id_takes_the_place_of_the_backends(core: Core) -> None:
    await core.uplink("bay-1")
    station = await core.booted()
    text = '{ "transactionId" : 987654 ,"idTagInfo":{"status":"Accepted"} }'
    sent = await relayed(core, station, "StartTransaction", START, text)
    assert sent == '[3,"x",{ "transactionId" : 1 ,"idTagInfo":{"status":"Accepted"} }]'
    received = await frame(core, "StartTransaction")
    assert (received.frame_id, received.transaction_id, received.connector) == ("start-1", 1, 1)


async def test_start_and_stop_are_told_as_sessions_too(core: Core) -> None:
    station = await core.booted()
    await station.call("StartTransaction", START)
    await core.event(SessionStarted)
    await station.call("StopTransaction", STOP)
    assert (await frame(core, "StopTransaction")).frame_id == "stop-1"


@pytest.mark.parametrize(
    "useless",
    ['{"idTagInfo":{"status":"Accepted"}}', "[]", "nonsense", '{"transactionId":"5"}'],
)
async def test_a_useless_answer_to_a_start_is_replaced_by_ours(core: Core, useless: str) -> None:
    await core.uplink("bay-1")
    station = await core.booted()
    sent = await relayed(core, station, "StartTransaction", START, useless)
    assert json.loads(sent)[2] == {"transactionId": 1, "idTagInfo": {"status": "Invalid"}}


async def test_without_an_uplink_the_station_is_answered_at_once(core: Core) -> None:
    station = await core.booted()
    assert await station.call("Authorize", {"idTag": "GOOD"}) == {
        "idTagInfo": {"status": "Accepted", "parentIdTag": "FAMILY"}
    }
    assert (await station.call("StartTransaction", START))["transactionId"] == 1
    assert await station.call("DataTransfer", {"vendorId": "V"}) == {"status": "UnknownVendorId"}


async def test_a_silent_backend_is_answered_for(core: Core) -> None:
    patience = {"backend_answer_timeout_s": 0.05}
    core.registry.site_changed(
        site_of(evse(backend=BACKEND), mode="monitor", revision=2, ocpp_server=patience)
    )
    await core.uplink("bay-1")
    station = await core.booted()
    assert (await station.call("Authorize", {"idTag": "GOOD"}))["idTagInfo"]["status"] == "Accepted"


async def test_an_uplink_that_went_away_is_not_waited_for(core: Core) -> None:
    await core.uplink("bay-1")
    await core.uplink("bay-1", online=False)
    station = await core.booted()
    assert (await station.call("Authorize", {"idTag": "NO"}))["idTagInfo"]["status"] == "Invalid"


async def test_an_error_of_the_backend_is_passed_on_where_nothing_is_decided(core: Core) -> None:
    await core.uplink("bay-1")
    station = await core.booted()
    calling = asyncio.create_task(station.call("DataTransfer", {"vendorId": "V"}))
    await answer(core, "DataTransfer", error_code="NotSupported", error_description="no")
    assert await calling == "NotSupported"


async def test_an_error_of_the_backend_to_a_start_is_answered_for(core: Core) -> None:
    await core.uplink("bay-1")
    station = await core.booted()
    calling = asyncio.create_task(station.call("StartTransaction", START))
    await answer(core, "StartTransaction", error_code="InternalError")
    assert (await calling)["transactionId"] == 1


async def test_a_late_answer_is_dropped(core: Core) -> None:
    station = await core.booted()
    await station.call("Authorize", {"idTag": "GOOD"})
    sent = len(station.sent)
    await answer(core, "Authorize", "{}")
    await station.call("Heartbeat", {})
    assert len(station.sent) == sent + 1


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}),
        ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}),
        ("StatusNotification", {"connectorId": 0, "errorCode": "NoError", "status": "Available"}),
        (
            "MeterValues",
            {"connectorId": 1, "meterValue": [{"timestamp": NOW, "sampledValue": []}]},
        ),
        ("FirmwareStatusNotification", {"status": "Idle"}),
    ],
)
async def test_the_backend_gets_a_copy_of_what_we_answer(
    core: Core, action: str, payload: Any
) -> None:
    station = await core.connect()
    await station.call(action, payload)
    received = await frame(core, action)
    assert not received.wants_answer
    assert json.loads(received.payload_text) == payload


async def test_heartbeats_are_ours_alone(core: Core) -> None:
    station = await core.booted()
    await station.call("Heartbeat", {})
    await station.call("FirmwareStatusNotification", {"status": "Idle"})
    await frame(core, "FirmwareStatusNotification")
    assert not [e for e in core.events(FrameReceived) if e.action == "Heartbeat"]


async def test_each_frame_has_its_own_id_even_when_the_message_id_never_changes(
    core: Core,
) -> None:
    station = await core.booted()
    for _ in range(2):
        await station.call("FirmwareStatusNotification", {"status": "Idle"}, message_id="1")
        core.clock.advance(1)
    await eventually(
        lambda: (
            sum(e.action == "FirmwareStatusNotification" for e in core.events(FrameReceived)) == 2
        )
    )
    assert len({e.frame_id for e in core.events(FrameReceived)}) == 3


async def test_what_the_gateway_does_not_confirm_is_kept_for_it(core: Core) -> None:
    core.hub.queue(FRAMES_TO_GATEWAY)  # nobody consumes it
    await core.uplink("bay-1")
    station = await core.booted()
    answered = await station.call("StartTransaction", START)
    assert answered["transactionId"] == 1
    core.clock.advance(60)
    kept = await core.ledger.kept_events(before=core.clock.now())
    frames = [json.loads(event.body) for event in kept if event.topic == FrameReceived.topic]
    assert [kept_frame["action"] for kept_frame in frames] == [
        "BootNotification",
        "StartTransaction",
    ]


class TestTwoOutlets:
    """One outlet is billed by a backend, the other is not."""

    @pytest.fixture
    def site(self) -> SiteConfig:
        return site_of(evse(1), evse(2, backend=BACKEND), mode="monitor")

    async def test_a_transaction_of_the_other_outlet_is_not_the_backends_business(
        self, core: Core
    ) -> None:
        station = await core.booted()
        await station.call("StartTransaction", START)
        await station.call("StartTransaction", START | {"connectorId": 2})
        received = await frame(core, "StartTransaction")
        assert received.connector == 2
        assert sum(e.action == "StartTransaction" for e in core.events(FrameReceived)) == 1
