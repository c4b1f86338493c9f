"""Parkade's ocpp-server alone, on a memory bus: ``python -m … PORT STATIONS FOLDER``."""

import asyncio
import gc
import sys
from pathlib import Path
from typing import Any

import uvloop

from ocpp_server.service import run
from ocpp_server.settings import OcppServerSettings
from shared.bus.memory import MemoryBus
from shared.bus.port import Delivery
from shared.clock import SYSTEM_CLOCK
from shared.contracts.message import Address
from shared.contracts.site import GetSite, SiteAnswer, SiteConfig
from shared.health import Health
from shared.runtime import tune_process
from tests.bench.descriptors import raise_file_limit
from tests.bench.site import bench_site


async def answer_site(hub: MemoryBus, site: SiteConfig) -> None:
    """Stand in for api."""

    async def evicted(_address: Address, _epoch: int) -> None:
        raise RuntimeError("there is only one site")

    async def answer(_delivery: Delivery[Any]) -> SiteAnswer:
        return SiteAnswer(site=site)

    inbox = await hub.join("api").inbox(evicted)
    inbox.on(GetSite, answer)
    await inbox.own(Address("service", "site"), 1)


async def main(port: int, stations: int, folder: Path) -> None:
    """Serve for ever."""
    tune_process()
    asyncio.get_running_loop().call_later(30, gc.freeze)  # as shared.runtime does
    hub = MemoryBus(services=frozenset({"ocpp-server"}))
    await answer_site(hub, SiteConfig.model_validate(bench_site(stations)))
    settings = OcppServerSettings(
        _env_file=None, ocpp_host="127.0.0.1", ocpp_port=port, data_dir=folder
    )
    await run(settings, hub.join("ocpp-server"), clock=SYSTEM_CLOCK, health=Health())


if __name__ == "__main__":
    raise_file_limit(int(sys.argv[2]))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
