"""Boxes, a meter and the site on a bus, and as many instances of load management as a test wants.

Boxes obey at once and their cars follow, so what may flow is what they were told last. Every
setpoint is noted with its sender, and a fuse that is told to carry too much is noted at once.
"""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadmgr.service import run
from loadmgr.settings import LoadmgrSettings
from shared.bus.port import Bus, Delivery, Inbox
from shared.bus.rabbit import RabbitBus
from shared.clock import SYSTEM_CLOCK
from shared.contracts.charging import (
    ApplySetpoint,
    OffersDecided,
    ReasonCode,
    SetpointApplied,
    SetpointOutcome,
)
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.message import Address, station_address
from shared.contracts.meter import MeterSampled
from shared.contracts.site import GetSite, SiteAnswer, SiteChanged, SiteConfig
from shared.contracts.station import FactsRequested, StationDisconnected
from shared.health import Health
from shared.units import PhaseAmps
from tests.conditions import eventually

ROOT = Path(__file__).parents[2]
REPORT_EVERY_S = 0.5

Join = Callable[[str], Any]
"""Joins the bus as a service; awaitable."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A setpoint that arrived."""

    at_s: float
    sender: str
    evse_id: str
    revision: int
    limit_a: float
    before_a: float
    """What was in force until then."""


@dataclass
class Box:
    """One EVSE with three phases. ``wants_a`` 0 = no vehicle."""

    wants_a: float
    limit_a: float = 0.0
    tells_offer: bool = True
    """It says what it offers the car, as OCPP boxes with Current.Offered do."""
    online: bool = True
    is_mute: bool = False
    """It tells nothing, not even that it is gone."""

    @property
    def drawn_a(self) -> float:
        """What flows on each phase."""
        return min(self.wants_a, self.limit_a)

    @property
    def state(self) -> EvseState:
        """The vehicle's state."""
        if self.wants_a <= 0:
            return EvseState.A
        return EvseState.C if self.limit_a > 0 else EvseState.B


def over_rabbit(url: str) -> Join:
    """Return a way to join the bus of a broker."""

    async def join(service: str) -> Any:
        return await RabbitBus.connect(url, service, SYSTEM_CLOCK)

    return join


def site_with(evses: dict[str, dict[str, Any]], **changes: Any) -> SiteConfig:
    """Return a site of one fuse with a grid meter; every EVSE has a station of its own."""
    nowhere = {"template": "any", "host": "meter"}
    return SiteConfig.model_validate(
        {
            "revision": 1,
            "circuits": [{"id": "main", "limit_a": 32, "uncontrolled_a": 0}],
            "meters": [{"id": "grid", "circuit": "main", "modbus": nowhere}],
            "stations": [{"id": f"st-{name}", "protocol": "ocpp"} for name in evses],
            "evses": [
                {"id": name, "station": f"st-{name}", "circuit": "main"} | settings
                for name, settings in evses.items()
            ],
        }
        | changes
    )


@dataclass
class World:
    """Everything around load management."""

    bus: Bus
    join: Join
    site: SiteConfig
    boxes: dict[str, Box]
    base_a: float = 0.0
    sent: list[Sent] = field(default_factory=list)
    decided: list[Delivery[OffersDecided]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Who began with an empty memory."""
    overloads: list[str] = field(default_factory=list)
    inbox: Inbox | None = None

    async def open(self) -> None:
        """Own the stations and answer for the site."""
        self.inbox = inbox = await self.bus.inbox(_ignore)
        inbox.on(ApplySetpoint, self._take)
        inbox.on(GetSite, self._tell_site)
        await self.bus.listen([OffersDecided, FactsRequested], self._hear)
        await inbox.own(GetSite().address, 1)
        for evse_id in self.boxes:
            await inbox.own(station_address(f"st-{evse_id}"), 1)

    async def live(self) -> None:
        """Report and measure until cancelled."""
        while True:
            await self.report()
            await self.measure()
            await asyncio.sleep(REPORT_EVERY_S)

    async def vanish(self, evse_id: str) -> None:
        """A station loses its connection. Its car goes on with the limit it has."""
        assert self.inbox is not None
        self.boxes[evse_id].online = False
        await self.inbox.release(station_address(f"st-{evse_id}"), 1)
        await self.bus.publish(
            StationDisconnected(
                station_id=f"st-{evse_id}", epoch=1, disconnected_at=SYSTEM_CLOCK.now()
            )
        )
        await self.report()

    async def report(self) -> None:
        """Every box tells what it is."""
        for evse_id, box in self.boxes.items():
            if box.is_mute:
                continue
            drawn_a = box.drawn_a
            await self.bus.publish(
                EvseObserved(
                    evse_id=evse_id,
                    station_id=f"st-{evse_id}",
                    connector=1,
                    epoch=1,
                    observed_at=SYSTEM_CLOCK.now(),
                    online=box.online,
                    state=box.state,
                    current_a=PhaseAmps(l1=drawn_a, l2=drawn_a, l3=drawn_a),
                    offered_a=box.limit_a if box.tells_offer else None,
                )
            )

    async def measure(self) -> None:
        """The meter tells what flows."""
        if not self.site.meters:
            return
        total_a = self.base_a + sum(box.drawn_a for box in self.boxes.values())
        await self.bus.publish(
            MeterSampled(
                meter_id="grid",
                sampled_at=SYSTEM_CLOCK.now(),
                current_a=PhaseAmps(l1=total_a, l2=total_a, l3=total_a),
            )
        )

    async def change_site(self, site: SiteConfig) -> None:
        """Put another site into force."""
        self.site = site
        await self.bus.publish(SiteChanged(site=site))

    def limits(self) -> dict[str, float]:
        """What each box was told last."""
        return {evse_id: box.limit_a for evse_id, box in self.boxes.items()}

    def since(self, at_s: float) -> list[Sent]:
        """Setpoints that arrived after a moment of ``time.monotonic``."""
        return [one for one in self.sent if one.at_s > at_s]

    def senders_since(self, at_s: float) -> set[str]:
        """Who sent setpoints after a moment."""
        return {one.sender for one in self.since(at_s)}

    def reasons_of(self, evse_id: str) -> list[ReasonCode]:
        """Why it was offered what it was offered, in the order of the decisions."""
        offers = [offer for told in self.decided for offer in told.message.offers]
        return [offer.reason.code for offer in offers if offer.evse_id == evse_id]

    async def until_all_have(self, limits: dict[str, float], *, within_s: float = 40.0) -> None:
        """Wait until the boxes were told these limits, within half an ampere."""
        await eventually(
            lambda: all(abs(self.boxes[name].limit_a - a) <= 0.5 for name, a in limits.items()),
            within_s=within_s,
            claim=f"the boxes have {limits}",
        )

    async def _take(self, delivery: Delivery[ApplySetpoint]) -> None:
        order = delivery.message
        box = self.boxes[order.evse_id]
        self.sent.append(
            Sent(
                at_s=time.monotonic(),
                sender=delivery.meta.sender,
                evse_id=order.evse_id,
                revision=order.revision,
                limit_a=order.limit_a,
                before_a=box.limit_a,
            )
        )
        box.limit_a = order.limit_a
        self._check_fuse()
        await self.bus.publish(
            SetpointApplied(
                evse_id=order.evse_id,
                station_id=order.station_id,
                revision=order.revision,
                limit_a=order.limit_a,
                outcome=SetpointOutcome.ACCEPTED,
                applied_at=SYSTEM_CLOCK.now(),
            )
        )

    def _check_fuse(self) -> None:
        """What may flow at boxes with a vehicle, beside the base load, has to fit at any moment."""
        may_flow_a = sum(box.limit_a for box in self.boxes.values() if box.wants_a > 0)
        limit_a = self.site.circuits[0].limit_a.L1
        if may_flow_a + self.base_a > limit_a + 1e-6:
            self.overloads.append(f"{may_flow_a + self.base_a:.1f} A of {limit_a:.1f} A")

    async def _tell_site(self, _: Delivery[GetSite]) -> SiteAnswer:
        return SiteAnswer(site=self.site)

    async def _hear(self, delivery: Delivery[Any]) -> None:
        if isinstance(delivery.message, OffersDecided):
            self.decided.append(delivery)
        else:
            self.asked.append(delivery.meta.sender)


@contextlib.asynccontextmanager
async def world_of(join: Join, site: SiteConfig, boxes: dict[str, Box]) -> AsyncIterator[World]:
    """Run a world; its boxes report all the time."""
    world = World(bus=await join("ocpp-server"), join=join, site=site, boxes=boxes)
    await world.open()
    living = asyncio.create_task(world.live())
    try:
        yield world
    finally:
        await _ended(living)
        await world.bus.close()


class Instance:
    """One load management of this process."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.name = bus.instance
        settings = LoadmgrSettings(loadmgr_log_mib=0, _env_file=None)  # type: ignore[call-arg]  # pydantic's own
        self._task = asyncio.create_task(
            run(settings, bus, clock=SYSTEM_CLOCK, health=Health()), name=self.name
        )

    async def kill(self) -> None:
        """End it, and its connection with it."""
        await _ended(self._task)
        await self._bus.close()


@contextlib.asynccontextmanager
async def instance(world: World) -> AsyncIterator[Instance]:
    """Run one instance; a test may kill it."""
    one = Instance(await world.join("loadmgr"))
    try:
        yield one
    finally:
        await one.kill()


@contextlib.asynccontextmanager
async def process(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run load management as a process of its own; ``kill`` is SIGKILL."""
    environment = os.environ | {"PARKADE_BUS_URL": url}
    one = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadmgr", cwd=ROOT, env=environment
    )
    try:
        yield one
    finally:
        if one.returncode is None:
            one.kill()
        await one.wait()


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _ignore(_address: Address, _epoch: int) -> None:
    return None
