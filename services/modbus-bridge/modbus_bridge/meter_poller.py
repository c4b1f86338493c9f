"""Reads one meter. On silence nothing is published: how old a value may be is loadmgr's rule."""

import asyncio

from modbus_bridge.context import Context
from modbus_bridge.domain.reading import read_meter
from modbus_bridge.link import Unit
from modbus_bridge.presence import Presence
from modbus_bridge.registers import Registers
from shared.contracts.meter import MeterSampled
from shared.contracts.site import Meter, SiteConfig
from shared.errors import DeviceUnreachable


class MeterPoller:
    """One meter, one task."""

    def __init__(self, meter: Meter, registers: Registers, *, unit: Unit, context: Context) -> None:
        self._meter = meter
        self._registers = registers
        self._context = context
        self._presence = Presence(
            f"meter {meter.id}",
            f"device-unreachable/{meter.id}",
            unit=unit,
            bus=context.bus,
            clock=context.clock,
        )

    async def run(self) -> None:
        """Sample for ever."""
        loop = asyncio.get_running_loop()
        while True:
            next_at = loop.time() + self._context.site.current.poll_interval_s
            if self._presence.may_be_asked():
                await self._cycle()
            await asyncio.sleep(max(0.0, next_at - loop.time()))

    def site_changed(self, site: SiteConfig) -> None:
        """Nothing to do: a changed meter gets a new poller, and the interval is looked up."""

    async def tell_again(self) -> None:
        """Publish a standing alarm again; samples come by themselves."""
        if self._presence.is_missing:
            await self._presence.tell()

    async def stop(self, reason: str) -> None:
        """Nothing to tell: silence says it."""

    async def retire(self, site: SiteConfig) -> None:
        """The meter is not configured like this any more."""
        await self._presence.withdraw()

    async def _cycle(self) -> None:
        try:
            await self._registers.poll(self._context.clock.monotonic())
        except DeviceUnreachable as error:
            if await self._presence.missed(str(error)):
                self._registers.forget()
            return
        await self._presence.answered()
        reading = read_meter(self._registers.values)
        await self._context.bus.publish(
            MeterSampled(
                meter_id=self._meter.id,
                sampled_at=self._context.clock.now(),
                current_a=reading.current_a,
                power_w=reading.power_w,
                energy_import_wh=reading.energy_import_wh,
                energy_export_wh=reading.energy_export_wh,
            )
        )
