"""Which stations and meters are polled: follows the site and leaves alone what did not change."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol

from modbus_bridge.context import Context
from modbus_bridge.domain.access import resolve_access
from modbus_bridge.domain.lease import new_tenure
from modbus_bridge.domain.model import resolve
from modbus_bridge.domain.session import SessionTracker
from modbus_bridge.link import Lines, Unit
from modbus_bridge.meter_poller import MeterPoller
from modbus_bridge.outlet import Outlet
from modbus_bridge.poller import StationPoller
from modbus_bridge.registers import Registers
from modbus_bridge.templates import load_template
from shared.contracts.alarm import AlarmChanged, Severity
from shared.contracts.message import Address, station_address
from shared.contracts.site import Evse, Meter, ModbusAccess, SiteConfig, Station
from shared.errors import ConfigError, ParkadeError

logger = logging.getLogger(__name__)

RESTART_PAUSE_S = 5.0
STOP_TIMEOUT_S = 5.0


class Poller(Protocol):
    """What the fleet does with a station or a meter."""

    async def run(self) -> None:
        """Poll for ever."""

    def site_changed(self, site: SiteConfig) -> None:
        """Take over changed settings that need no new poller."""

    async def tell_again(self) -> None:
        """Publish everything that is known."""

    async def stop(self, reason: str) -> None:
        """Tell that nobody looks at the device any more."""

    async def retire(self, site: SiteConfig) -> None:
        """The device is not configured like this any more."""


@dataclass(frozen=True)
class Shape:
    """What, when changed, makes a poller start anew."""

    device: Station | Meter
    evses: tuple[Evse, ...] = ()

    def has_changed(self, other: "Shape") -> bool:
        """Another device, or the same with other outlets; their settings are taken over live."""
        outlets = [(e.id, e.connector) for e in self.evses]
        return self.device != other.device or outlets != [(e.id, e.connector) for e in other.evses]


@dataclass
class Running:
    """A poller and its task."""

    shape: Shape
    poller: Poller
    unit: Unit
    task: asyncio.Task[None]
    is_parked: bool = False
    """Another bridge took the station over."""


class Fleet:
    """Starts and stops pollers. A device that cannot be set up raises an alarm and nothing else."""

    def __init__(self, context: Context, lines: Lines) -> None:
        self._context = context
        self._lines = lines
        self._running: dict[Address, Running] = {}
        self._broken: dict[Address, str] = {}
        self._has_changed = asyncio.Event()

    async def run(self) -> None:
        """Follow the site for ever; on cancellation everything is taken leave of."""
        self._context.site.on_change(lambda _site: self._has_changed.set())
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._follow(self._context.site.current, group)
                    await self._has_changed.wait()
                    self._has_changed.clear()
        finally:
            await self._stop_all()

    def station(self, station_id: str) -> StationPoller | None:
        """Return the poller of a station."""
        running = self._running.get(station_address(station_id))
        poller = None if running is None else running.poller
        return poller if isinstance(poller, StationPoller) else None

    async def tell_again(self) -> None:
        """Publish everything that is known of every device."""
        for running in tuple(self._running.values()):
            await running.poller.tell_again()
        for address in tuple(self._broken):
            await self._tell_broken(address, active=True)

    async def evicted(self, address: Address, epoch: int) -> None:
        """Leave a station to another bridge. The bridge is meant to run once (see its README)."""
        running = self._running.get(address)
        if running is None or running.is_parked:
            return
        text = "another modbus-bridge took it over; run only one"
        logger.error("%s (epoch %s): %s", address, epoch, text)
        running.is_parked = True
        await self._end(running)
        await running.poller.stop(text)
        await self._set_broken(address, text)

    async def _follow(self, site: SiteConfig, group: asyncio.TaskGroup) -> None:
        wanted = shapes_of(site)
        gone = [
            address
            for address, running in self._running.items()
            if address not in wanted or wanted[address].has_changed(running.shape)
        ]
        await asyncio.gather(*(self._retire(address, site) for address in gone))
        for address in set(self._broken) - set(wanted):
            await self._set_broken(address, None)
        for address, shape in wanted.items():
            running = self._running.get(address)
            if running is None:
                await self._try_start(address, shape, group)
            else:
                running.poller.site_changed(site)
        self._context.journal.end_all_but({e.id for s in wanted.values() for e in s.evses})

    async def _try_start(self, address: Address, shape: Shape, group: asyncio.TaskGroup) -> None:
        try:
            poller, unit = self._build(shape)
        except ConfigError as error:
            await self._set_broken(address, str(error))
            return
        await self._set_broken(address, None)
        task = group.create_task(_keep_running(address, poller))
        self._running[address] = Running(shape, poller, unit, task)

    def _build(self, shape: Shape) -> tuple[Poller, Unit]:
        access = shape.device.modbus
        assert access is not None  # noqa: S101 - shapes_of takes Modbus devices only
        kind = "meter" if isinstance(shape.device, Meter) else "charger"
        template = load_template(access.template)
        if template.kind != kind:
            raise ConfigError(f"template {template.id} is for a {template.kind}, not a {kind}")
        models = [resolve(template, evse.connector) for evse in shape.evses]
        unit = self._attach(access)
        if isinstance(shape.device, Meter):
            registers = Registers(unit, resolve(template, 1))
            meter = MeterPoller(shape.device, registers, unit=unit, context=self._context)
            return meter, unit
        outlets = [
            self._outlet(evse, Registers(unit, model))
            for evse, model in zip(shape.evses, models, strict=True)
        ]
        station = StationPoller(shape.device, outlets, unit=unit, context=self._context)
        return station, unit

    def _attach(self, access: ModbusAccess) -> Unit:
        resolved = resolve_access(access, load_template(access.template).transport)
        return self._lines.attach(resolved.line, resolved.unit, resolved.pace)

    def _outlet(self, evse: Evse, registers: Registers) -> Outlet:
        sessions = SessionTracker(open=self._context.journal.open_session(evse.id))
        return Outlet(evse, registers, new_tenure(self._context.clock.now()), sessions)

    async def _retire(self, address: Address, site: SiteConfig) -> None:
        running = self._running.pop(address)
        if running.is_parked:
            return
        await _cancelled(running.task)
        try:
            await running.poller.retire(site)
        except ParkadeError as error:
            logger.warning("leaving %s: %s", address, error)
        self._lines.detach(running.unit)

    async def _end(self, running: Running) -> None:
        await _cancelled(running.task)
        self._lines.detach(running.unit)

    async def _stop_all(self) -> None:
        for running in self._running.values():
            if running.is_parked:
                continue
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await running.poller.stop("the bridge stopped")
            except (ParkadeError, TimeoutError) as error:
                logger.warning("leaving %s: %s", running.shape.device.id, error)
            self._lines.detach(running.unit)
        self._running.clear()

    async def _set_broken(self, address: Address, text: str | None) -> None:
        if self._broken.get(address) == text:
            return
        if text is not None:
            logger.error("%s: %s", address, text)
            self._broken[address] = text
        await self._tell_broken(address, active=text is not None)
        if text is None:
            del self._broken[address]

    async def _tell_broken(self, address: Address, *, active: bool) -> None:
        await self._context.bus.publish(
            AlarmChanged(
                alarm_id=f"modbus-config/{address.name}",
                active=active,
                severity=Severity.CRITICAL,
                text=f"{address} is not polled: {self._broken[address]}",
                changed_at=self._context.clock.now(),
            )
        )


def shapes_of(site: SiteConfig) -> dict[Address, Shape]:
    """Return every Modbus device of a site. A station without EVSEs has nothing to show."""
    shapes: dict[Address, Shape] = {}
    for station in site.stations:
        evses = site.evses_of(station.id)
        if station.modbus is not None and evses:
            shapes[station_address(station.id)] = Shape(station, evses)
    for meter in site.meters:
        shapes[Address("meter", meter.id)] = Shape(meter)
    return shapes


async def _keep_running(address: Address, poller: Poller) -> None:
    while True:
        try:
            await poller.run()
        except ParkadeError as error:
            logger.warning("%s: %s", address, error)
        except Exception:
            logger.exception("polling %s failed", address)
        await asyncio.sleep(RESTART_PAUSE_S)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task}, timeout=STOP_TIMEOUT_S)
