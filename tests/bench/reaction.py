"""From a meter value on the bus to the limit at the station: ``python -m tests.bench.reaction 20``.

Runs api, ocpp-server and loadmgr on a memory bus beside light stations, all in this one process,
so the stations' own share is in the figures. Prints one JSON object.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvloop

from api.settings import ApiSettings
from loadmgr.settings import LoadmgrSettings
from ocpp_server.settings import OcppServerSettings
from parkade.compose import House, one_process
from shared.bus.port import Bus
from shared.clock import SYSTEM_CLOCK
from shared.contracts.meter import MeterSampled
from shared.settings import ServiceSettings
from shared.units import PhaseAmps
from tests.bench.frames import meter_values
from tests.bench.station import LoadStation
from tests.broker import free_port

FULL_A = 16.0
STEPS = 9
"""Each takes 1 A from every station, so the last one leaves 7 A, above the minimum."""
SETTLES_WITHIN_S = 60.0
STEP_WITHIN_S = 10.0
BETWEEN_STEPS_S = 1.5
CALM_S = 20.0
"""Until no limit is so new that load management counts its station's worst case."""


def reaction_site(stations: int) -> dict[str, Any]:
    """Return a site whose fuse fits every station exactly, beside a meter of other consumers."""
    names = [f"BENCH-{number}" for number in range(stations)]
    nowhere = {"template": "eastron_sdm630", "host": "127.0.0.1", "port": 1}
    return {
        "name": "Reaction",
        "ocpp_server": {"heartbeat_interval_s": 86_400, "meter_interval_s": 3_600},
        "circuits": [{"id": "main", "limit_a": FULL_A * stations}],
        "stations": [{"id": name, "protocol": "ocpp"} for name in names],
        "evses": [
            {"id": name, "station": name, "circuit": "main", "max_a": FULL_A} for name in names
        ],
        "meters": [{"id": "shop", "circuit": "main", "role": "consumption", "modbus": nowhere}],
        "tokens": [{"id": "BENCH"}],
    }


class Fleet:
    """Stations that charge with whatever they are offered, and tell it every second."""

    def __init__(self) -> None:
        self.limits: dict[str, float] = {}
        self.heard_at: dict[str, float] = {}
        """When the first new limit of a step arrived."""
        self.stations: list[LoadStation] = []

    def heard(self, station: LoadStation, action: str, payload: bytes) -> None:
        """Take the limit of a lease (the base profile has no duration)."""
        if action != "SetChargingProfile":
            return
        schedule = json.loads(payload)["csChargingProfiles"]["chargingSchedule"]
        if "duration" in schedule:
            limit_a = schedule["chargingSchedulePeriod"][0]["limit"]
            self.limits[station.identity] = limit_a
            self.heard_at.setdefault(station.identity, time.perf_counter())

    async def connect(self, port: int, count: int) -> None:
        """Connect stations and start a transaction at each."""
        loop = asyncio.get_running_loop()
        for number in range(count):
            name = f"BENCH-{number}"
            _, station = await loop.create_connection(
                lambda name=name: LoadStation(name, on_call=self.heard), "127.0.0.1", port
            )
            await station.boot()
            await station.ask(
                "StartTransaction",
                '{"connectorId":1,"idTag":"BENCH","meterStart":0,"timestamp":"2026-01-01T00:00:00Z"}',
            )
            await station.ask(
                "StatusNotification",
                '{"connectorId":1,"errorCode":"NoError","status":"Charging"}',
            )
            self.stations.append(station)

    async def tell_currents(self) -> None:
        """Send MeterValues of what each station draws, every second, for ever."""
        while True:
            for station in self.stations:
                drawn_a = self.limits.get(station.identity, 0.0)
                await station.ask("MeterValues", meter_values(current_a=drawn_a))
            await asyncio.sleep(1)

    def all_have(self, wanted_a: float) -> bool:
        """Every station has been offered this, within half an ampere."""
        offered = [self.limits.get(station.identity, 0.0) for station in self.stations]
        return all(abs(limit - wanted_a) <= 0.5 for limit in offered)


class Shop:
    """The other consumers, and their meter."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.draws_a = 0.0

    async def tell(self) -> None:
        """Publish a reading."""
        amps = PhaseAmps(l1=self.draws_a, l2=self.draws_a, l3=self.draws_a)
        now = SYSTEM_CLOCK.now()
        await self._bus.publish(MeterSampled(meter_id="shop", sampled_at=now, current_a=amps))

    async def keep_telling(self) -> None:
        """Publish a reading every second, for ever."""
        while True:
            await self.tell()
            await asyncio.sleep(1)


async def measure(stations: int) -> dict[str, float]:
    """Take current away step by step; return how long the news took to each station."""
    port = free_port()
    async with _house(port, stations) as house, asyncio.TaskGroup() as group:
        fleet, shop = Fleet(), Shop(house.hub.join("modbus-bridge"))
        living = [group.create_task(shop.keep_telling())]
        await fleet.connect(port, stations)
        living.append(group.create_task(fleet.tell_currents()))
        await _until(lambda: fleet.all_have(FULL_A), SETTLES_WITHIN_S, "all charge in full")
        await asyncio.sleep(CALM_S)
        latencies: list[float] = []
        for step in range(1, STEPS + 1):
            latencies += await _take_away(fleet, shop, stations=stations, step=step)
        for task in living:
            task.cancel()
        for station in fleet.stations:
            station.close()
    latencies.sort()
    return {
        "stations": stations,
        "samples": len(latencies),
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
        "max_ms": latencies[-1] * 1000,
    }


async def _take_away(fleet: Fleet, shop: Shop, *, stations: int, step: int) -> list[float]:
    await asyncio.sleep(BETWEEN_STEPS_S)
    wanted_a = FULL_A - step
    fleet.heard_at.clear()
    shop.draws_a = float(step * stations)
    begin = time.perf_counter()
    await shop.tell()
    await _until(lambda: fleet.all_have(wanted_a), STEP_WITHIN_S, f"all have {wanted_a} A")
    return [heard - begin for heard in fleet.heard_at.values()]


@contextlib.asynccontextmanager
async def _house(port: int, stations: int) -> AsyncIterator[House]:
    with tempfile.TemporaryDirectory(prefix="parkade-bench-") as folder:
        site = Path(folder) / "site.json"
        site.write_text(json.dumps(reaction_site(stations)))
        common: dict[str, Any] = {"_env_file": None, "data_dir": Path(folder)}
        settings: dict[str, ServiceSettings] = {
            "api": ApiSettings(
                http_port=free_port(),
                site_file=site,
                admin_token="a-token-for-the-benchmark",
                **common,
            ),
            "ocpp-server": OcppServerSettings(ocpp_host="127.0.0.1", ocpp_port=port, **common),
            "loadmgr": LoadmgrSettings(**common),
        }
        async with one_process(settings) as house:
            async with asyncio.timeout(SETTLES_WITHIN_S):
                await house.until_ready()
            yield house


async def _until(condition: Any, within_s: float, claim: str) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {within_s} s: {claim}")
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(measure(int(sys.argv[1])))), flush=True)
