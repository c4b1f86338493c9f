"""Changing phases at a simulated OCPP box: the whole OCPP server, over a real socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ocpp_server import service
from ocpp_server.settings import OcppServerSettings
from parkade.simulation.car import Car
from parkade.simulation.ocpp_box import OcppBox
from parkade.simulation.ocpp_options import BoxOptions, Quirks
from parkade.simulation.outlet import Outlet
from parkade.simulation.world import World
from shared.bus.memory import MemoryBus
from shared.bus.port import Bus, Delivery
from shared.contracts.charging import (
    ApplySetpoint,
    Reason,
    ReasonCode,
    SetpointApplied,
    SetpointOutcome,
)
from shared.contracts.evse import EvseObserved
from shared.contracts.message import Event, service_address
from shared.contracts.site import GetSite, SiteAnswer, SiteConfig
from shared.health import Health
from tests.conditions import eventually
from tests.ocpp_core import evse, site_of

KEY = "ConnectorSwitch3to1PhaseSupported"


class Bay:
    """One station on a running server, and a car."""

    def __init__(self, bus: Bus, box: OcppBox) -> None:
        self.bus = bus
        self.box = box
        self.heard: list[Event] = []
        self._revision = 0

    @property
    def outlet(self) -> Outlet:
        return self.box.connectors[0].outlet

    async def order(self, limit_a: float, phases: int | None) -> SetpointApplied:
        """Order a limit, and return what became of it."""
        self._revision += 1
        revision = self._revision
        await self.bus.send(
            ApplySetpoint(
                station_id="CP1",
                evse_id="bay-1",
                connector=1,
                revision=revision,
                limit_a=limit_a,
                phases=phases,
                lease_s=60,
                reason=Reason(code=ReasonCode.CIRCUIT),
            )
        )
        found: SetpointApplied = await eventually(
            lambda: next((e for e in self.all(SetpointApplied) if e.revision == revision), None)
        )
        return found

    def all(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.heard if isinstance(event, kind)]

    async def draws(self, *amps: float) -> None:
        """Wait until so much flows, and the server has heard of it."""

        def seen() -> bool:
            told = self.all(EvseObserved)[-1].current_a
            return self.outlet.amps == amps and told is not None and tuple(told) == amps

        await eventually(seen, claim=f"{amps} flow")

    @property
    def phases_told(self) -> list[int | None]:
        """numberPhases of every lease, in order."""
        return [
            payload["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0].get(
                "numberPhases"
            )
            for action, payload in self.box.received
            if action == "SetChargingProfile" and payload["csChargingProfiles"]["stackLevel"] > 9
        ]


Open = Callable[..., Awaitable[Bay]]


@pytest.fixture
async def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    monkeypatch.setattr(service, "CERTIFICATES_WITHIN_S", 0.05)
    async with contextlib.AsyncExitStack() as stack:

        async def build(*, switches_phases: bool = True, **options: Any) -> Bay:
            site = site_of(
                evse(switches_phases=switches_phases),
                accept_unknown_tokens=True,
                ocpp_server={"meter_interval_s": 1},
            )
            return await stack.enter_async_context(bay(site, tmp_path, BoxOptions(**options)))

        yield build


@asynccontextmanager
async def bay(site: SiteConfig, folder: Path, options: BoxOptions) -> AsyncIterator[Bay]:
    hub, health = MemoryBus(services=frozenset({"ocpp-server"})), Health()
    bus = hub.join("test")

    async def answer(_: Delivery[GetSite]) -> SiteAnswer:
        return SiteAnswer(site=site)

    async def nobody(*_: object) -> None: ...

    inbox = await bus.inbox(nobody)
    inbox.on(GetSite, answer)
    await inbox.own(service_address("site"), 1)
    settings = OcppServerSettings(
        _env_file=None, ocpp_host="127.0.0.1", ocpp_port=0, data_dir=folder
    )
    world = World()
    outlet = world.add(Outlet("bay-1"))
    async with contextlib.AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        server = service.run(settings, hub.join("ocpp-server"), health=health)
        tasks = [group.create_task(server)]
        stack.callback(lambda: [task.cancel() for task in tasks])
        await eventually(lambda: health.is_ready, claim="the port is open")
        port = health.reports["ocpp-server"].detail.removeprefix("port ")
        box = OcppBox(
            world, [outlet], identity="CP1", url=f"ws://127.0.0.1:{port}/", options=options
        )
        built = Bay(bus, box)

        async def hear(delivery: Delivery[Any]) -> None:
            built.heard.append(delivery.message)

        await bus.listen([SetpointApplied, EvseObserved], hear)
        tasks += [group.create_task(world.run()), group.create_task(box.run())]
        outlet.plug(Car(reaction_s=0, ramp_a_per_s=1000))
        await eventually(lambda: box.connectors[0].transaction is not None, claim="it begins")
        yield built
    await bus.close()


async def test_three_to_one_gets_more_only_once_one_phase_is_seen(opened: Open) -> None:
    bay = await opened(autostart_token="FREE", quirks=Quirks(switches_phases_after_s=0.5))
    assert (await bay.order(10, 3)).outcome is SetpointOutcome.ACCEPTED
    await bay.draws(10, 10, 10)
    told = await bay.order(16, 1)
    assert (told.outcome, told.limit_a) == (SetpointOutcome.ACCEPTED, 10), "still on three phases"
    await bay.draws(16, 0, 0)
    applied = bay.all(SetpointApplied)
    assert [(e.revision, e.limit_a) for e in applied[-2:]] == [(2, 10), (2, 16)]
    assert {e.outcome for e in applied} == {SetpointOutcome.ACCEPTED}
    assert bay.phases_told == [3, 1, 1]


async def test_one_to_three_and_what_says_nothing_of_phases(opened: Open) -> None:
    bay = await opened(autostart_token="FREE")
    await bay.order(16, 1)
    await bay.draws(16, 0, 0)
    await bay.order(9, None)
    await bay.draws(9, 0, 0)
    await bay.order(8, 3)
    await bay.draws(8, 8, 8)
    assert bay.phases_told == [1, 1, 3]


async def test_the_same_limit_on_fewer_phases_is_another_limit(opened: Open) -> None:
    bay = await opened(autostart_token="FREE")
    await bay.order(8, 3)
    await bay.draws(8, 8, 8)
    await bay.order(8, 1)
    await bay.draws(8, 0, 0)
    await bay.order(8, 1)
    assert bay.phases_told == [3, 1], "and what is the same is not sent again"


@pytest.mark.parametrize(
    ("switches_phases", "options"),
    [
        (False, {}),
        (True, {"settings": {KEY: "false"}}),
        (True, {"vendor": "go-e", "quirks": Quirks(ignores_number_phases=True)}),
    ],
    ids=["the site denies it", "the box denies it", "a go-e ignores it"],
)
async def test_a_box_that_cannot_never_hears_of_phases(
    opened: Open, switches_phases: bool, options: dict[str, Any]
) -> None:
    bay = await opened(switches_phases=switches_phases, autostart_token="FREE", **options)
    await bay.order(10, 3)
    await bay.draws(10, 10, 10)
    refused = await bay.order(16, 1)
    assert refused.outcome is SetpointOutcome.REFUSED
    await bay.order(8, 3)
    await bay.draws(8, 8, 8)
    assert bay.phases_told == [None, None]


async def test_watts_for_one_phase_are_those_of_one(opened: Open) -> None:
    only_watts = {"ChargingScheduleAllowedChargingRateUnit": "Power"}
    bay = await opened(autostart_token="FREE", settings=only_watts)
    await bay.order(10, 1)
    await bay.draws(10, 0, 0)
    _, sent = bay.box.received[-1]
    schedule = sent["csChargingProfiles"]["chargingSchedule"]
    assert schedule["chargingRateUnit"] == "W"
    assert schedule["chargingSchedulePeriod"][0] == {
        "startPeriod": 0,
        "limit": 2300.0,
        "numberPhases": 1,
    }
    await bay.order(8, 3)
    await bay.draws(8, 8, 8)
