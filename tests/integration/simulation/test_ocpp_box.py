"""The simulated station against a central system that checks every frame by schema."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from parkade.simulation.car import Car
from parkade.simulation.ocpp_box import OcppBox
from parkade.simulation.ocpp_options import BoxOptions, Quirks
from parkade.simulation.outlet import Outlet
from parkade.simulation.world import World
from tests.conditions import eventually
from tests.fake_csms import FakeCsms

QUICK = BoxOptions(reconnect_s=0.02, reboot_s=0.02, settings={"MeterValueSampleInterval": "1"})
FREE = replace(QUICK, autostart_token="FREE")


class Bench:
    """A station with two connectors, a central system and a world that steps when told."""

    def __init__(self, csms: FakeCsms, options: BoxOptions, password: str | None) -> None:
        self.csms = csms
        self.world = World()
        self.outlets = [self.world.add(Outlet(f"o{n}", max_a=16)) for n in (1, 2)]
        self.box = OcppBox(
            self.world,
            self.outlets,
            identity="BOX 1",
            url=csms.url,
            password=password,
            options=options,
        )

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.world.step(0.1)

    async def until(self, condition: Any, *, claim: str = "") -> Any:
        """Let the world go on until something is so."""

        def stepped() -> Any:
            self.world.step(0.1)
            return condition()

        return await eventually(stepped, claim=claim)

    async def booted(self) -> "Bench":
        await eventually(lambda: len(self.csms.of("StatusNotification")) >= 3)
        return self

    async def charging(self) -> int:
        """Plug a car in and return the transaction that starts."""
        self.outlets[0].plug(Car(reaction_s=0, ramp_a_per_s=1000))
        await self.until(lambda: self.box.connector(1).status == "Charging")
        transaction = self.box.connector(1).transaction
        assert transaction is not None
        await eventually(lambda: transaction.id)
        assert transaction.id is not None
        return transaction.id


@contextlib.asynccontextmanager
async def bench(
    options: BoxOptions = QUICK, *, password: str | None = None, boot: str = "Accepted"
) -> AsyncIterator[Bench]:
    async with FakeCsms().serving() as csms:
        csms.boots_with(boot, interval=300 if boot == "Accepted" else 1)
        built = Bench(csms, options, password)
        async with asyncio.TaskGroup() as group:
            life = group.create_task(built.box.run())
            yield built
            life.cancel()
        assert csms.violations == []


def profile(limit: float, **more: Any) -> dict[str, Any]:
    return {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        },
        **more,
    }


async def test_it_connects_with_identity_password_and_subprotocol_and_boots() -> None:
    async with bench(password="pa:ss") as b:
        await b.booted()
        assert b.csms.paths == ["/BOX%201"]
        assert b.csms.subprotocols == ["ocpp1.6"]
        assert b.csms.headers[0]["Authorization"] == "Basic Qk9YIDE6cGE6c3M="
        assert b.csms.calls[0][0] == "BootNotification"
        reported = {s["connectorId"]: s["status"] for s in b.csms.of("StatusNotification")}
        assert reported == {0: "Available", 1: "Available", 2: "Available"}


async def test_while_pending_it_answers_and_tells_nothing() -> None:
    async with bench(boot="Pending") as b:
        await eventually(lambda: b.csms.of("BootNotification"))
        assert (await b.csms.call("GetConfiguration", key=["NumberOfConnectors"]))[
            "configurationKey"
        ] == [{"key": "NumberOfConnectors", "readonly": True, "value": "2"}]
        assert {action for action, _ in b.csms.calls} == {"BootNotification"}
        b.csms.boots_with("Accepted")
        await b.csms.call("TriggerMessage", requestedMessage="BootNotification")
        await b.booted()


async def test_a_card_starts_and_stops_a_transaction() -> None:
    async with bench() as b:
        await b.booted()
        b.outlets[0].plug(Car(reaction_s=0, ramp_a_per_s=1000))
        b.outlets[0].swipe("04AA")
        await b.until(lambda: b.box.connector(1).status == "Charging")
        await eventually(lambda: b.csms.of("StartTransaction"))
        assert b.csms.of("Authorize") == [{"idTag": "04AA"}]
        b.pass_time(3)
        sample = (await eventually(lambda: b.csms.of("MeterValues")))[0]
        assert sample["transactionId"]
        values = sample["meterValue"][0]["sampledValue"]
        currents = {v["phase"]: v["value"] for v in values if v["measurand"] == "Current.Import"}
        assert currents == {"L1": "16.00", "L2": "16.00", "L3": "16.00"}
        b.outlets[0].swipe("04aa")
        b.world.step(0.1)
        stop = (await eventually(lambda: b.csms.of("StopTransaction")))[0]
        assert stop["reason"] == "Local"
        assert b.outlets[0].offered_a == 0
        await b.until(lambda: b.csms.of("StatusNotification")[-1]["status"] == "Finishing")


async def test_a_refused_card_starts_nothing() -> None:
    async with bench() as b:
        await b.booted()
        b.csms.answers["Authorize"] = {"idTagInfo": {"status": "Blocked"}}
        b.outlets[0].plug(Car())
        b.outlets[0].swipe("04AA")
        await b.until(lambda: b.csms.of("Authorize"))
        b.pass_time(5)
        assert b.box.connector(1).transaction is None
        assert b.outlets[0].offered_a == 0


async def test_a_start_that_the_server_does_not_accept_is_ended() -> None:
    async with bench(FREE) as b:
        await b.booted()
        b.csms.answers["StartTransaction"] = {
            "transactionId": 5,
            "idTagInfo": {"status": "Invalid"},
        }
        b.outlets[0].plug(Car())
        stop = (await b.until(lambda: b.csms.of("StopTransaction")))[0]
        assert (stop["transactionId"], stop["reason"]) == (5, "DeAuthorized")


async def test_remote_start_and_stop() -> None:
    async with bench() as b:
        await b.booted()
        b.outlets[1].plug(Car())
        start = {"idTag": "T", "connectorId": 2}
        assert (await b.csms.call("RemoteStartTransaction", **start))["status"] == "Accepted"
        await b.until(lambda: b.box.connector(2).transaction)
        transaction = b.box.connector(2).transaction
        assert transaction is not None
        await eventually(lambda: transaction.id)
        stopped = await b.csms.call("RemoteStopTransaction", transactionId=transaction.id)
        assert stopped["status"] == "Accepted"
        wrong = await b.csms.call("RemoteStopTransaction", transactionId=99_999)
        assert wrong["status"] == "Rejected"
        assert (await eventually(lambda: b.csms.of("StopTransaction")))[0]["reason"] == "Remote"


async def test_a_profile_limits_what_flows_and_its_end_frees_it() -> None:
    async with bench(FREE) as b:
        await b.booted()
        await b.charging()
        answer = await b.csms.call(
            "SetChargingProfile", connectorId=1, csChargingProfiles=profile(8.0)
        )
        assert answer["status"] == "Accepted"
        b.pass_time(2)
        assert b.outlets[0].amps == (8, 8, 8)
        composite = await b.csms.call("GetCompositeSchedule", connectorId=1, duration=60)
        assert composite["chargingSchedule"]["chargingSchedulePeriod"] == [
            {"startPeriod": 0, "limit": 8.0, "numberPhases": 3}
        ]
        assert (await b.csms.call("ClearChargingProfile"))["status"] == "Accepted"
        assert (await b.csms.call("ClearChargingProfile"))["status"] == "Unknown"
        b.pass_time(2)
        assert b.outlets[0].amps == (16, 16, 16)


async def test_a_limit_that_expires_is_obeyed_while_offline() -> None:
    async with bench(FREE) as b:
        await b.booted()
        await b.charging()
        brief = profile(16.0, chargingProfileId=2, stackLevel=1)
        brief["chargingSchedule"]["duration"] = 1
        for one in (profile(0.0), brief):
            await b.csms.call("SetChargingProfile", connectorId=1, csChargingProfiles=one)
        b.pass_time(2)
        assert b.outlets[0].offered_a == 16
        b.box.go_offline()
        await b.until(lambda: b.outlets[0].offered_a == 0, claim="falls to the lower profile")
        assert not b.box.is_connected


async def test_transaction_profiles_need_their_transaction() -> None:
    async with bench(FREE) as b:
        await b.booted()
        own = profile(6.0, chargingProfilePurpose="TxProfile")
        call = {"connectorId": 1, "csChargingProfiles": own}
        assert (await b.csms.call("SetChargingProfile", **call))["status"] == "Rejected"
        known = await b.charging()
        own["transactionId"] = known + 1
        assert (await b.csms.call("SetChargingProfile", **call))["status"] == "Rejected"
        own["transactionId"] = known
        assert (await b.csms.call("SetChargingProfile", **call))["status"] == "Accepted"


async def test_what_happened_offline_is_told_afterwards_in_order() -> None:
    async with bench(FREE) as b:
        await b.booted()
        b.box.go_offline()
        await eventually(lambda: not b.box.is_connected)
        b.outlets[0].plug(Car())
        b.pass_time(3)
        b.outlets[0].unplug()
        b.pass_time(0.2)
        assert b.csms.of("StartTransaction") == []
        b.box.go_online()
        stop = (await eventually(lambda: b.csms.of("StopTransaction")))[0]
        billed = [a for a, _ in b.csms.calls if a in {"StartTransaction", "StopTransaction"}]
        assert billed == ["StartTransaction", "StopTransaction"]
        assert stop["transactionId"] > 0
        assert stop["reason"] == "EVDisconnected"
        await eventually(lambda: len(b.box.outbox) == 0)  # once the answer has come back


async def test_profiles_survive_a_reset_and_the_transaction_does_not() -> None:
    async with bench(FREE) as b:
        await b.booted()
        await b.charging()
        await b.csms.call("SetChargingProfile", connectorId=0, csChargingProfiles=profile(8.0))
        assert (await b.csms.call("Reset", type="Hard"))["status"] == "Accepted"
        await eventually(lambda: len(b.csms.of("BootNotification")) == 2)
        assert [p.id for p in b.box.profiles.installed] == [1]
        stop = (await eventually(lambda: b.csms.of("StopTransaction")))[0]
        assert stop["reason"] == "HardReset"


async def test_signed_readings_are_in_the_stop() -> None:
    async with bench(replace(FREE, has_signing_meter=True)) as b:
        await b.booted()
        await b.charging()
        b.outlets[0].unplug()
        stop = (await b.until(lambda: b.csms.of("StopTransaction")))[0]
        signed = [
            value["context"]
            for record in stop["transactionData"]
            for value in record["sampledValue"]
            if value["format"] == "SignedData"
        ]
        assert signed == ["Transaction.Begin", "Transaction.End"]


async def test_triggers_availability_configuration_and_the_unknown() -> None:
    async with bench() as b:
        await b.booted()
        call = b.csms.call
        assert (await call("TriggerMessage", requestedMessage="Heartbeat"))["status"] == "Accepted"
        await eventually(lambda: b.csms.of("Heartbeat"))
        trigger = {"requestedMessage": "MeterValues", "connectorId": 2}
        assert (await call("TriggerMessage", **trigger))["status"] == "Accepted"
        assert (await eventually(lambda: b.csms.of("MeterValues")))[0]["connectorId"] == 2
        trigger["connectorId"] = 3
        assert (await call("TriggerMessage", **trigger))["status"] == "Rejected"
        off = await call("ChangeAvailability", connectorId=1, type="Inoperative")
        assert off["status"] == "Accepted"
        await b.until(lambda: b.csms.of("StatusNotification")[-1]["status"] == "Unavailable")
        change = {"key": "metervaluesampleinterval", "value": "60"}
        assert (await call("ChangeConfiguration", **change))["status"] == "Accepted"
        change["value"] = "-1"
        assert (await call("ChangeConfiguration", **change))["status"] == "Rejected"
        shown = await call("GetConfiguration", key=["Nonsense", "AuthorizationKey"])
        assert shown["unknownKey"] == ["Nonsense"]
        assert "value" not in shown["configurationKey"][0]
        assert await call("FlyToTheMoon") == {"error": "NotImplemented"}
        assert await call("SetChargingProfile", connectorId=1) == {"error": "FormationViolation"}
        answer = await b.box.data_transfer("giro-e", "card", "ü{}")
        assert answer == {"status": "Accepted", "data": "ok"}


async def test_quirks_of_the_field() -> None:
    late = Quirks(obeys_after_s=5.0, offers_subprotocol=False, boots_on_reconnect=False)
    async with bench(replace(FREE, quirks=late)) as b:
        await b.booted()
        assert b.csms.subprotocols == [None]
        await b.charging()
        await b.csms.call("SetChargingProfile", connectorId=1, csChargingProfiles=profile(8.0))
        b.pass_time(4)
        assert b.outlets[0].offered_a == 16
        b.pass_time(2)
        assert b.outlets[0].offered_a == 8
        await b.csms.drop()
        await eventually(lambda: len(b.csms.paths) == 2)
        await eventually(lambda: b.box.is_connected)
        assert len(b.csms.of("BootNotification")) == 1


async def test_a_new_password_is_used_after_it_was_set() -> None:
    async with bench(password="old") as b:
        await b.booted()
        key = {"key": "AuthorizationKey", "value": b"new".hex()}
        assert (await b.csms.call("ChangeConfiguration", **key))["status"] == "Accepted"
        await eventually(lambda: len(b.csms.headers) == 2)
        assert b.csms.headers[1]["Authorization"] == "Basic Qk9YIDE6bmV3"


async def test_a_server_that_is_away_is_tried_again_and_the_reason_is_kept() -> None:
    world = World()
    box = OcppBox(
        world,
        [world.add(Outlet("a"))],
        identity="B",
        url="ws://127.0.0.1:1",
        options=QUICK,
    )
    life = asyncio.create_task(box.run())
    await eventually(lambda: box.last_error)
    life.cancel()
    with pytest.raises(asyncio.CancelledError):
        await life
