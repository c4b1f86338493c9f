"""Three bays on one 32 A fuse: two OCPP boxes and a Power Brain, with the meter that sees them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from parkade.simulation.backend import SimulatedBackend
from parkade.simulation.car import Car, CarModel
from parkade.simulation.ocpp_box import OcppBox
from parkade.simulation.outlet import Outlet
from parkade.simulation.power_brain import PowerBrain
from parkade.simulation.sdm630 import Sdm630
from parkade.simulation.world import World
from tests.e2e.deployment import Deployment

FUSE_A = 32.0
LEASE_S = 10
FALLBACK_A = {"bay-1": 0.0, "bay-2": 0.0, "bay-3": 6.0}
TOKEN = "04A1B2C3D4"
HUNGRY = CarModel(name="wants 32 A on three phases", battery_wh=80_000, phases=3, max_a=32)


@dataclass
class Bays:
    """What is physically there."""

    world: World
    boxes: tuple[OcppBox, OcppBox]
    power_brain: PowerBrain
    meter: Sdm630
    backend: SimulatedBackend
    outlets: dict[str, Outlet] = field(default_factory=dict)

    def drive_in(self, bay: str) -> None:
        """A car comes, its driver shows a card and plugs in."""
        outlet = self.outlets[bay]
        outlet.swipe(TOKEN)
        outlet.plug(Car(HUNGRY, charge=0.2, seed=len(bay)))

    def drive_off(self, bay: str) -> None:
        """The car leaves."""
        self.outlets[bay].unplug()

    def drawn_a(self, bay: str) -> float:
        """What really flows on the busiest phase of a bay."""
        return max(self.outlets[bay].amps)

    @property
    def peak_a(self) -> float:
        """The most that ever flowed on any phase of the fuse."""
        return max(self.world.peak_a("grid").known)


@contextlib.asynccontextmanager
async def three_bays(deployment: Deployment) -> AsyncIterator[Bays]:
    """Build the bays and let time pass for them while the block runs."""
    world = World()
    outlets = {bay: world.add(Outlet(bay)) for bay in FALLBACK_A}
    url = f"ws://127.0.0.1:{deployment.ocpp_port}/"
    boxes = (
        OcppBox(world, [outlets["bay-1"]], identity="CP1", url=url),
        OcppBox(world, [outlets["bay-2"]], identity="CP 2/Ä", url=url),
    )
    power_brain = PowerBrain(world, outlets["bay-3"], failsafe_s=300, failsafe_a=0)
    meter = Sdm630(world)
    backend = SimulatedBackend(host=deployment.simulators_host, accepted_tokens={TOKEN})
    bays = Bays(world, boxes, power_brain, meter, backend, outlets)
    async with contextlib.AsyncExitStack() as stack:
        host = deployment.simulators_host
        await stack.enter_async_context(power_brain.serving(host=host))
        await stack.enter_async_context(meter.serving(host=host))
        await stack.enter_async_context(backend)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [group.create_task(world.run())]
        tasks.extend(group.create_task(box.run()) for box in boxes)
        try:
            yield bays
        finally:
            for task in tasks:
                task.cancel()


def site_of(deployment: Deployment, bays: Bays) -> dict[str, Any]:
    """Return the configuration an operator would write for the bays."""
    host = deployment.simulators_host

    def modbus(template: str, port: int) -> dict[str, Any]:
        return {"template": template, "host": host, "port": port, "unit": 1}

    return {
        "name": "three bays",
        "lease_s": LEASE_S,
        "poll_interval_s": 0.5,
        "accept_unknown_tokens": True,
        "ocpp_server": {"meter_interval_s": 1, "heartbeat_interval_s": 10},
        "circuits": [{"id": "main", "limit_a": FUSE_A}],
        "stations": [
            {"id": "CP1", "protocol": "ocpp"},
            {"id": "CP 2/Ä", "protocol": "ocpp"},
            {
                "id": "PB",
                "protocol": "modbus",
                "modbus": modbus("cfos_power_brain", bays.power_brain.port),
            },
        ],
        "evses": [
            {"id": "bay-1", "station": "CP1", "circuit": "main"},
            {"id": "bay-2", "station": "CP 2/Ä", "circuit": "main"},
            {
                "id": "bay-3",
                "station": "PB",
                "circuit": "main",
                "fallback_a": FALLBACK_A["bay-3"],
                "backend": {"url": bays.backend.url, "client_id": "PARKADE-PB"},
            },
        ],
        "meters": [
            {
                "id": "grid-meter",
                "circuit": "main",
                "role": "grid",
                "modbus": modbus("eastron_sdm630", bays.meter.port),
            }
        ],
    }
