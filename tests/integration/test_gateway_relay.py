"""An OCPP station and its backend, with the gateway between them: nothing changes but ids."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from parkade.simulation.backend import CallFailed, SimulatedBackend
from shared.bus.port import Delivery
from shared.contracts.evse import EvseState
from shared.contracts.message import station_address
from shared.contracts.ocpp import AnswerFrame, CallOutcome, CallResult, CallStation, FrameReceived
from shared.contracts.site import SiteConfig
from shared.ids import new_id
from tests.conditions import eventually
from tests.integration.gateway_world import (
    World,
    evse_of,
    modbus_station,
    site_of,
    world_of,
)

CP = "CP 1"
BOX = "Säule/7"
LOCAL_ID = 41
OCMF = (
    'OCMF|{"FV":"1.0","GI":"Köln 1","RD":[{"TM":"2026-01-01T12:00:00,000+0100 S","RV":12.340}]}'
    '|{"SD":"3045\\u00e4\\/+=="}'
)


ACCEPTED = CallOutcome(
    outcome=CallResult.ANSWERED, payload={}, payload_text='{ "status" : "Accepted" }'
)


@dataclass
class Station:
    """An OCPP station as ocpp-server would hold it on the bus."""

    world: World
    answers: list[AnswerFrame] = field(default_factory=list)
    asked: list[CallStation] = field(default_factory=list)
    reply: CallOutcome = ACCEPTED

    async def connect(self) -> None:
        async def evicted(_address: Any, _epoch: int) -> None:
            return None

        async def answer(delivery: Delivery[AnswerFrame]) -> None:
            self.answers.append(delivery.message)

        async def asked(delivery: Delivery[CallStation]) -> CallOutcome:
            self.asked.append(delivery.message)
            return self.reply

        inbox = await self.world.bus.inbox(evicted)
        inbox.on(AnswerFrame, answer)
        inbox.on(CallStation, asked)
        await inbox.own(station_address(BOX), 1)

    async def says(self, action: str, payload_text: str, **fields: Any) -> str:
        frame_id = fields.pop("frame_id", None) or new_id()
        await self.world.bus.publish(
            FrameReceived(
                frame_id=frame_id,
                station_id=BOX,
                epoch=1,
                action=action,
                payload_text=payload_text,
                received_at=self.world.clock.now(),
                **fields,
            )
        )
        return frame_id

    async def starts(self, **fields: Any) -> str:
        text = '{"connectorId":1,"idTag":"A","meterStart":5,"timestamp":"2026-01-01T12:00:00Z"}'
        return await self.says(
            "StartTransaction", text, transaction_id=LOCAL_ID, connector=1, **fields
        )


def one_box(backend: SimulatedBackend, **evse: Any) -> SiteConfig:
    return site_of([{"id": BOX, "protocol": "ocpp"}], [evse_of("bay-1", BOX, backend, **evse)])


async def running(
    tmp_path: Path, work: Callable[[World, SimulatedBackend, Station], Awaitable[None]], **evse: Any
) -> None:
    """Do ``work`` beside a gateway that has booted at the backend."""
    async with SimulatedBackend() as backend, world_of(one_box(backend, **evse), tmp_path) as world:
        station = Station(world)
        await station.connect()
        await world.observe()
        async with world.gateway():
            await eventually(lambda: any(u.online for u in world.uplinks.values()))
            await work(world, backend, station)


def payload_text(frame: str) -> str:
    """Return the payload of a CALL as it was written."""
    return frame.split(",", 3)[3].removesuffix("]")


def texts(backend: SimulatedBackend, action: str) -> list[str]:
    return [payload_text(c.text) for c in backend.calls_of(CP) if c.action == action]


@pytest.mark.parametrize(
    ("action", "text"),
    [
        ("DataTransfer", '{ "vendorId" :"giro-e",\t"data": "K\\u00f6ln \\/ <&> \\ud83d\\ude00" }'),
        (
            "DataTransfer",
            '{"vendorId":"x","data":"12345678901234567890","n":1234567890123456789012}',
        ),
        ("DataTransfer", '{"vendorId":"x","n":1.0e+2,"m":10.50000,"transactionId2":1}'),
        ("MeterValues", json.dumps({"connectorId": 1, "meterValue": [{"value": OCMF}]})),
        ("SecurityEventNotification", '{"type":"Ähm","timestamp":"2026-01-01T12:00:00.000000Z"}'),
    ],
)
async def test_texts_arrive_as_they_were_written(tmp_path: Path, action: str, text: str) -> None:
    async def work(_world: World, backend: SimulatedBackend, station: Station) -> None:
        await station.says(action, text)
        assert (await eventually(lambda: texts(backend, action)))[0] == text

    await running(tmp_path, work)


async def test_only_the_transaction_id_changes_in_signed_values(tmp_path: Path) -> None:
    signed = json.dumps(OCMF)
    before = f'{{ "meterStop":9 ,"x":"\\"transactionId\\":1", "transactionId" : {LOCAL_ID} ,'
    after = f' "transactionData":[{{"v":{signed}}}],"big":123456789012345678901234 }}'

    async def work(_world: World, backend: SimulatedBackend, station: Station) -> None:
        await station.starts()
        await station.says("StopTransaction", before + after, transaction_id=LOCAL_ID)
        sent = (await eventually(lambda: texts(backend, "StopTransaction")))[0]
        number = backend.calls(CP, "StopTransaction")[0]["transactionId"]
        assert number == 7_000_001
        assert sent == before.replace(f" {LOCAL_ID} ", f" {number} ") + after

    await running(tmp_path, work)


async def test_backend_answer_reaches_the_waiting_station_as_written(tmp_path: Path) -> None:
    async def work(_world: World, backend: SimulatedBackend, station: Station) -> None:
        backend.answers["DataTransfer"] = {"status": "Accepted", "data": "größer"}
        frame_id = await station.says("DataTransfer", '{"vendorId":"giro-e"}', wants_answer=True)
        answer = (await eventually(lambda: station.answers))[0]
        assert answer.frame_id == frame_id
        assert answer.payload_text == '{"status": "Accepted", "data": "gr\\u00f6\\u00dfer"}'

    await running(tmp_path, work)


async def test_backend_error_reaches_the_waiting_station(tmp_path: Path) -> None:
    async def work(_world: World, backend: SimulatedBackend, station: Station) -> None:
        backend.errors["DataTransfer"] = "NotSupported"
        await station.says("DataTransfer", '{"vendorId":"giro-e"}', wants_answer=True)
        answer = (await eventually(lambda: station.answers))[0]
        assert (answer.payload_text, answer.error_code) == (None, "NotSupported")

    await running(tmp_path, work)


async def test_repeated_frame_is_passed_on_once(tmp_path: Path) -> None:
    async def work(_world: World, backend: SimulatedBackend, station: Station) -> None:
        for _ in range(3):
            await station.starts(frame_id="the same")
        await station.says("DataTransfer", '{"vendorId":"after"}')
        await eventually(lambda: texts(backend, "DataTransfer"))
        assert len(backend.calls(CP, "StartTransaction")) == 1

    await running(tmp_path, work)


async def test_stop_of_a_transaction_the_backend_never_saw_is_kept_with_its_reason(
    tmp_path: Path,
) -> None:
    async def work(world: World, backend: SimulatedBackend, station: Station) -> None:
        await station.says("StopTransaction", '{"transactionId":99,"meterStop":1}')
        query = "SELECT count(*) FROM messages WHERE state='failed' AND reason LIKE '%transaction%'"
        await eventually(lambda: world.count(query) == 1)
        assert not backend.calls(CP, "StopTransaction")

    await running(tmp_path, work)


async def test_station_boot_is_replayed_in_its_own_words_and_only_the_last_status(
    tmp_path: Path,
) -> None:
    boot = '{"chargePointVendor":"Mennekes" ,"chargePointModel":"Amtron"}'

    async def work(_world: World, backend: SimulatedBackend, station: Station) -> None:
        await station.says("BootNotification", boot)
        for state in ("Available", "Preparing", "Charging"):
            status = {"connectorId": 1, "status": state, "errorCode": "NoError"}
            await station.says("StatusNotification", json.dumps(status))
        await eventually(lambda: backend.calls(CP, "StatusNotification")[-1:])
        await backend.stop()
        backend.recorded.clear()
        await backend.start()
        await eventually(lambda: backend.calls(CP, "StatusNotification"))
        assert texts(backend, "BootNotification") == [boot]
        assert [s["status"] for s in backend.calls(CP, "StatusNotification")] == ["Charging"]

    await running(tmp_path, work)


async def test_remote_stop_reaches_the_station_with_its_own_number(tmp_path: Path) -> None:
    async def work(_world: World, backend: SimulatedBackend, station: Station) -> None:
        await station.starts()
        number = (await eventually(lambda: backend.open_transactions(CP)))[0]
        text = f'{{ "transactionId" : {number} }}'
        answer = await backend.call_text(CP, "RemoteStopTransaction", text)
        assert answer == {"status": "Accepted"}
        assert station.asked[0].payload_text == f'{{ "transactionId" : {LOCAL_ID} }}'
        unknown = await backend.call(CP, "RemoteStopTransaction", {"transactionId": number + 1})
        assert unknown == {"status": "Rejected"}
        assert len(station.asked) == 1

    await running(tmp_path, work)


async def test_other_calls_pass_byte_for_byte_with_the_station_connector(tmp_path: Path) -> None:
    async def work(_world: World, backend: SimulatedBackend, station: Station) -> None:
        await backend.call_text(CP, "UnlockConnector", '{ "connectorId" : 1 }')
        await backend.call_text(CP, "DataTransfer", '{ "vendorId":"\\u00e4" ,"data":"1.50" }')
        passed = [question.payload_text for question in station.asked]
        assert passed == ['{ "connectorId" : 2 }', '{ "vendorId":"\\u00e4" ,"data":"1.50" }']

    await running(tmp_path, work, connector=2)


async def test_backend_limit_of_an_ocpp_station_is_kept_here(tmp_path: Path) -> None:
    async def work(world: World, backend: SimulatedBackend, station: Station) -> None:
        await eventually(lambda: world.has_told("bay-1", permitted=True))
        profile = {
            "chargingProfileId": 3,
            "stackLevel": 1,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "startSchedule": "2026-01-01T00:00:00Z",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8}],
            },
        }
        set_it = {"connectorId": 1, "csChargingProfiles": profile}
        assert await backend.call(CP, "SetChargingProfile", set_it) == {"status": "Accepted"}
        await eventually(lambda: world.has_told("bay-1", limit_a=8.0))
        assert await backend.call(CP, "ClearChargingProfile", {"id": 3}) == {"status": "Accepted"}
        await eventually(lambda: world.has_told("bay-1", limit_a=None))
        assert not station.asked

    await running(tmp_path, work)


async def test_profile_of_a_remote_start_stays_here_and_the_start_goes_on(tmp_path: Path) -> None:
    async def work(world: World, backend: SimulatedBackend, station: Station) -> None:
        profile = {
            "chargingProfileId": 3,
            "stackLevel": 1,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}],
            },
        }
        start = {"idTag": "R", "connectorId": 1, "chargingProfile": profile}
        assert await backend.call(CP, "RemoteStartTransaction", start) == {"status": "Accepted"}
        assert json.loads(station.asked[0].payload_text) == {"idTag": "R", "connectorId": 1}
        await station.starts()
        await eventually(lambda: world.has_told("bay-1", limit_a=10.0))
        stop = f'{{"transactionId":{LOCAL_ID},"meterStop":1}}'
        await station.says("StopTransaction", stop, transaction_id=LOCAL_ID)
        await eventually(lambda: world.has_told("bay-1", limit_a=None))

    await running(tmp_path, work)


@pytest.mark.parametrize("key", ["AuthorizationKey", "SecurityProfile", "CentralSystemURL"])
async def test_backend_cannot_take_the_station_away(tmp_path: Path, key: str) -> None:
    async def work(_world: World, backend: SimulatedBackend, station: Station) -> None:
        change = {"key": key, "value": "x"}
        assert await backend.call(CP, "ChangeConfiguration", change) == {"status": "Rejected"}
        assert not station.asked

    await running(tmp_path, work)


async def test_offline_station_rejects_remote_starts_and_errs_otherwise(tmp_path: Path) -> None:
    async def work(_world: World, backend: SimulatedBackend, station: Station) -> None:
        station.reply = CallOutcome(outcome=CallResult.OFFLINE)
        start = {"idTag": "R", "connectorId": 1}
        assert await backend.call(CP, "RemoteStartTransaction", start) == {"status": "Rejected"}
        with pytest.raises(CallFailed, match="InternalError"):
            await backend.call(CP, "ClearCache", {})

    await running(tmp_path, work)


async def test_backend_sees_when_the_station_is_lost_and_back(tmp_path: Path) -> None:
    def told(backend: SimulatedBackend) -> list[str]:
        return [s["status"] for s in backend.calls(CP, "StatusNotification")]

    async def work(world: World, backend: SimulatedBackend, station: Station) -> None:
        status = {"connectorId": 1, "status": "Preparing", "errorCode": "NoError"}
        await station.says("StatusNotification", json.dumps(status))
        await eventually(lambda: told(backend) == ["Preparing"])
        await world.observe(online=False)
        await eventually(lambda: told(backend) == ["Preparing", "Unavailable"])
        await world.observe(online=True)
        await eventually(lambda: told(backend) == ["Preparing", "Unavailable", "Preparing"])

    await running(tmp_path, work)


async def test_old_authorize_expires_and_a_fresh_one_passes_the_backlog(tmp_path: Path) -> None:
    async def work(world: World, backend: SimulatedBackend, station: Station) -> None:
        await backend.stop()
        await station.says("Authorize", '{"idTag":"old"}', wants_answer=True)
        for number in range(20):
            await station.says("DataTransfer", json.dumps({"vendorId": f"n{number}"}))
        world.clock.advance(3_600)
        await station.says("Authorize", '{"idTag":"fresh"}', wants_answer=True)
        backend.recorded.clear()
        await backend.start()
        await eventually(lambda: len(backend.calls(CP, "DataTransfer")) == 20)
        actions = [c.action for c in backend.calls_of(CP) if c.action != "Heartbeat"]
        assert backend.calls(CP, "Authorize") == [{"idTag": "fresh"}]
        assert actions.index("Authorize") < actions.index("DataTransfer")
        vendors = [p["vendorId"] for p in backend.calls(CP, "DataTransfer")]
        assert vendors == [f"n{number}" for number in range(20)], "in order"

    await running(tmp_path, work)


async def test_ocpp_box_and_modbus_box_are_connectors_of_one_charge_point(tmp_path: Path) -> None:
    async with SimulatedBackend() as backend:
        site = site_of(
            [modbus_station("WB1"), {"id": BOX, "protocol": "ocpp"}],
            [evse_of("bay-1", "WB1", backend), evse_of("bay-2", BOX, backend)],
        )
        async with world_of(site, tmp_path) as world:
            station = Station(world)
            await station.connect()
            await world.observe("bay-1", state=EvseState.B, energy_wh=1.0)
            await world.observe("bay-2")
            async with world.gateway():
                await eventually(lambda: any(u.online for u in world.uplinks.values()))
                for number in (1, 2):
                    start = {"idTag": f"R{number}", "connectorId": number}
                    answer = await backend.call(CP, "RemoteStartTransaction", start)
                    assert answer == {"status": "Accepted"}
                assert json.loads(station.asked[0].payload_text) == {
                    "idTag": "R2",
                    "connectorId": 1,
                }
                await station.starts()
                await eventually(lambda: len(backend.open_transactions(CP)) == 2)
                starts = backend.calls(CP, "StartTransaction")
                assert [(s["connectorId"], s["idTag"]) for s in starts] == [(1, "R1"), (2, "A")]


async def test_two_charge_points_do_not_wait_for_each_other(tmp_path: Path) -> None:
    async with SimulatedBackend() as slow, SimulatedBackend() as quick:
        slow.silent.add("BootNotification")
        site = site_of(
            [modbus_station("WB1"), modbus_station("WB2")],
            [evse_of("bay-1", "WB1", slow), evse_of("bay-2", "WB2", quick)],
        )
        async with world_of(site, tmp_path) as world:
            await world.observe("bay-1")
            await world.observe("bay-2")
            async with world.gateway():
                async with asyncio.timeout(3):
                    await eventually(lambda: quick.calls(CP, "StatusNotification"))
