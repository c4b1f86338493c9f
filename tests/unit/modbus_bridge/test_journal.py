import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from modbus_bridge.domain.session import Ended, OpenSession, Started
from modbus_bridge.journal import SessionJournal
from shared.bus.memory import MemoryBus
from shared.bus.port import Delivery
from shared.bus.topology import SESSIONS_TO_API
from shared.clock import FakeClock
from shared.contracts.session import SessionEnded, SessionStarted
from shared.contracts.site import Evse
from tests.conditions import eventually

EVSE = Evse(id="e1", station="s1", circuit="c", fixed_token="FIXED")
CLOCK = FakeClock()


def session(name: str = "one", token: str | None = None) -> OpenSession:
    return OpenSession(session_id=name, started_at=CLOCK.now(), token=token, energy_start_wh=1_000)


class Desk:
    """A journal, its file, and the facts that reached the archive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hub = MemoryBus(CLOCK, services=frozenset({"api"}), safe_within_s=0.05)
        self.facts: list[Any] = []
        self.journal = self.fresh()
        self._task: asyncio.Task[None] | None = None

    def fresh(self) -> SessionJournal:
        journal = SessionJournal(self.path, self.hub.join("modbus-bridge"), CLOCK)
        journal.load()
        return journal

    async def archive(self) -> None:
        async def commit(batch: Sequence[Delivery[Any]]) -> None:
            self.facts.extend(d.message for d in batch)

        await self.hub.join("api").consume(SESSIONS_TO_API, commit)

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self.journal.run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    built = Desk(tmp_path / "new" / "sessions.json")
    yield built
    await built.stop()


async def test_facts_are_published_in_order(desk: Desk) -> None:
    await desk.archive()
    desk.start()
    desk.journal.started(EVSE, Started(session=session(token="AB")))
    change = Ended(session=session(token="AB"), ended_at=CLOCK.now(), energy_stop_wh=2_000)
    desk.journal.ended("e1", change, reason="unplugged")
    await eventually(lambda: len(desk.facts) == 2)
    started, ended = desk.facts
    assert isinstance(started, SessionStarted)
    assert isinstance(ended, SessionEnded)
    assert (started.token, started.energy_start_wh) == ("AB", 1_000)
    assert (ended.token, ended.energy_stop_wh, ended.reason) == ("AB", 2_000, "unplugged")


async def test_fact_that_nobody_took_survives_a_restart(desk: Desk) -> None:
    desk.start()
    desk.journal.started(EVSE, Started(session=session()))
    await eventually(desk.path.exists)
    await desk.stop()
    desk.journal = desk.fresh()
    assert desk.journal.open_session("e1") == session()
    await desk.archive()
    desk.start()
    await eventually(lambda: [f.session_id for f in desk.facts] == ["one"])


async def test_fixed_token_counts_where_no_card_was_read(desk: Desk) -> None:
    await desk.archive()
    desk.start()
    desk.journal.started(EVSE, Started(session=session()))
    change = Ended(session=session(), ended_at=CLOCK.now(), energy_stop_wh=None)
    desk.journal.ended("e1", change, reason="unplugged")
    await eventually(lambda: len(desk.facts) == 2)
    assert [fact.token for fact in desk.facts] == ["FIXED", "FIXED"]


async def test_card_shown_during_a_session_survives_a_restart(desk: Desk) -> None:
    desk.start()
    desk.journal.started(EVSE, Started(session=session()))
    await eventually(desk.path.exists)
    desk.journal.updated("e1", session(token="LATE"))
    desk.journal.updated("unknown", session(token="LATE"))
    await desk.stop()
    assert desk.fresh().open_session("e1") == session(token="LATE")


async def test_session_of_a_removed_evse_ends(desk: Desk) -> None:
    await desk.archive()
    desk.start()
    desk.journal.started(EVSE, Started(session=session()))
    desk.journal.end_all_but({"e1"})
    desk.journal.end_all_but({"e2"})
    await eventually(lambda: len(desk.facts) == 2)
    assert desk.facts[1].reason == "evse removed"
    assert desk.journal.open_session("e1") is None


async def test_end_of_an_unknown_session_is_no_fact(desk: Desk) -> None:
    change = Ended(session=session(), ended_at=CLOCK.now(), energy_stop_wh=None)
    desk.journal.ended("e1", change, reason="unplugged")
    desk.start()
    await desk.stop()
    assert not desk.facts


async def test_damaged_file_is_no_reason_not_to_start(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.path.parent.mkdir()
    desk.path.write_text("{")
    assert desk.fresh().open_session("e1") is None
    assert "cannot be read" in caplog.text


async def test_without_a_place_to_write_sessions_are_published_all_the_same(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.path.parent.write_text("a file where the directory should be")
    await desk.archive()
    desk.start()
    desk.journal.started(EVSE, Started(session=session()))
    await eventually(lambda: len(desk.facts) == 1)
    await desk.stop()
    assert caplog.text.count("will not survive") == 1


async def test_fact_is_offered_again_until_it_is_safe(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("modbus_bridge.journal.RETRY_S", 0.01)
    desk.start()
    desk.journal.started(EVSE, Started(session=session()))
    await eventually(lambda: "not safe yet" in caplog.text)
    await desk.archive()
    await eventually(lambda: [f.session_id for f in desk.facts] == ["one"])
