"""Parkade's ocpp-server alone, with a load management that obeys standard input.

``python -m … PORT STATIONS FOLDER``. Each line ``AMPERE REVISION`` sends an ApplySetpoint to every
station; the answer, a JSON line, tells when the last SetpointApplied came back over the bus.
"""

import asyncio
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from ocpp_server.service import run
from ocpp_server.settings import OcppServerSettings
from shared.bus.memory import MemoryBus
from shared.bus.port import Bus, Delivery
from shared.clock import SYSTEM_CLOCK
from shared.contracts.charging import (
    ApplySetpoint,
    Reason,
    ReasonCode,
    SetpointApplied,
    SetpointOutcome,
)
from shared.contracts.site import SiteConfig
from shared.errors import Unroutable
from shared.health import Health
from shared.runtime import tune_process
from tests.bench.descriptors import raise_file_limit
from tests.bench.servers.parkade_ocpp import answer_site
from tests.bench.site import bench_site

ALL_WITHIN_S = 120.0
LEASE_S = 3_600.0


class Steering:
    """Sends a limit to every station at once, and counts who has taken it."""

    def __init__(self, bus: Bus, stations: int) -> None:
        self._bus = bus
        self._names = [f"BENCH-{number}" for number in range(stations)]
        self._revision = 0
        self._missing: set[str] = set()
        self._all_took = asyncio.Event()
        self._refused: list[str] = []

    async def open(self) -> None:
        """Begin to listen."""
        await self._bus.listen([SetpointApplied], self._applied, limit=50_000)

    async def order(self, limit_a: float, revision: int) -> dict[str, Any]:
        """Publish an order for each station; return moments of the monotonic clock."""
        self._revision, self._missing = revision, set(self._names)
        self._all_took.clear()
        orders = [self._order(name, limit_a) for name in self._names]
        begin = time.monotonic()
        unroutable = 0
        for order in orders:
            try:
                await self._bus.send(order)
            except Unroutable:
                unroutable += 1
        ordered = time.monotonic()
        try:
            async with asyncio.timeout(ALL_WITHIN_S):
                await self._all_took.wait()
        except TimeoutError:
            detail = (self._refused or ["no answer"])[-1]
            return {"missing": len(self._missing), "unroutable": unroutable, "detail": detail}
        return {"begin": begin, "ordered": ordered, "confirmed": time.monotonic(), "missing": 0}

    def _order(self, name: str, limit_a: float) -> ApplySetpoint:
        return ApplySetpoint(
            station_id=name,
            evse_id=name,
            connector=1,
            revision=self._revision,
            limit_a=limit_a,
            lease_s=LEASE_S,
            reason=Reason(code=ReasonCode.CIRCUIT, circuit="main"),
        )

    async def _applied(self, delivery: Delivery[SetpointApplied]) -> None:
        event = delivery.message
        if event.revision != self._revision:
            return
        if event.outcome is not SetpointOutcome.ACCEPTED:
            self._refused.append(f"{event.evse_id}: {event.outcome} {event.detail}")
            return
        self._missing.discard(event.evse_id)
        if not self._missing:
            self._all_took.set()


async def obey(steering: Steering) -> None:
    """Obey standard input until it ends."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        limit_a, revision = line.split()
        print(json.dumps(await steering.order(float(limit_a), int(revision))), flush=True)


async def main(port: int, stations: int, folder: Path) -> None:
    """Serve for ever."""
    tune_process()
    asyncio.get_running_loop().call_later(30, gc.freeze)  # as shared.runtime does
    hub = MemoryBus(services=frozenset({"ocpp-server"}))
    await answer_site(hub, SiteConfig.model_validate(bench_site(stations)))
    steering = Steering(hub.join("loadmgr"), stations)
    await steering.open()
    settings = OcppServerSettings(
        _env_file=None, ocpp_host="127.0.0.1", ocpp_port=port, data_dir=folder
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(obey(steering))
        group.create_task(
            run(settings, hub.join("ocpp-server"), clock=SYSTEM_CLOCK, health=Health())
        )


if __name__ == "__main__":
    raise_file_limit(int(sys.argv[2]))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
