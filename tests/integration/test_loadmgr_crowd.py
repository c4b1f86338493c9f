"""Many boxes that have to change at once: their setpoints travel together."""

from loadmgr.courier import MANY
from shared.contracts.charging import ReasonCode
from shared.contracts.message import station_address
from shared.contracts.site import SiteConfig
from tests.conditions import eventually
from tests.integration.loadmgr_world import Box, Join, World, instance, site_with, world_of

FUSE_A = 200.0
LOST_WITHIN_S = 30.0
"""A setpoint without an answer is sent again after 10 s, and then alone."""


def crowd() -> tuple[SiteConfig, dict[str, Box]]:
    """More cars than travel one by one; the fuse carries 10 A for each."""
    names = [f"e{number:02d}" for number in range(MANY + 4)]
    circuits = [{"id": "main", "limit_a": FUSE_A, "uncontrolled_a": 0}]
    site = site_with({name: {"max_a": 16} for name in names}, circuits=circuits)
    return site, {name: Box(wants_a=16.0) for name in names}


async def settled(world: World) -> None:
    await world.until_all_have(dict.fromkeys(world.boxes, FUSE_A / len(world.boxes)))


async def test_all_are_lowered_when_the_fuse_is_full(join: Join) -> None:
    async with world_of(join, *crowd()) as world, instance(world):
        await settled(world)
        world.base_a = 60.0
        await eventually(lambda: sum(world.limits().values()) <= FUSE_A - 60, within_s=20)
        assert all(limit_a >= 6 for limit_a in world.limits().values())


async def test_one_of_them_that_nobody_holds_any_more_is_found_out(join: Join) -> None:
    async with world_of(join, *crowd()) as world, instance(world):
        await settled(world)
        gone = "e03"
        world.boxes[gone].is_mute = True
        assert world.inbox is not None
        await world.inbox.release(station_address(f"st-{gone}"), 1)
        world.base_a = 60.0
        left_a = FUSE_A - 60
        await eventually(lambda: sum(world.limits().values()) <= left_a, within_s=20)
        await eventually(
            lambda: ReasonCode.OFFLINE in world.reasons_of(gone), within_s=LOST_WITHIN_S
        )
        assert world.limits()[gone] == FUSE_A / len(world.boxes), "it has heard nothing"
