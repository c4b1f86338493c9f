"""A Modbus wallbox as a full OCPP charge point at a simulated backend."""

import contextlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from parkade.simulation.backend import SimulatedBackend
from shared.contracts.evse import EvseState
from shared.units import PhaseAmps
from tests.conditions import eventually
from tests.integration.gateway_world import (
    World,
    evse_of,
    modbus_station,
    site_of,
    site_with,
    world_of,
)
from tests.ocpp_schemas import assert_valid

CP = "CP 1"
TOKEN = "04A1B2C3D4"
THREE_PHASES = PhaseAmps(l1=10.04, l2=10.0, l3=9.96)


async def online(backend: SimulatedBackend, world: World) -> None:
    await eventually(lambda: any(u.online for u in world.uplinks.values()), claim="online")
    await eventually(lambda: backend.calls(CP, "StatusNotification"), claim="status told")


async def transaction_of(backend: SimulatedBackend) -> int:
    return (await eventually(lambda: backend.open_transactions(CP), claim="started"))[0]


def statuses(backend: SimulatedBackend, connector: int = 1) -> list[str]:
    told = backend.calls(CP, "StatusNotification")
    return [status["status"] for status in told if status["connectorId"] == connector]


def sent_actions(backend: SimulatedBackend) -> list[str]:
    return [c.action for c in backend.calls_of(CP) if c.action != "Heartbeat"]


async def charge(world: World, energy_wh: float = 1_000.0) -> None:
    await world.observe(state=EvseState.B, energy_wh=energy_wh, offered_a=16.0)
    await world.observe(token=TOKEN, token_seen=1)


async def test_modbus_box_boots_at_its_backend(tmp_path: Path) -> None:
    async with SimulatedBackend() as backend, world_of(site_with(backend), tmp_path) as world:
        await world.observe()
        async with world.gateway():
            await online(backend, world)
            boot = backend.calls(CP, "BootNotification")[0]
            assert boot["chargePointVendor"] == "Parkade"
            assert boot["chargePointModel"] == "cfos_power_brain"
            assert boot["chargePointSerialNumber"] == "WB1"
            await eventually(lambda: "Available" in statuses(backend))
            await eventually(lambda: "Available" in statuses(backend, 0))


async def test_outlet_that_nobody_has_seen_does_not_appear(tmp_path: Path) -> None:
    async with SimulatedBackend() as backend:
        site = site_of(
            [modbus_station("WB1"), modbus_station("WB2")],
            [
                evse_of("bay-1", "WB1", backend),
                evse_of("bay-2", "WB2", backend, client_id="seen"),
            ],
        )
        async with world_of(site, tmp_path) as world:
            await world.observe("bay-2")
            async with world.gateway():
                await eventually(lambda: backend.calls("seen", "StatusNotification"))
                assert not backend.calls_of(CP)
                await world.observe("bay-1")
                await eventually(lambda: backend.calls(CP, "StatusNotification"))


async def test_session_from_plug_to_unplug_is_a_schema_valid_transaction(tmp_path: Path) -> None:
    async with SimulatedBackend() as backend, world_of(site_with(backend), tmp_path) as world:
        await world.observe(token_seen=0)
        async with world.gateway():
            await online(backend, world)
            await charge(world)
            number = await transaction_of(backend)
            await eventually(lambda: "SuspendedEV" in statuses(backend))
            await eventually(lambda: world.has_told("bay-1", permitted=True))
            await world.observe(
                state=EvseState.C, current_a=THREE_PHASES, power_w=6_900.0, energy_wh=1_250.4
            )
            await eventually(lambda: "Charging" in statuses(backend))
            world.clock.advance(31)
            await eventually(lambda: backend.calls(CP, "MeterValues"))
            await world.observe(state=EvseState.A, energy_wh=1_300.0)
            stop = (await eventually(lambda: backend.calls(CP, "StopTransaction")))[0]
            await eventually(lambda: world.has_told("bay-1", permitted=False))
            await eventually(lambda: statuses(backend)[-1] == "Available")
        start = backend.calls(CP, "StartTransaction")[0]
        assert (start["connectorId"], start["idTag"], start["meterStart"]) == (1, TOKEN, 1_000)
        assert stop["transactionId"] == number
        assert (stop["meterStop"], stop["reason"]) == (1_300, "EVDisconnected")
        sample = backend.calls(CP, "MeterValues")[0]
        assert sample["transactionId"] == number
        values = sample["meterValue"][0]["sampledValue"]
        told = {(v["measurand"], v.get("phase")): v["value"] for v in values}
        assert told["Energy.Active.Import.Register", None] == "1250"
        assert told["Power.Active.Import", None] == "6900"
        assert told["Current.Import", "L1"] == "10.04"
        assert told["Current.Offered", None] == "16.0"
        assert statuses(backend) == [
            "Available",
            "Preparing",
            "SuspendedEV",
            "Charging",
            "Available",
        ]
        for call in backend.recorded:
            assert_valid(call.action, call.payload)


async def test_same_card_again_stops_and_says_so(tmp_path: Path) -> None:
    async with SimulatedBackend() as backend, world_of(site_with(backend), tmp_path) as world:
        await world.observe(token_seen=0)
        async with world.gateway():
            await online(backend, world)
            await charge(world)
            await transaction_of(backend)
            await world.observe(token=TOKEN, token_seen=2)
            stop = (await eventually(lambda: backend.calls(CP, "StopTransaction")))[0]
            assert (stop["reason"], stop["idTag"]) == ("Local", TOKEN)
            await eventually(lambda: statuses(backend)[-1] == "Finishing")


async def test_unknown_card_starts_nothing(tmp_path: Path) -> None:
    async with (
        SimulatedBackend(accepted_tokens={"another"}) as backend,
        world_of(site_with(backend), tmp_path) as world,
    ):
        await world.observe(token_seen=0)
        async with world.gateway():
            await online(backend, world)
            await charge(world)
            await eventually(lambda: backend.calls(CP, "Authorize"))
            answer = await backend.call(CP, "TriggerMessage", {"requestedMessage": "Heartbeat"})
            assert answer == {"status": "Accepted"}
            await eventually(lambda: backend.calls(CP, "Heartbeat"))
            assert not backend.calls(CP, "StartTransaction")
            assert world.has_told("bay-1", permitted=False)


async def test_fixed_token_starts_at_plug_in(tmp_path: Path) -> None:
    async with SimulatedBackend(accepted_tokens={"FIXED"}) as backend:
        site = site_with(backend, fixed_token="FIXED")
        async with world_of(site, tmp_path) as world:
            await world.observe()
            async with world.gateway():
                await online(backend, world)
                await world.observe(state=EvseState.B, energy_wh=5.0)
                await transaction_of(backend)
                assert backend.calls(CP, "StartTransaction")[0]["idTag"] == "FIXED"


async def test_backend_that_finds_the_token_invalid_at_start_stops_it(tmp_path: Path) -> None:
    async with SimulatedBackend() as backend, world_of(site_with(backend), tmp_path) as world:
        backend.answers["StartTransaction"] = {
            "transactionId": 5,
            "idTagInfo": {"status": "Blocked"},
        }
        await world.observe(token_seen=0)
        async with world.gateway():
            await online(backend, world)
            await charge(world)
            stop = (await eventually(lambda: backend.calls(CP, "StopTransaction")))[0]
            assert (stop["transactionId"], stop["reason"]) == (5, "DeAuthorized")
            await eventually(lambda: world.has_told("bay-1", permitted=False))


async def test_remote_start_and_stop(tmp_path: Path) -> None:
    async with SimulatedBackend() as backend, world_of(site_with(backend), tmp_path) as world:
        await world.observe()
        async with world.gateway():
            await online(backend, world)
            await world.observe(state=EvseState.B, energy_wh=7.0)
            start = {"idTag": "REMOTE", "connectorId": 1}
            assert await backend.call(CP, "RemoteStartTransaction", start) == {"status": "Accepted"}
            number = await transaction_of(backend)
            wrong = {"transactionId": number + 1}
            assert await backend.call(CP, "RemoteStopTransaction", wrong) == {"status": "Rejected"}
            assert await backend.call(CP, "RemoteStartTransaction", start) == {"status": "Rejected"}
            right = {"transactionId": number}
            assert await backend.call(CP, "RemoteStopTransaction", right) == {"status": "Accepted"}
            stop = (await eventually(lambda: backend.calls(CP, "StopTransaction")))[0]
            assert (stop["transactionId"], stop["reason"]) == (number, "Remote")
            await eventually(lambda: world.has_told("bay-1", permitted=False))


def profile(limit: float, *, purpose: str = "TxProfile", number: int = 1) -> dict[str, Any]:
    return {
        "chargingProfileId": number,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative" if purpose == "TxProfile" else "Absolute",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "startSchedule": "2026-01-01T00:00:00Z",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        },
    }


async def test_profiles_become_a_limit_and_end_with_the_transaction(tmp_path: Path) -> None:
    async with SimulatedBackend() as backend, world_of(site_with(backend), tmp_path) as world:
        await world.observe(token_seen=0)
        async with world.gateway():
            await online(backend, world)
            set_it = {"connectorId": 1, "csChargingProfiles": profile(9.0)}
            answer = await backend.call(CP, "SetChargingProfile", set_it)
            assert answer == {"status": "Rejected"}, "no transaction, no TxProfile"
            await charge(world)
            await transaction_of(backend)
            await eventually(lambda: world.has_told("bay-1", permitted=True))
            assert world.has_told("bay-1", limit_a=None)
            answer = await backend.call(CP, "SetChargingProfile", set_it)
            assert answer == {"status": "Accepted"}
            await eventually(lambda: world.has_told("bay-1", limit_a=9.0))
            schedule = await backend.call(
                CP, "GetCompositeSchedule", {"connectorId": 1, "duration": 600}
            )
            assert schedule["chargingSchedule"]["chargingSchedulePeriod"] == [
                {"startPeriod": 0, "limit": 9.0}
            ]
            await world.observe(state=EvseState.A)
            await eventually(lambda: backend.calls(CP, "StopTransaction"))
            await eventually(lambda: world.has_told("bay-1", limit_a=None))
            answer = await backend.call(CP, "ClearChargingProfile", {})
            assert answer == {"status": "Unknown"}, "a TxProfile ends with its transaction"


async def test_backend_away_for_hours_gets_everything_in_order_with_original_times(
    tmp_path: Path,
) -> None:
    async with SimulatedBackend() as backend:
        site = site_with(backend).model_copy(update={"accept_unknown_tokens": True})
        async with world_of(site, tmp_path) as world:
            await world.observe(token_seen=0)
            async with world.gateway():
                await online(backend, world)
                await backend.stop()
                await eventually(lambda: not any(u.online for u in world.uplinks.values()))
                backend.recorded.clear()
                began = world.clock.now()
                await charge(world)
                await eventually(lambda: world.has_told("bay-1", permitted=True))
                await world.observe(state=EvseState.C, energy_wh=1_100.0)
                for kept in (1, 2, 3):
                    world.clock.advance(3_600)
                    await eventually(partial(holds_samples, world, kept), claim="one more sample")
                await world.observe(state=EvseState.A, energy_wh=4_000.0)
                await eventually(lambda: world.has_told("bay-1", permitted=False))
                await backend.start()
                stop = (await eventually(lambda: backend.calls(CP, "StopTransaction")))[0]
    actions = sent_actions(backend)
    assert actions[0] == "BootNotification"
    billing = [a for a in actions if a not in {"BootNotification", "StatusNotification"}]
    assert billing == ["StartTransaction", *["MeterValues"] * 3, "StopTransaction"]
    replayed = statuses(backend)
    assert replayed == ["Available"], "only the last status of a connector is told again"
    start = backend.calls(CP, "StartTransaction")[0]
    assert start["timestamp"] == began.isoformat(timespec="milliseconds")[:-6] + "Z"
    assert start["timestamp"] < stop["timestamp"]
    numbers = {m["transactionId"] for m in [*backend.calls(CP, "MeterValues"), stop]}
    assert len(numbers) == 1
    assert numbers.isdisjoint({0})


def holds_samples(world: World, count: int) -> bool:
    waiting = "SELECT count(*) FROM messages WHERE state = 'waiting' AND action = 'MeterValues'"
    return world.count(waiting) == count


async def test_transaction_goes_on_over_a_restart_and_stops_once(tmp_path: Path) -> None:
    async with SimulatedBackend() as backend, world_of(site_with(backend), tmp_path) as world:
        await world.observe(token_seen=0)
        async with world.gateway():
            await online(backend, world)
            await charge(world)
            number = await transaction_of(backend)
        async with world.gateway():
            await eventually(lambda: len(backend.calls(CP, "BootNotification")) == 2)
            await eventually(lambda: world.has_told("bay-1", permitted=True))
            await world.observe(state=EvseState.A, energy_wh=2_000.0)
            stop = (await eventually(lambda: backend.calls(CP, "StopTransaction")))[0]
            assert (stop["transactionId"], stop["meterStop"]) == (number, 2_000)
    assert len(backend.calls(CP, "StartTransaction")) == 1


async def test_car_that_left_during_a_restart_is_stopped_with_the_last_reading(
    tmp_path: Path,
) -> None:
    async with SimulatedBackend() as backend, world_of(site_with(backend), tmp_path) as world:
        await world.observe(token_seen=0)
        async with world.gateway():
            await online(backend, world)
            await charge(world)
            await transaction_of(backend)
        world.seen["bay-1"] = world.seen["bay-1"].model_copy(
            update={"state": EvseState.A, "energy_wh": 1_777.0}
        )
        async with world.gateway():
            stop = (await eventually(lambda: backend.calls(CP, "StopTransaction")))[0]
            assert (stop["meterStop"], stop["reason"]) == (1_777, "EVDisconnected")


async def test_configuration_survives_a_restart(tmp_path: Path) -> None:
    async with SimulatedBackend() as backend, world_of(site_with(backend), tmp_path) as world:
        await world.observe()
        async with world.gateway():
            await online(backend, world)
            change = {"key": "metervaluesampleinterval", "value": "5"}
            assert await backend.call(CP, "ChangeConfiguration", change) == {"status": "Accepted"}
            away = {"connectorId": 0, "type": "Inoperative"}
            assert await backend.call(CP, "ChangeAvailability", away) == {"status": "Accepted"}
            await eventually(lambda: statuses(backend)[-1] == "Unavailable")
        async with world.gateway():
            await eventually(lambda: len(backend.calls(CP, "BootNotification")) == 2)
            await eventually(lambda: backend.is_connected(CP))
            answer = await backend.call(
                CP, "GetConfiguration", {"key": ["MeterValueSampleInterval", "Nonsense"]}
            )
            assert answer["configurationKey"][0]["value"] == "5"
            assert answer["unknownKey"] == ["Nonsense"]
            start = {"idTag": "REMOTE", "connectorId": 1}
            assert await backend.call(CP, "RemoteStartTransaction", start) == {"status": "Rejected"}


async def test_reset_stops_and_boots_again(tmp_path: Path) -> None:
    async with SimulatedBackend() as backend, world_of(site_with(backend), tmp_path) as world:
        await world.observe(token_seen=0)
        async with world.gateway():
            await online(backend, world)
            await charge(world)
            await transaction_of(backend)
            assert await backend.call(CP, "Reset", {"type": "Hard"}) == {"status": "Accepted"}
            await eventually(lambda: len(backend.calls(CP, "BootNotification")) == 2)
            stop = (await eventually(lambda: backend.calls(CP, "StopTransaction")))[0]
            assert stop["reason"] == "HardReset"


@pytest.mark.parametrize("boot_status", ["Pending", "Rejected"])
async def test_nothing_but_boots_is_sent_before_the_backend_accepts(
    tmp_path: Path, boot_status: str
) -> None:
    async with SimulatedBackend() as backend, world_of(site_with(backend), tmp_path) as world:
        backend.boot_status, backend.boot_interval_s = boot_status, 1
        await world.observe()
        async with world.gateway():
            await eventually(lambda: len(backend.calls(CP, "BootNotification")) == 2)
            assert set(sent_actions(backend)) == {"BootNotification"}
            backend.boot_status = "Accepted"
            await online(backend, world)


async def test_refused_start_is_kept_as_failed_and_its_stop_too(tmp_path: Path) -> None:
    async with SimulatedBackend() as backend, world_of(site_with(backend), tmp_path) as world:
        backend.errors["StartTransaction"] = "InternalError"
        await world.observe(token_seen=0)
        async with world.gateway():
            await online(backend, world)
            await charge(world)
            query = "SELECT count(*) FROM messages WHERE state = 'failed' AND reason != ''"
            await eventually(lambda: world.count(query) == 2, claim="start and stop are kept")
            assert len(backend.calls(CP, "StartTransaction")) == 3
            assert len({c.message_id for c in backend.recorded if "Start" in c.action}) == 1
            assert not backend.calls(CP, "StopTransaction")


async def test_password_is_sent_as_http_basic(tmp_path: Path) -> None:
    async with SimulatedBackend(password="s3cr:et") as backend:
        site = site_with(backend, password="s3cr:et")
        async with world_of(site, tmp_path) as world:
            await world.observe()
            async with world.gateway():
                await online(backend, world)
        assert not backend.refused


async def test_second_gateway_stands_by_until_the_first_has_gone(tmp_path: Path) -> None:
    async with (
        SimulatedBackend() as backend,
        world_of(site_with(backend), tmp_path) as world,
        contextlib.AsyncExitStack() as first,
    ):
        await world.observe()
        await first.enter_async_context(world.gateway())
        await online(backend, world)
        async with world.gateway():
            await world.observe(state=EvseState.B)
            await eventually(lambda: statuses(backend)[-1] == "Preparing")
            assert len(backend.calls(CP, "BootNotification")) == 1
            await first.aclose()
            await world.observe(state=EvseState.A)
            await eventually(lambda: len(backend.calls(CP, "BootNotification")) == 2)
            await eventually(lambda: statuses(backend)[-1] == "Available")
