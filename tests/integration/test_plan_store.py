"""The keeper of plans over time, in both databases, and while they are away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from api.domain.plans import PlanRecord
from api.plans import Plans
from api.storage.plans import PlanStore, Revision
from shared.bus.memory import MemoryBus
from shared.bus.port import Delivery
from shared.clock import FakeClock
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.plan import ChargingPlan, Override, PlanChanged
from shared.contracts.site import SiteConfig
from shared.errors import StoreUnavailable
from shared.store import Database
from tests.conditions import eventually
from tests.postgres import postgres  # noqa: F401 - a fixture

TEN_MINUTES_S, DAY_S = 600.0, 86_400.0
PLAN = ChargingPlan(energy_wh=10_000)
NO_MORE = Override(charge=False)


def site(*evse_ids: str) -> SiteConfig:
    return SiteConfig.model_validate(
        {
            "circuits": [{"id": "main", "limit_a": 32}],
            "stations": [{"id": "Box", "protocol": "ocpp"}],
            "evses": [
                {"id": evse_id, "station": "Box", "connector": number, "circuit": "main"}
                for number, evse_id in enumerate(evse_ids, start=1)
            ],
        }
    )


class World:
    """A keeper, its time, its database, and what it told."""

    def __init__(self, database: Database, hub: MemoryBus) -> None:
        self.clock = FakeClock()
        self.store = PlanStore(database)
        self._bus = hub.join("api")
        self.listener = hub.join("loadmgr")
        self.told: list[PlanChanged] = []
        self.plans = self.keeper()

    def keeper(self) -> Plans:
        return Plans(self.store, self._bus, clock=self.clock, site=site("bay", "next"))

    async def heard(self, delivery: Delivery[PlanChanged]) -> None:
        self.told.append(delivery.message)

    async def words(self, number: int) -> list[PlanChanged]:
        """Return as many words as there must be, and forget them."""
        await eventually(lambda: len(self.told) >= number)
        words, self.told = self.told, []
        assert len(words) == number
        return words

    def see(self, *states: EvseState, plans: Plans | None = None) -> None:
        for state in states:
            (plans or self.plans).take(
                EvseObserved(
                    evse_id="bay",
                    station_id="Box",
                    connector=1,
                    epoch=1,
                    observed_at=self.clock.now(),
                    online=True,
                    state=state,
                )
            )

    async def close(self) -> None:
        await self._bus.close()
        await self.listener.close()


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    made = World(database, MemoryBus(services=frozenset({"api"})))
    await made.listener.listen([PlanChanged], made.heard)
    yield made
    await made.close()


@asynccontextmanager
async def away(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The database does not answer."""

    async def refuse(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(world.store, "revise", refuse)
        yield


async def test_a_record_comes_back_as_it_was(world: World) -> None:
    now = world.clock.now()
    full = ChargingPlan(
        starts_at=now, ends_at=now + timedelta(hours=2), departs_at=now, energy_wh=1.5
    )
    records = [
        PlanRecord(evse_id="a", plan=full, has_vehicle=True, changed_at=now),
        PlanRecord(evse_id="b", override=Override(charge=True, limit_a=9.5), changed_at=now),
        PlanRecord(evse_id="c", changed_at=now),
    ]
    assert await world.store.put_plan(records[0]) == records[0]
    assert await world.store.put_override(records[1]) == records[1]
    assert await world.store.put_plan(records[2]) == records[2]
    assert await world.store.all() == records
    assert [await world.store.of(name) for name in "abcd"] == [*records, None]


async def test_a_vehicle_that_was_there_for_one_part_is_there_for_the_other(world: World) -> None:
    now = world.clock.now()
    await world.store.put_plan(PlanRecord(evse_id="a", plan=PLAN, has_vehicle=True, changed_at=now))
    stored = await world.store.put_override(
        PlanRecord(evse_id="a", override=NO_MORE, changed_at=now)
    )
    assert (stored.plan, stored.override, stored.has_vehicle) == (PLAN, NO_MORE, True)


async def test_a_rule_meets_the_named_records_only_however_many_are_named(world: World) -> None:
    now = world.clock.now()
    for name in "abc":
        await world.store.put_plan(PlanRecord(evse_id=name, plan=PLAN, changed_at=now))
    met = [
        revision.before.evse_id for revision in await world.store.revise(lambda r: r, only={"b"})
    ]
    assert met == ["b"]
    many = {f"x{number}" for number in range(40_000)}
    assert len(await world.store.revise(lambda r: r, only=many)) == 3
    await world.store.revise(lambda record: None if record.evse_id == "a" else record)
    assert [record.evse_id for record in await world.store.all()] == ["b", "c"]


async def test_the_end_is_repeated_for_ten_minutes_with_its_own_time(world: World) -> None:
    world.see(EvseState.B)
    await world.plans.set_plan("bay", PLAN)
    world.clock.advance(60)
    world.see(EvseState.A)
    await world.plans.follow()
    _, end = await world.words(2)
    assert (end.plan, end.override, end.changed_at) == (None, None, world.clock.now())
    world.clock.advance(TEN_MINUTES_S - 1)
    await world.plans.repeat()
    assert await world.words(1) == [end]
    world.clock.advance(1)
    await world.plans.repeat()
    assert await world.store.all() == []


async def test_a_plan_that_nobody_came_for_ends_and_that_is_told(world: World) -> None:
    ends_at = world.clock.now() + timedelta(hours=1)
    await world.plans.set_plan("bay", ChargingPlan(ends_at=ends_at))
    await world.plans.set_override("bay", NO_MORE)
    world.clock.advance(3600 + DAY_S)
    await world.plans.repeat()
    world.clock.advance(1)
    await world.plans.repeat()
    still, ended = (await world.words(4))[2:]
    assert still.plan == ChargingPlan(ends_at=ends_at)
    assert (ended.plan, ended.override, ended.changed_at) == (None, NO_MORE, world.clock.now())


async def test_what_is_seen_while_the_database_is_away_counts_when_it_is_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.plans.set_plan("bay", PLAN)
    await world.words(1)
    async with away(world, monkeypatch):
        world.see(EvseState.B)
        await world.plans.follow()
        world.see(EvseState.A, EvseState.B)
        await world.plans.repeat()
        with pytest.raises(StoreUnavailable):
            await world.plans.set_override("bay", NO_MORE)
        assert world.told == []
    await world.plans.repeat()
    (word,) = await world.words(1)
    assert word.plan is None
    assert await world.plans.current() == []


async def test_a_failure_is_logged_once_until_it_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        async with away(world, monkeypatch):
            await world.plans.repeat()
            await world.plans.repeat()
        await world.plans.repeat()
    warnings = [line for line in caplog.records if line.levelname == "WARNING"]
    assert len(warnings) == 2


async def test_a_new_keeper_knows_by_the_record_that_a_vehicle_was_there(world: World) -> None:
    await world.plans.set_plan("bay", PLAN)
    world.see(EvseState.B)
    await world.plans.follow()
    again = world.keeper()
    (record,) = await again.current()
    assert record.has_vehicle
    world.see(EvseState.A, plans=again)
    await again.follow()
    assert await again.current() == []


async def test_what_nobody_planned_for_is_seen_without_a_trace(world: World) -> None:
    world.see(EvseState.B, EvseState.A, EvseState.B)
    await world.plans.follow()
    await world.plans.repeat()
    assert await world.store.all() == []
    assert world.told == []


async def test_an_evse_that_left_the_site_is_neither_told_nor_kept_nor_remembered(
    world: World,
) -> None:
    world.see(EvseState.B)
    await world.plans.set_plan("bay", PLAN)
    await world.plans.set_plan("next", PLAN)
    await world.words(2)
    world.plans.use_site(site("next"))
    await world.plans.repeat()
    assert [word.evse_id for word in await world.words(1)] == ["next"]
    world.clock.advance(TEN_MINUTES_S)
    await world.plans.repeat()
    assert [record.evse_id for record in await world.store.all()] == ["next"]
    world.plans.use_site(site("next", "bay"))
    assert not (await world.plans.set_plan("bay", PLAN)).has_vehicle


async def test_it_follows_by_itself_as_soon_as_a_vehicle_leaves(world: World) -> None:
    running = asyncio.create_task(world.plans.run())
    try:
        world.see(EvseState.B)
        await world.plans.set_plan("bay", PLAN)
        world.see(EvseState.A)
        await eventually(lambda: world.told and world.told[-1].plan is None, within_s=5)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_left_before_a_change_takes_only_what_was_there_before(world: World) -> None:
    world.see(EvseState.B)
    await world.plans.set_plan("bay", PLAN)
    world.see(EvseState.A, EvseState.B)
    changed = await world.plans.set_override("bay", NO_MORE)
    assert (changed.plan, changed.override, changed.has_vehicle) == (None, NO_MORE, True)
    world.see(EvseState.A, EvseState.B)
    changed = await world.plans.set_plan("bay", PLAN)
    await world.plans.follow()
    assert await world.plans.current() == [changed]
    assert (changed.plan, changed.override, changed.has_vehicle) == (PLAN, None, True)


async def test_a_word_that_is_being_repeated_is_not_told_after_a_newer_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.plans.set_plan("bay", PLAN)
    has_read, may_go_on = asyncio.Event(), asyncio.Event()
    read = world.store.revise

    async def read_slowly(*args: Any, **options: Any) -> list[Revision]:
        revisions = await read(*args, **options)
        has_read.set()
        await may_go_on.wait()
        return revisions

    monkeypatch.setattr(world.store, "revise", read_slowly)
    newer = ChargingPlan(energy_wh=1)
    repeating = asyncio.create_task(world.plans.repeat())
    await has_read.wait()
    setting = asyncio.create_task(world.plans.set_plan("bay", newer))
    await asyncio.wait({setting}, timeout=0.3)
    may_go_on.set()
    await asyncio.gather(repeating, setting)
    assert [word.plan for word in await world.words(3)] == [PLAN, PLAN, newer]
