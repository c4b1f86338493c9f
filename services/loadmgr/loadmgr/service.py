"""Builds load management and runs it."""

import asyncio

from loadmgr.controller import Controller
from loadmgr.decision_log import DecisionLog
from loadmgr.dry_run_desk import DryRunDesk
from loadmgr.log_folder import Keeping, LogFolder
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
    log = _decision_log(settings, bus, clock=clock, health=health)
    async with SiteClient(bus) as site:
        controller = Controller(bus, clock=clock, health=health, recorder=log)
        site.on_change(controller.load)
        controller.load(await site.first())
        desk = DryRunDesk(
            bus, clock=clock, present=lambda: site.current, log_folder=settings.log_folder
        )
        facts = await bus.consume(FACTS_TO_LOADMGR, controller.take, max_batch=MAX_BATCH)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(controller.run())
                group.create_task(controller.courier.run())
                group.create_task(controller.tick())
                group.create_task(desk.run())
                if log is not None:
                    group.create_task(log.run())
        finally:
            await facts.close()


def _decision_log(
    settings: LoadmgrSettings, bus: Bus, *, clock: Clock, health: Health
) -> DecisionLog | None:
    if settings.loadmgr_log_mib == 0:
        return None
    keeping = Keeping(days=settings.loadmgr_log_days, mib=settings.loadmgr_log_mib)
    folder = LogFolder(settings.log_folder, instance=bus.instance, keeping=keeping)
    return DecisionLog(folder, clock=clock, health=health, tell=bus.publish)
