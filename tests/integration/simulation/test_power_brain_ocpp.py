"""A Power Brain with Modbus and OCPP at once charges with the minimum of both (S23-S25)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from parkade.simulation.car import Car
from parkade.simulation.outlet import Outlet
from parkade.simulation.power_brain import PowerBrain
from parkade.simulation.power_brain_ocpp import ocpp_side
from parkade.simulation.world import World
from tests.conditions import eventually
from tests.fake_csms import FakeCsms


class Both:
    def __init__(self, csms: FakeCsms, fixed_token: str | None) -> None:
        self.csms = csms
        self.world = World()
        self.outlet = self.world.add(Outlet("bay", max_a=16))
        self.brain = PowerBrain(self.world, self.outlet)
        self.box = ocpp_side(
            self.brain, self.world, identity="PB", url=csms.url, fixed_token=fixed_token
        )

    async def until(self, condition: Any) -> Any:
        def stepped() -> Any:
            self.world.step(0.1)
            return condition()

        return await eventually(stepped)


@contextlib.asynccontextmanager
async def both(fixed_token: str | None = None) -> AsyncIterator[Both]:
    async with FakeCsms().serving() as csms:
        built = Both(csms, fixed_token)
        async with asyncio.TaskGroup() as group:
            life = group.create_task(built.box.run())
            await eventually(lambda: built.box.is_connected)
            yield built
            life.cancel()
        assert csms.violations == []


async def test_the_fixed_token_starts_a_transaction_and_the_lower_limit_counts() -> None:
    async with both("FIXED") as b:
        b.outlet.plug(Car())
        await b.until(lambda: b.outlet.offered_a == 16)
        start = await b.until(lambda: b.csms.of("StartTransaction"))
        assert start[0]["idTag"] == "FIXED"
        limit = {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}],
            },
        }
        await b.csms.call("SetChargingProfile", connectorId=1, csChargingProfiles=limit)
        await b.until(lambda: b.outlet.offered_a == 10)
        b.brain.limit_a = 8.0
        await b.until(lambda: b.outlet.offered_a == 8)
        b.brain.is_enabled = False
        await b.until(lambda: b.outlet.offered_a == 0)


async def test_without_a_transaction_modbus_alone_starts_nothing() -> None:
    async with both() as b:
        b.outlet.plug(Car())
        for _ in range(50):
            b.world.step(0.1)
        assert b.brain.is_enabled
        assert b.outlet.offered_a == 0
        b.outlet.swipe("04AA")
        await b.until(lambda: b.outlet.offered_a == 16)
