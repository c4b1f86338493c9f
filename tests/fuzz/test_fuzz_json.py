"""Calls of which the JSON is sound and the content is not, as hypothesis finds and shrinks them.

The strategies know the schemas: they drop, retype, rename and exaggerate fields that are there.
"""

import asyncio
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.harness import World, fuzzed_core
from tests.fuzz.seeds import CALLS

EXAMPLES = 150
FRAMES_OF_AN_EXAMPLE = 8

pytestmark = pytest.mark.timeout(300)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=80)
    | st.sampled_from(["1", " 1 ", "-0", "1e5", "16,5", "1970-01-01T00:00:00Z", "x" * 5_000])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every field."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield (*path, key)
        if isinstance(value[key], dict | list):
            yield from _places(value[key], (*path, key))


@st.composite
def payloads(draw: st.DrawFn) -> tuple[str, Any]:
    """Draw an action and a payload that is nearly valid."""
    action = draw(st.sampled_from(sorted(CALLS)))
    payload = deepcopy(CALLS[action])
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(payload))
        if places:
            _bend(draw, payload, draw(st.sampled_from(places)))
        else:
            payload[draw(st.text(max_size=5))] = draw(values)
    if draw(st.integers(0, 30)) == 0:
        return action, draw(values)
    return action, payload


def _bend(draw: st.DrawFn, payload: Any, path: tuple[Any, ...]) -> None:
    *above, last = path
    holder = payload
    for step in above:
        holder = holder[step]
    deed = draw(st.sampled_from(["drop", "retype", "rename", "wrap", "repeat"]))
    value = holder[last]
    if deed == "drop":
        del holder[last]
    elif deed == "rename" and isinstance(holder, dict):
        del holder[last]
        holder[draw(st.sampled_from([last.upper(), f"{last}s", f" {last}"]))] = value
    elif deed == "wrap":
        holder[last] = {"value": value} if isinstance(value, list) else [value]
    elif deed == "repeat":
        holder[last] = [deepcopy(value) for _ in range(draw(st.sampled_from([0, 2, 50])))]
    else:
        holder[last] = draw(values)


async def _send(world: World, calls: list[tuple[str, Any]]) -> None:
    """Send calls on a new connection: each is answered, and the neighbour is, too."""
    hostile = await world.hostile()
    for number, (action, payload) in enumerate(calls):
        hostile.say(orjson.dumps([2, f"h{number}", action, payload]))
    world.ask_beside()
    await hostile.settled()
    assert hostile.is_open, "sound JSON is no reason to close"
    world.check_bounds()
    await hostile.leave()
    await world.check_harmless()


def test_bent_payloads_are_answered_by_the_rules(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        stop = asyncio.Event()
        started: asyncio.Future[World] = runner.get_loop().create_future()

        async def serve() -> None:
            async with fuzzed_core(tmp_path, seed=0) as world:
                started.set_result(world)
                await stop.wait()

        async def begin() -> World:
            serving.append(asyncio.create_task(serve()))
            world = await started
            world.tasks = asyncio.all_tasks()
            return world

        serving: list[asyncio.Task[None]] = []
        world = runner.run(begin())

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        )
        @given(st.lists(payloads(), min_size=1, max_size=FRAMES_OF_AN_EXAMPLE))
        def every(calls: list[tuple[str, Any]]) -> None:
            runner.run(_sending(world, calls))

        every()

        async def end() -> None:
            stop.set()
            await serving[0]

        runner.run(end())
    assert world.referee.sent > EXAMPLES
    assert world.referee.results > world.referee.sent / 10


async def _sending(world: World, calls: list[tuple[str, Any]]) -> None:
    """The task of each example is new, and no leak."""
    task = asyncio.current_task()
    assert task is not None
    kept = world.tasks
    world.tasks = {one for one in kept if not one.done()} | {task}
    try:
        await _send(world, calls)
    finally:
        world.tasks = kept
