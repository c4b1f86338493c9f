"""A small garage for the demo: two double OCPP boxes, a Modbus wallbox, a grid meter, drivers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import yaml

from parkade.simulation.backend import SimulatedBackend
from parkade.simulation.ocpp_box import OcppBox
from parkade.simulation.ocpp_options import BoxOptions
from parkade.simulation.outlet import Outlet
from parkade.simulation.power_brain import PowerBrain
from parkade.simulation.sdm630 import Sdm630
from parkade.simulation.visitors import Habits, household, visitors
from parkade.simulation.world import World
from shared.contracts.site import SiteConfig
from shared.units import PHASES, Phase

OCPP_URL = "ws://127.0.0.1:19520"
MAIN_A = 40.0
ROW_A = 32.0
BASE_LOAD_A = 8.0
CARDS = ("DEMO-CARD-1", "DEMO-CARD-2", "DEMO-CARD-3")
FREE_TOKEN = "DEMO-FREE"  # noqa: S105 - an idTag, not a secret
ROTATIONS: tuple[tuple[Phase, ...], ...] = (
    PHASES,
    (Phase.L2, Phase.L3, Phase.L1),
    (Phase.L3, Phase.L1, Phase.L2),
)


@dataclass
class Garage:
    """The physical garage, and what an operator would write about it."""

    world: World
    boxes: list[OcppBox]
    brain: PowerBrain
    meter: Sdm630
    backend_url: str | None = None
    """The billing backend that the western row and the Power Brain are shown to."""

    @property
    def site(self) -> SiteConfig:
        """The matching configuration; complete once the Modbus ports are open."""
        return demo_site(
            brain_port=self.brain.port, meter_port=self.meter.port, backend_url=self.backend_url
        )

    @property
    def site_yaml(self) -> str:
        """The same as a site file."""
        content = self.site.model_dump(mode="json", exclude_unset=True)
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def build_garage(ocpp_url: str = OCPP_URL, *, backend_url: str | None = None) -> Garage:
    """Return the garage, dark and empty. The western row starts by card, the eastern is free."""
    world = World(circuits={"main": None, "west": "main", "east": "main"})
    outlets = [
        world.add(
            Outlet(
                f"bay-{number}",
                circuit="west" if number <= 2 else "east",
                rotation=ROTATIONS[(number - 1) % 3],
                max_a=22.0 if number <= 4 else 16.0,
            )
        )
        for number in range(1, 6)
    ]
    by_card = BoxOptions(model="SimBox Double", has_signing_meter=True)
    free = BoxOptions(model="SimBox Double", autostart_token=FREE_TOKEN)
    boxes = [
        OcppBox(world, outlets[0:2], identity="DEMO-WEST", url=ocpp_url, options=by_card),
        OcppBox(world, outlets[2:4], identity="DEMO-EAST", url=ocpp_url, options=free),
    ]
    brain = PowerBrain(world, outlets[4], serial="PB-DEMO", failsafe_s=180, failsafe_a=6.0)
    return Garage(world, boxes, brain, Sdm630(world, "main"), backend_url)


@contextlib.asynccontextmanager
async def demo_garage(ocpp_url: str = OCPP_URL, *, seed: str = "demo") -> AsyncIterator[Garage]:
    """Run the garage, its drivers and a billing backend while the block runs.

    Its boxes keep trying to reach ``ocpp_url``, so the product may start later.
    """
    async with contextlib.AsyncExitStack() as devices:
        backend_url = await devices.enter_async_context(SimulatedBackend().serving())
        garage = build_garage(ocpp_url, backend_url=backend_url)
        await devices.enter_async_context(garage.brain.serving())
        await devices.enter_async_context(garage.meter.serving())
        group = await devices.enter_async_context(asyncio.TaskGroup())
        living = [group.create_task(work) for work in _life(garage, seed)]
        try:
            yield garage
        finally:
            for task in living:
                task.cancel()


def _life(garage: Garage, seed: str) -> list[Any]:
    habits = Habits(tokens=CARDS)
    outlets = garage.world.outlets.values()
    return [
        garage.world.run(),
        household(garage.world, "main", upto_a=BASE_LOAD_A, seed=seed),
        *(box.run() for box in garage.boxes),
        *(
            visitors(o, habits, seed=f"{seed} {o.id}", shows_card=o.circuit == "west")
            for o in outlets
        ),
    ]


def demo_site(*, brain_port: int, meter_port: int, backend_url: str | None = None) -> SiteConfig:
    """Return the configuration of the demo garage, whose Modbus devices listen on these ports."""
    local = {"host": "127.0.0.1", "unit": 1}
    brain = {"template": "cfos_power_brain", "port": brain_port, **local}
    meter = {"template": "eastron_sdm630", "port": meter_port, **local}
    return SiteConfig.model_validate(
        {
            "name": "Demo garage",
            "mode": "load_management",
            "lease_s": 60,
            "ocpp_server": {"tls": "detect", "meter_interval_s": 5},
            "circuits": [
                {"id": "main", "name": "Grid connection", "limit_a": MAIN_A, "uncontrolled_a": 12},
                {"id": "west", "name": "Western row", "parent": "main", "limit_a": ROW_A},
                {"id": "east", "name": "Eastern row", "parent": "main", "limit_a": ROW_A},
            ],
            "stations": [
                {"id": "DEMO-WEST", "name": "Double box, by card", "protocol": "ocpp"},
                {"id": "DEMO-EAST", "name": "Double box, free", "protocol": "ocpp"},
                {"id": "PB-DEMO", "name": "Power Brain", "protocol": "modbus", "modbus": brain},
            ],
            "evses": [_evse(number, backend_url) for number in range(1, 6)],
            "meters": [{"id": "grid", "circuit": "main", "role": "grid", "modbus": meter}],
            "tokens": [{"id": token, "name": token.title()} for token in (*CARDS, FREE_TOKEN)],
        }
    )


def _evse(number: int, backend_url: str | None) -> dict[str, Any]:
    station, connector = (
        ("DEMO-WEST", number),
        ("DEMO-WEST", number),
        ("DEMO-EAST", number - 2),
        ("DEMO-EAST", number - 2),
        ("PB-DEMO", 1),
    )[number - 1]
    evse: dict[str, Any] = {
        "id": f"bay-{number}",
        "name": f"Bay {number}",
        "station": station,
        "connector": connector,
        "circuit": "west" if number <= 2 else "east",
        "rotation": [phase.value for phase in ROTATIONS[(number - 1) % 3]],
        "max_a": 22 if number <= 4 else 16,
    }
    if number == 5:
        evse |= {"fallback_a": 6, "fixed_token": FREE_TOKEN}
    if backend_url is not None and station != "DEMO-EAST":
        evse["backend"] = {"url": backend_url, "client_id": station}
    return evse
