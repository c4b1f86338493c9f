"""What only the bus in one process can show: there is no broker that keeps a fact."""

import asyncio
from pathlib import Path

import orjson
import pytest

from shared.bus.memory import MemoryBus
from shared.bus.topology import SESSIONS_TO_API
from shared.clock import FakeClock
from shared.errors import NotSafe, Refused
from tests.conditions import eventually
from tests.contract_facts import Recorder, started

API_RUNS = frozenset({"api"})


async def test_publish_returns_only_when_the_consumer_has_committed(clock: FakeClock) -> None:
    hub = MemoryBus(clock, API_RUNS)
    station, api = hub.join("ocpp-server"), hub.join("api")
    seen = Recorder()
    seen.may_go_on.clear()
    await api.consume(SESSIONS_TO_API, seen.batch)
    publishing = asyncio.create_task(station.publish(started("1")))
    await eventually(lambda: seen.waits)
    assert not publishing.done()
    seen.may_go_on.set()
    await publishing
    assert seen.messages == [started("1")]
    await api.close()


async def test_fact_without_consumer_is_not_safe_and_not_kept(clock: FakeClock) -> None:
    hub = MemoryBus(clock, API_RUNS, safe_within_s=0.1)
    station, api = hub.join("ocpp-server"), hub.join("api")
    with pytest.raises(NotSafe):
        await station.publish(started("1"))
    seen = Recorder()
    await api.consume(SESSIONS_TO_API, seen.batch)
    await station.publish(started("2"))
    assert seen.messages == [started("2")]
    await api.close()


async def test_consumer_that_comes_in_time_makes_the_fact_safe(clock: FakeClock) -> None:
    hub = MemoryBus(clock, API_RUNS)
    station, api = hub.join("ocpp-server"), hub.join("api")
    publishing = asyncio.create_task(station.publish(started("1")))
    await asyncio.sleep(0)
    await api.consume(SESSIONS_TO_API, Recorder().batch)
    await publishing
    await api.close()


async def test_fact_that_nobody_consumes_here_is_no_hindrance(clock: FakeClock) -> None:
    hub = MemoryBus(clock, frozenset({"loadmgr"}))
    await hub.join("ocpp-server").publish(started("1"))


async def test_participant_that_has_left_can_make_nothing_safe(clock: FakeClock) -> None:
    station = MemoryBus(clock).join("ocpp-server")
    assert station.is_connected
    await station.close()
    assert not station.is_connected
    with pytest.raises(NotSafe):
        await station.publish(started("1"))


async def test_dead_letter_is_on_the_disk_when_publish_returns(
    clock: FakeClock, tmp_path: Path
) -> None:
    file = tmp_path / "dead-letters.jsonl"
    hub = MemoryBus(clock, API_RUNS, file)
    station, api = hub.join("ocpp-server"), hub.join("api")
    broken = Recorder()
    broken.fail = lambda _: Refused("no such evse")
    await api.consume(SESSIONS_TO_API, broken.batch)
    await station.publish(started("1"))
    await station.publish(started("2"))
    letters = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert [letter["body"]["session_id"] for letter in letters] == ["1", "2"]
    assert letters[0]["reason"] == "Refused: no such evse"
    assert letters[0]["topic"] == "session.started.v1"
    await api.close()
