"""``POST /what-if`` on a bus in memory: the api asks, load management answers in a process."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loadmgr import dry_run_desk
from loadmgr.dry_run_desk import ADDRESS, DryRunDesk
from shared.bus.memory import MemoryBus
from shared.bus.port import Bus
from shared.clock import SYSTEM_CLOCK
from shared.contracts.dry_run import Demand, RunDry
from shared.contracts.site import GetSite, SiteConfig
from shared.contracts.station import FactsRequested
from shared.errors import HandlerFailed, ParkadeError, Refused, Unroutable
from tests.conditions import eventually
from tests.integration.test_api import RunningApi, running
from tests.unit.loadmgr.garage import START
from tests.unit.loadmgr.recording import recorded
from tests.unit.loadmgr.test_recorded_visits import charge_three

CHANGES = {"circuits": {"main": {"limit_a": 20}}}
SLEEPY = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running(tmp_path) as started:
        await started.put_site()
        yield started


@asynccontextmanager
async def desk_at(hub: MemoryBus, site: SiteConfig, folder: Path) -> AsyncIterator[DryRunDesk]:
    bus = hub.join("loadmgr")
    desk = DryRunDesk(bus, clock=SYSTEM_CLOCK, present=lambda: site, log_folder=folder)
    task = asyncio.create_task(desk.run())
    try:
        await eventually(lambda: _answers(hub))
        yield desk
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bus.close()


async def _answers(hub: MemoryBus) -> bool:
    """Whether somebody owns the address: it refuses what makes no sense."""
    bus = hub.join("asker")
    try:
        await bus.ask(RunDry(site=SiteConfig(), days=0), timeout_s=5)
    except Unroutable:
        return False
    except Refused:
        return True
    finally:
        await bus.close()
    return False


@pytest.fixture
async def desk(api: RunningApi, tmp_path: Path) -> AsyncIterator[DryRunDesk]:
    site = (await api.bus.ask(GetSite(), timeout_s=5)).site
    async with desk_at(api.hub, site, tmp_path / "loadmgr") as opened:
        yield opened


async def ask(api: RunningApi, **body: Any) -> Any:
    return await api.client.post("/what-if", json=body, timeout=115)


async def test_simulated_vehicles_are_charged_at_both_sites(
    api: RunningApi, desk: DryRunDesk
) -> None:
    answer = await ask(api, changes=CHANGES, demand="simulated", seed=2)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["present"]["visits"] == told["changed"]["visits"] > 0
    assert all(c["path"].startswith("circuits[main].limit_a") for c in told["changes"])
    assert told["changes"]
    difference = told["differences"]["delivered_wh"]
    assert difference == told["changed"]["delivered_wh"] - told["present"]["delivered_wh"]
    assert {c["circuit_id"] for c in told["differences"]["circuits"]} == {"main", "row"}
    site = (await api.client.get("/site")).json()
    assert site["revision"] == told["revision"] == 2
    assert site["circuits"][0]["limit_a"]["L1"] != 20


async def test_recorded_vehicles_are_charged_at_both_sites(
    api: RunningApi, desk: DryRunDesk, tmp_path: Path
) -> None:
    await recorded(tmp_path / "loadmgr", charge_three)
    begins = (START - timedelta(minutes=1)).isoformat()
    answer = await ask(api, changes=CHANGES, begins_at=begins)
    assert answer.status_code == 200, answer.text
    assert answer.json()["present"]["visits"] == 3


async def test_without_a_recorded_day_it_says_what_to_do(api: RunningApi, desk: DryRunDesk) -> None:
    answer = await ask(api, changes=CHANGES)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert "simulated" in answer.json()["detail"]


async def test_without_load_management_it_says_so(api: RunningApi) -> None:
    answer = await ask(api, changes=CHANGES)
    assert answer.status_code == 503
    assert "loadmgr" in answer.json()["detail"]


async def test_a_site_that_would_not_work_has_the_findings_of_put_site(api: RunningApi) -> None:
    site = {**(await api.client.get("/site")).json(), "evses": [{"id": "x", "station": "y"}]}
    put, asked = await api.client.put("/site", json=site), await ask(api, site=site)
    assert (put.status_code, asked.status_code) == (422, 422)
    assert asked.json()["problems"] == put.json()["problems"] != []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"site": {}, "changes": {}},
        {"changes": {}, "days": 0},
        {"changes": {}, "days": 32},
        {"changes": {}, "begins_at": "2026-03-01T08:00:00"},
        {"changes": {}, "begins_at": "0001-01-01T00:00:00+14:00"},
        {"changes": {}, "begins_at": "9999-12-31T23:59:59-14:00", "demand": "simulated"},
        {"changes": {}, "demand": "imagined"},
        {"changes": {}, "speed": 3},
        {"changes": {"circuits": {"main": 3}}},
        {"changes": {"circuits": {"nope": None}}},
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    api: RunningApi, body: dict[str, Any]
) -> None:
    answer = await ask(api, **body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["problems"]


async def failure(bus: Bus) -> ParkadeError:
    with pytest.raises(ParkadeError) as caught:
        await bus.ask(RunDry(site=SiteConfig(), demand=Demand.SIMULATED), timeout_s=20)
    return caught.value


@pytest.fixture
def hub() -> MemoryBus:
    return MemoryBus(services=frozenset({"loadmgr"}))


@pytest.mark.parametrize("year", [1, 9999])
async def test_a_run_of_days_far_away_is_refused(hub: MemoryBus, tmp_path: Path, year: int) -> None:
    begins_at = datetime(year, 1, 1, tzinfo=UTC)
    asked = RunDry(site=SiteConfig(), demand=Demand.SIMULATED, begins_at=begins_at)
    async with desk_at(hub, SiteConfig(), tmp_path):
        with pytest.raises(Refused, match="look at the year"):
            await hub.join("api").ask(asked, timeout_s=20)


async def test_a_run_that_takes_too_long_is_ended(hub: MemoryBus, tmp_path: Path) -> None:
    async with desk_at(hub, SiteConfig(), tmp_path) as desk:
        desk.command, desk.time_limit_s = SLEEPY, 0.2
        error = await failure(hub.join("api"))
    assert isinstance(error, Refused)
    assert "fewer days" in str(error)


@pytest.mark.parametrize("program", ["raise SystemExit(3)", "print('no answer')"])
async def test_a_run_that_breaks_is_told_as_such(
    hub: MemoryBus, tmp_path: Path, program: str
) -> None:
    async with desk_at(hub, SiteConfig(), tmp_path) as desk:
        desk.command = (sys.executable, "-c", program)
        assert isinstance(await failure(hub.join("api")), HandlerFailed)


async def test_a_run_ends_with_load_management(
    hub: MemoryBus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def noted(*command: str, **pipes: Any) -> asyncio.subprocess.Process:
        started.append(await start(*command, **pipes))
        return started[-1]

    monkeypatch.setattr(dry_run_desk.asyncio, "create_subprocess_exec", noted)
    async with desk_at(hub, SiteConfig(), tmp_path) as desk:
        desk.command = SLEEPY
        asking = asyncio.create_task(failure(hub.join("api")))
        await eventually(lambda: started)
    assert isinstance(await asking, HandlerFailed)
    assert started[0].returncode is not None


async def test_whoever_becomes_active_answers(hub: MemoryBus, tmp_path: Path) -> None:
    async with desk_at(hub, SiteConfig(), tmp_path) as first:
        first.command = (sys.executable, "-c", "raise SystemExit(3)")
        async with desk_at(hub, SiteConfig(), tmp_path) as second:
            second.command, second.time_limit_s = SLEEPY, 0.2
            asker = hub.join("api")
            assert isinstance(await failure(asker), Refused)
            await asker.publish(FactsRequested(asker=first._bus.instance))
            await asyncio.sleep(0.05)
            assert isinstance(await failure(asker), HandlerFailed)


def test_the_address_is_that_of_the_contract() -> None:
    assert RunDry(site=SiteConfig()).address == ADDRESS
    assert RunDry(site=SiteConfig(), begins_at=datetime.now(UTC)).begins_at is not None
