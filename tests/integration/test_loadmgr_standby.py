"""Two instances of load management: one decides, the other takes over without a jump."""

import asyncio
import time
from collections import defaultdict

import pytest

from shared.contracts.site import SiteConfig
from tests.broker import Broker
from tests.conditions import eventually
from tests.integration.loadmgr_world import (
    Box,
    Join,
    Sent,
    World,
    instance,
    over_rabbit,
    process,
    site_with,
    world_of,
)

TAKES_OVER_WITHIN_S = 10.0
"""Facts are collected for 3 s; a broker needs a moment to see that a connection is gone."""
WATCHED_S = 3.0


def crowded() -> tuple[SiteConfig, dict[str, Box]]:
    """Three cars on 32 A: two could use it alone, so every ampere is given away."""
    names = ("a", "b", "c")
    return site_with({name: {"max_a": 20} for name in names}), {
        name: Box(wants_a=20.0) for name in names
    }


FAIR_A = 32 / 3


async def settled(world: World) -> None:
    await world.until_all_have(dict.fromkeys(world.boxes, FAIR_A))


def firsts(sent: list[Sent]) -> dict[str, Sent]:
    """The first setpoint of each EVSE."""
    found: dict[str, Sent] = {}
    for one in sent:
        found.setdefault(one.evse_id, one)
    return found


def revisions_rise(sent: list[Sent]) -> bool:
    by_evse: defaultdict[str, list[int]] = defaultdict(list)
    for one in sent:
        by_evse[one.evse_id].append(one.revision)
    return all(revisions == sorted(set(revisions)) for revisions in by_evse.values())


async def test_one_of_two_decides(join: Join) -> None:
    async with world_of(join, *crowded()) as world, instance(world), instance(world):
        await settled(world)
        world.base_a = 5.0  # there is something to decide
        await eventually(lambda: sum(world.limits().values()) <= 27, within_s=20)
        await asyncio.sleep(WATCHED_S)
        assert len(world.senders_since(0)) == 1
        assert {d.meta.sender for d in world.decided} == world.senders_since(0)
        assert revisions_rise(world.sent)


async def test_the_other_one_takes_over_without_a_jump(join: Join) -> None:
    async with world_of(join, *crowded()) as world, instance(world) as active:
        await settled(world)
        async with instance(world) as standby:
            await asyncio.sleep(1)
            before = world.limits()
            await active.kill()
            killed_s = time.monotonic()
            await eventually(
                lambda: firsts(world.since(killed_s)).keys() == before.keys(),
                within_s=TAKES_OVER_WITHIN_S,
                claim="every EVSE hears from the other instance",
            )
            await asyncio.sleep(WATCHED_S)
            after = world.since(killed_s)
            assert {one.sender for one in after} == {standby.name}
            assert all(0 < one.limit_a <= before[one.evse_id] for one in firsts(after).values())
            assert not [one for one in after if one.limit_a == 0], "nobody is stopped without need"
            assert revisions_rise(world.sent)
            await settled(world)
            assert world.overloads == []


async def test_a_car_that_leaves_current_unused_is_not_stopped_by_a_takeover(memory: Join) -> None:
    site, boxes = crowded()
    boxes["a"].wants_a = 8.0
    async with world_of(memory, site, boxes) as world, instance(world) as active:
        await eventually(lambda: world.boxes["a"].limit_a >= 8.0, within_s=30)
        async with instance(world):
            await asyncio.sleep(1)
            before = world.limits()
            await active.kill()
            killed_s = time.monotonic()
            await eventually(
                lambda: "a" in firsts(world.since(killed_s)), within_s=TAKES_OVER_WITHIN_S
            )
            first = firsts(world.since(killed_s))["a"]
            assert 6.0 <= first.limit_a <= before["a"]
            await asyncio.sleep(WATCHED_S)
            assert not [one for one in world.since(killed_s) if one.limit_a == 0]
            assert world.overloads == []


async def test_a_box_that_does_not_tell_its_offer_is_not_stopped_by_a_takeover(
    memory: Join,
) -> None:
    site, boxes = crowded()
    for box in boxes.values():
        box.tells_offer = False
    async with world_of(memory, site, boxes) as world, instance(world) as active:
        await settled(world)
        async with instance(world):
            await asyncio.sleep(1)
            before = world.limits()
            await active.kill()
            killed_s = time.monotonic()
            await eventually(
                lambda: firsts(world.since(killed_s)).keys() == before.keys(),
                within_s=TAKES_OVER_WITHIN_S,
            )
            await asyncio.sleep(WATCHED_S)
            after = world.since(killed_s)
            assert all(0 < one.limit_a <= before[one.evse_id] for one in firsts(after).values())
            assert not [one for one in after if one.limit_a == 0]
            assert world.overloads == []


async def test_nothing_is_decided_before_facts_are_in(memory: Join) -> None:
    async with world_of(memory, *crowded()) as world:
        for box in world.boxes.values():
            box.limit_a = 10.6  # somebody has told them so, before anybody here was born
        async with instance(world) as only:
            await eventually(lambda: world.asked, within_s=10)
            asked_s = time.monotonic()
            await eventually(lambda: len(firsts(world.sent)) == 3, within_s=TAKES_OVER_WITHIN_S)
            assert world.asked == [only.name]
            assert min(one.at_s for one in world.sent) - asked_s > 2.5
            assert all(0 < one.limit_a <= FAIR_A + 0.1 for one in firsts(world.sent).values())
            await settled(world)
            assert world.overloads == []


@pytest.mark.rabbit
async def test_the_other_one_takes_over_from_a_process_that_is_killed(broker: Broker) -> None:
    async with (
        world_of(over_rabbit(broker.url), *crowded()) as world,
        process(broker.url) as active,
    ):
        await settled(world)
        (killed,) = world.senders_since(0)
        async with process(broker.url):
            await asyncio.sleep(4)  # it has started, and waits
            assert world.senders_since(0) == {killed}
            before = world.limits()
            active.kill()
            await active.wait()
            killed_s = time.monotonic()
            await eventually(
                lambda: firsts(world.since(killed_s)).keys() == before.keys(),
                within_s=TAKES_OVER_WITHIN_S,
                claim="every EVSE hears from the other process",
            )
            await asyncio.sleep(WATCHED_S)
            after = world.since(killed_s)
            assert killed not in {one.sender for one in after}
            assert len({one.sender for one in after}) == 1
            assert all(0 < one.limit_a <= before[one.evse_id] for one in firsts(after).values())
            assert not [one for one in after if one.limit_a == 0]
            assert revisions_rise(world.sent)
            assert world.overloads == []


def roomy(names: str, *, revision: int = 1, limit_a: float = 100.0) -> SiteConfig:
    """A fuse that carries everybody."""
    return site_with(
        {name: {"max_a": 16} for name in names},
        revision=revision,
        circuits=[{"id": "main", "limit_a": limit_a}],
    )


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(roomy("abcd", revision=2), id="one more"),
        pytest.param(roomy("ab", revision=2), id="one less"),
        pytest.param(roomy("abc", revision=2, limit_a=60), id="another limit"),
    ],
)
async def test_a_changed_site_disturbs_nobody_else(memory: Join, changed: SiteConfig) -> None:
    boxes = {name: Box(wants_a=16.0) for name in "abcd"}
    async with world_of(memory, roomy("abc"), boxes) as world, instance(world) as only:
        await world.until_all_have(dict.fromkeys("abc", 16.0))
        begin_s = time.monotonic()
        await world.change_site(changed)
        await asyncio.sleep(WATCHED_S)
        new = {evse.id for evse in changed.evses}
        others = [one for one in world.since(begin_s) if one.evse_id in "ab"]
        assert all(one.limit_a == 16.0 for one in others)
        assert world.asked == [only.name], "nothing has started anew"
        if "d" in new:
            await world.until_all_have({"d": 16.0})
        assert world.overloads == []


async def test_the_other_one_knows_what_was_changed_while_it_waited(memory: Join) -> None:
    boxes = {name: Box(wants_a=16.0) for name in "abcd"}
    async with world_of(memory, roomy("abc"), boxes) as world, instance(world) as active:
        await world.until_all_have(dict.fromkeys("abc", 16.0))
        async with instance(world) as standby:
            await asyncio.sleep(1)
            await world.change_site(roomy("abd", revision=2))
            await world.until_all_have({"d": 16.0})
            await active.kill()
            killed_s = time.monotonic()
            await eventually(
                lambda: firsts(world.since(killed_s)).keys() == set("abd"),
                within_s=TAKES_OVER_WITHIN_S,
                claim="those of the new site hear from the other instance, and nobody else",
            )
            after = world.since(killed_s)
            assert {one.sender for one in after} == {standby.name}
            assert all(one.limit_a == 16.0 for one in after)


async def test_a_lower_limit_of_a_changed_site_is_kept_within_seconds(memory: Join) -> None:
    boxes = {name: Box(wants_a=16.0) for name in "abc"}
    async with world_of(memory, roomy("abc"), boxes) as world, instance(world):
        await world.until_all_have(dict.fromkeys("abc", 16.0))
        await world.change_site(roomy("abc", revision=2, limit_a=30))
        await eventually(lambda: sum(world.limits().values()) <= 30, within_s=3)
        await world.until_all_have(dict.fromkeys("abc", 10.0))


async def test_a_storm_of_facts_is_told_about_once_a_second(memory: Join) -> None:
    async with world_of(memory, *crowded()) as world, instance(world):
        await settled(world)
        begin_s, decided = time.monotonic(), len(world.decided)
        while (passed_s := time.monotonic() - begin_s) < WATCHED_S:
            world.base_a = 2.5 * passed_s  # so every cycle has something to lower
            await world.measure()
            await asyncio.sleep(0.02)
        assert world.since(begin_s)
        assert 1 <= len(world.decided) - decided <= WATCHED_S + 1
