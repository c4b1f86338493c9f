"""Builds load management and runs it."""

import asyncio

from loadmgr.controller import Controller
from loadmgr.settings import LoadmgrSettings
from shared.bus.port import Bus
from shared.bus.topology import FACTS_TO_LOADMGR
from shared.clock import SYSTEM_CLOCK, Clock
from shared.health import Health
from shared.site_client import SiteClient

MAX_BATCH = 500


async def run(
    settings: LoadmgrSettings,
    bus: Bus,
    *,
    clock: Clock = SYSTEM_CLOCK,
    health: Health,
) -> None:
    """Run until cancelled. Waits for the first site; nothing is decided without one."""
    async with SiteClient(bus) as site:
        controller = Controller(bus, clock=clock, health=health)
        site.on_change(controller.load)
        controller.load(await site.first())
        facts = await bus.consume(FACTS_TO_LOADMGR, controller.take, max_batch=MAX_BATCH)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(controller.run())
                group.create_task(controller.courier.run())
                group.create_task(controller.tick())
        finally:
            await facts.close()
