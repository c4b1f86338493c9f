"""From a meter's news to the last setpoint: ``python -m tests.bench.loadmgr.jump``; prints JSON.

With a bus URL as argument the boxes live here and load management is a process of its own; without
one everything is in this process. Both ends are timed here, so by one clock.
"""

import asyncio
import contextlib
import gc
import json
import os
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from random import Random
from typing import Any

import uvloop

from loadmgr.service import run
from loadmgr.settings import LoadmgrSettings
from shared.bus.memory import MemoryBus
from shared.bus.port import Bus, Delivery
from shared.bus.rabbit import RabbitBus
from shared.clock import SYSTEM_CLOCK
from shared.contracts.charging import ApplySetpoint, SetpointApplied, SetpointOutcome
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.message import Address, station_address
from shared.contracts.meter import MeterSampled
from shared.contracts.site import GetSite, SiteAnswer, SiteConfig
from shared.contracts.station import FactsRequested
from shared.health import Health
from shared.runtime import tune_process
from shared.units import PHASES, PhaseAmps
from tests.bench.contenders import ROOT

EVSES = 1_000
FULL_A = 28.0
DROP_A = 1.5
"""What every EVSE has to give up at each step. The last one leaves it above its minimum."""
STEPS = 12
NEAR_A = 0.15
"""Setpoints go in steps of 0.1 A."""
NEARLY_ALL = 0.96
"""Of what the fuse carries: when so much is given out again, a step is over. Small raises are not
made."""
BETWEEN_S = (1.0, 2.0)
"""After all is calm. Any moment of load management's own second is as likely as another."""
ANSWERS_AFTER_S = 0.2
REPORTS_EVERY_S = 10.0
REPORTS_AT_ONCE = 10
SETTLES_WITHIN_S = 120.0
CALM_S = 35.0
"""Until every box has confirmed its limit, and warm-up is over (``shared.runtime``: 30 s)."""
STEP_WITHIN_S = 90.0
"""Until what is left is given out again, if some were lowered by more at first."""
ROTATIONS = (("L1", "L2", "L3"), ("L2", "L3", "L1"), ("L3", "L1", "L2"))


def jump_site(evses: int = EVSES) -> SiteConfig:
    """Return boxes of one phase, spread over the three, that the fuse carries exactly."""
    nowhere = {"template": "eastron_sdm630", "host": "127.0.0.1", "port": 1}
    names = [f"E{number:04d}" for number in range(evses)]
    limit_a = {phase.value: FULL_A * count for phase, count in _on_phases(evses).items()}
    return SiteConfig.model_validate(
        {
            "revision": 1,
            "circuits": [{"id": "main", "limit_a": limit_a}],
            "meters": [{"id": "shop", "circuit": "main", "role": "consumption", "modbus": nowhere}],
            "stations": [{"id": name, "protocol": "ocpp"} for name in names],
            "evses": [
                {
                    "id": name,
                    "station": name,
                    "circuit": "main",
                    "phases": 1,
                    "max_a": FULL_A,
                    "rotation": ROTATIONS[number % 3],
                }
                for number, name in enumerate(names)
            ],
        }
    )


def _on_phases(evses: int) -> dict[Any, int]:
    return {phase: len(range(index, evses, 3)) for index, phase in enumerate(PHASES)}


class Boxes:
    """Boxes that obey, answer a little later, and tell what they draw every ten seconds."""

    def __init__(self, bus: Bus, site: SiteConfig) -> None:
        self._bus = bus
        self.site = site
        self.limit_a = dict.fromkeys((evse.id for evse in site.evses), FULL_A)
        self.lowered_at: dict[str, float] = {}
        """When the first setpoint of the present step that lowers it arrived at each box."""
        self._to_answer: deque[tuple[float, ApplySetpoint]] = deque()
        self.shop_a = 0.0
        self.orders = 0

    async def open(self) -> None:
        """Own every station, and answer who asks for the site."""
        inbox = await self._bus.inbox(_ignore)
        inbox.on(ApplySetpoint, self._take)
        inbox.on(GetSite, self._tell_site)
        await self._bus.listen([FactsRequested], self._tell_everything)
        await inbox.own(GetSite().address, 1)
        async with asyncio.TaskGroup() as group:
            for evse in self.site.evses:
                group.create_task(inbox.own(station_address(evse.station), 1))

    async def live(self) -> None:
        """Answer, report and measure, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._answer())
            group.create_task(self._report())
            group.create_task(self._measure())

    async def tell_meter(self) -> None:
        """Publish what the shop draws."""
        shown = (self.shop_a * count for count in _on_phases(len(self.site.evses)).values())
        first, second, third = shown
        await self._bus.publish(
            MeterSampled(
                meter_id="shop",
                sampled_at=SYSTEM_CLOCK.now(),
                current_a=PhaseAmps(l1=first, l2=second, l3=third),
            )
        )

    async def _take(self, delivery: Delivery[ApplySetpoint]) -> None:
        now = time.perf_counter()
        order = delivery.message
        self.orders += 1
        if order.limit_a < self.limit_a[order.evse_id]:
            self.lowered_at.setdefault(order.evse_id, now)
        self.limit_a[order.evse_id] = order.limit_a
        self._to_answer.append((now + ANSWERS_AFTER_S, order))

    async def _tell_site(self, _: Delivery[GetSite]) -> SiteAnswer:
        return SiteAnswer(site=self.site)

    async def _tell_everything(self, _: Delivery[FactsRequested]) -> None:
        for evse_id in self.limit_a:
            await self._observe(evse_id)

    async def _answer(self) -> None:
        while True:
            while self._to_answer and self._to_answer[0][0] <= time.perf_counter():
                _, order = self._to_answer.popleft()
                await self._bus.publish(
                    SetpointApplied(
                        evse_id=order.evse_id,
                        station_id=order.station_id,
                        revision=order.revision,
                        limit_a=order.limit_a,
                        outcome=SetpointOutcome.ACCEPTED,
                        applied_at=SYSTEM_CLOCK.now(),
                    )
                )
            await asyncio.sleep(0.02)

    async def _report(self) -> None:
        names = list(self.limit_a)
        while True:
            for begin in range(0, len(names), REPORTS_AT_ONCE):
                for evse_id in names[begin : begin + REPORTS_AT_ONCE]:
                    await self._observe(evse_id)
                await asyncio.sleep(REPORTS_EVERY_S * REPORTS_AT_ONCE / len(names))

    async def _observe(self, evse_id: str) -> None:
        drawn_a = self.limit_a[evse_id]
        await self._bus.publish(
            EvseObserved(
                evse_id=evse_id,
                station_id=evse_id,
                connector=1,
                epoch=1,
                observed_at=SYSTEM_CLOCK.now(),
                online=True,
                state=EvseState.C if drawn_a > 0 else EvseState.B,
                current_a=PhaseAmps(l1=drawn_a, l2=0.0, l3=0.0),
                offered_a=drawn_a,
            )
        )

    async def _measure(self) -> None:
        while True:
            await self.tell_meter()
            await asyncio.sleep(1)


async def measure(url: str | None) -> dict[str, Any]:
    """Let the shop draw more, step by step; return the times of every setpoint."""
    async with _world(url) as (bus, load_management), asyncio.TaskGroup() as group:
        boxes = Boxes(bus, jump_site())
        await boxes.open()
        living = [group.create_task(boxes.live()), group.create_task(load_management)]
        await asyncio.sleep(CALM_S)
        await _until(partial(_is_given, boxes, FULL_A), SETTLES_WITHIN_S, "all charge in full")
        gc.freeze()
        steps = await _steps(boxes)
        for task in living:
            task.cancel()
    return {
        "evses": EVSES,
        "steps": len(steps),
        "each_ms": [latency * 1000 for step in steps for latency in step],
        "first_ms": [min(step) * 1000 for step in steps],
        "last_ms": [max(step) * 1000 for step in steps],
    }


async def _steps(boxes: Boxes) -> list[list[float]]:
    random = Random(1)
    steps = []
    for number in range(1, STEPS + 1):
        await asyncio.sleep(random.uniform(*BETWEEN_S))
        boxes.lowered_at = {}
        boxes.shop_a = number * DROP_A
        wanted_a = FULL_A - boxes.shop_a
        begin = time.perf_counter()
        await boxes.tell_meter()
        claim = f"step {number}: {wanted_a:.1f} A for each box"
        await _until(partial(_is_given, boxes, wanted_a), STEP_WITHIN_S, claim)
        steps.append([lowered - begin for lowered in boxes.lowered_at.values()])
    return steps


def _is_given(boxes: Boxes, each_a: float) -> bool:
    """What the fuse carries is given out, and not more."""
    given_a, full_a = sum(boxes.limit_a.values()), each_a * len(boxes.limit_a)
    most_a = full_a + NEAR_A * len(boxes.limit_a)
    return boxes.orders > 0 and NEARLY_ALL * full_a <= given_a <= most_a


@contextlib.asynccontextmanager
async def _world(url: str | None) -> AsyncIterator[tuple[Bus, Any]]:
    if url is None:
        hub = MemoryBus(SYSTEM_CLOCK, frozenset({"loadmgr"}))
        settings = LoadmgrSettings(loadmgr_log_mib=0, _env_file=None)  # type: ignore[call-arg]  # pydantic's own
        bus, own = hub.join("ocpp-server"), hub.join("loadmgr")
        yield bus, run(settings, own, clock=SYSTEM_CLOCK, health=Health())
        await own.close()
    else:
        bus = await RabbitBus.connect(url, "ocpp-server", SYSTEM_CLOCK)
        yield bus, _process(url)
    await bus.close()


async def _process(url: str) -> None:
    """Run load management in a process of its own until cancelled."""
    environment = os.environ | {"PARKADE_BUS_URL": url, "PARKADE_LOG_LEVEL": "WARNING"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadmgr", cwd=ROOT, env=environment
    )
    try:
        code = await process.wait()
        raise RuntimeError(f"load management has ended with {code}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _ignore(_address: Address, _epoch: int) -> None:
    return None


async def _until(condition: Any, within_s: float, claim: str) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {within_s:g} s: {claim}")
        await asyncio.sleep(0.005)


def main(url: str | None = None) -> None:
    """Measure, and print the result; end with the first thing that went wrong."""
    tune_process()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(json.dumps(runner.run(measure(url))), flush=True)
    except BaseExceptionGroup as group:
        sys.exit(str(group.exceptions[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
