"""Builds the parts of the bridge and runs them."""

import asyncio

from modbus_bridge.context import Context
from modbus_bridge.fleet import Fleet
from modbus_bridge.journal import SessionJournal
from modbus_bridge.link import Lines, silence_pymodbus
from modbus_bridge.orders import Orders
from modbus_bridge.settings import ModbusBridgeSettings
from shared.bus.port import Bus, Delivery
from shared.clock import Clock
from shared.contracts.message import Address
from shared.contracts.site import SiteConfig
from shared.contracts.station import FactsRequested
from shared.health import Health
from shared.site_client import SiteClient


async def run(settings: ModbusBridgeSettings, bus: Bus, *, clock: Clock, health: Health) -> None:
    """Poll every Modbus device of the site until cancelled."""
    silence_pymodbus()
    health.report("site", ok=False, detail="waiting for the configuration")
    journal = SessionJournal(settings.session_file, bus, clock)
    journal.load()
    async with SiteClient(bus) as site:
        await site.first()

        async def evicted(address: Address, epoch: int) -> None:
            await fleet.evicted(address, epoch)

        inbox = await bus.inbox(evicted)
        context = Context(bus=bus, inbox=inbox, clock=clock, site=site, journal=journal)
        fleet = Fleet(context, Lines(clock))

        async def facts_requested(_: Delivery[FactsRequested]) -> None:
            await fleet.tell_again()

        def in_force(new: SiteConfig) -> None:
            health.report("site", ok=True, detail=f"revision {new.revision}")

        Orders(context, fleet.station).route(inbox)
        await bus.listen([FactsRequested], facts_requested)
        site.on_change(in_force)
        in_force(site.current)
        async with asyncio.TaskGroup() as group:
            group.create_task(journal.run())
            group.create_task(fleet.run())
