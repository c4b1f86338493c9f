"""A gateway between a bus and a simulated backend, for the tests of both its kinds of outlet."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway import service
from gateway.settings import GatewaySettings
from gateway.uplink import Patience
from parkade.simulation.backend import SimulatedBackend
from shared.bus.memory import MemoryBus
from shared.bus.port import Bus, Delivery
from shared.clock import FakeClock
from shared.contracts.charging import PermissionChanged
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.message import service_address
from shared.contracts.ocpp import UplinkChanged
from shared.contracts.site import GetSite, SiteAnswer, SiteConfig
from shared.contracts.station import FactsRequested
from shared.health import Health

SERVICES = frozenset({"gateway"})
PATIENCE = Patience(
    call_s=5, first_pause_s=0.05, longest_pause_s=0.2, refused_pause_s=0.01, look_again_s=0.1
)


@dataclass
class World:
    """What surrounds a gateway in these tests."""

    hub: MemoryBus
    bus: Bus
    clock: FakeClock
    site: SiteConfig
    data: Path
    seen: dict[str, EvseObserved] = field(default_factory=dict)
    permissions: dict[str, PermissionChanged] = field(default_factory=dict)
    uplinks: dict[str, UplinkChanged] = field(default_factory=dict)

    async def observe(self, evse_id: str = "bay-1", **fields: Any) -> None:
        """An outlet is seen; what is not given stays as it was."""
        before = self.seen.get(evse_id)
        base = before.model_dump() if before else {"online": True, "state": EvseState.A}
        evse = self.site.evse(evse_id)
        assert evse is not None
        place = {"station_id": evse.station, "connector": evse.connector, "epoch": 1}
        base |= {"evse_id": evse_id, **place}
        seen = EvseObserved(**{**base, **fields, "observed_at": self.clock.now()})
        self.seen[evse_id] = seen
        await self.bus.publish(seen)

    def has_told(self, evse_id: str, **fields: Any) -> bool:
        """Whether the gateway's last word on ``evse_id`` has these fields; False before any."""
        last = self.permissions.get(evse_id)
        return last is not None and all(getattr(last, name) == fields[name] for name in fields)

    def count(self, query: str) -> int:
        """Return what a query counts in the outbox, as any reader of its database sees it."""
        with contextlib.closing(sqlite3.connect(self.data / "gateway.sqlite3")) as database:
            return int(database.execute(query).fetchone()[0])

    @contextlib.asynccontextmanager
    async def gateway(self) -> AsyncIterator[None]:
        """A gateway runs while the block does."""
        bus = self.hub.join("gateway")
        settings = GatewaySettings(data_dir=self.data, _env_file=None)
        task = asyncio.create_task(
            service.run(
                settings, bus, clock=self.clock, health=Health(), patience=PATIENCE, tick_s=0.02
            )
        )
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await bus.close()


@contextlib.asynccontextmanager
async def world_of(site: SiteConfig, data: Path) -> AsyncIterator[World]:
    clock = FakeClock()
    hub = MemoryBus(clock, SERVICES)
    bus = hub.join("test")
    world = World(hub, bus, clock, site, data)

    async def answer(_: Delivery[GetSite]) -> SiteAnswer:
        return SiteAnswer(site=world.site)

    async def nobody(_address: Any, _epoch: int) -> None:
        return None

    async def told(delivery: Delivery[Any]) -> None:
        message = delivery.message
        if isinstance(message, PermissionChanged):
            world.permissions[message.evse_id] = message
        else:
            world.uplinks[message.uplink_id] = message

    async def repeat(_: Delivery[FactsRequested]) -> None:
        for seen in world.seen.values():
            await bus.publish(seen)

    inbox = await bus.inbox(nobody)
    inbox.on(GetSite, answer)
    await inbox.own(service_address("site"), 1)
    await bus.listen([PermissionChanged, UplinkChanged], told)
    await bus.listen([FactsRequested], repeat)
    try:
        yield world
    finally:
        await bus.close()


def site_with(
    backend: SimulatedBackend,
    *,
    password: str | None = None,
    trusted: tuple[str, ...] = (),
    **evse: Any,
) -> SiteConfig:
    """One Modbus wallbox that is shown to a backend as ``CP 1``."""
    return site_of(
        [modbus_station("WB1")],
        [evse_of("bay-1", "WB1", backend, password=password, trusted=trusted, **evse)],
    )


def site_of(stations: list[dict[str, Any]], evses: list[dict[str, Any]]) -> SiteConfig:
    """A garage with one fuse."""
    return SiteConfig.model_validate(
        {
            "revision": 1,
            "circuits": [{"id": "main", "limit_a": 32}],
            "stations": stations,
            "evses": evses,
        }
    )


def modbus_station(station_id: str) -> dict[str, Any]:
    modbus = {"template": "cfos_power_brain", "host": "127.0.0.1"}
    return {"id": station_id, "protocol": "modbus", "modbus": modbus}


def evse_of(
    evse_id: str,
    station_id: str,
    backend: SimulatedBackend,
    *,
    client_id: str = "CP 1",
    password: str | None = None,
    trusted: tuple[str, ...] = (),
    **fields: Any,
) -> dict[str, Any]:
    shown = {
        "url": backend.url,
        "client_id": client_id,
        "password": password,
        "trusted_certificates": trusted,
    }
    base = {"id": evse_id, "station": station_id, "circuit": "main", "backend": shown}
    return base | fields
