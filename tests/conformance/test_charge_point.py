"""The charge point of these tests notices what a central system must not do."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.conditions import eventually
from tests.conformance.charge_point import CallRefused, ChargePoint

RESET = {"type": "Hard"}
ACCEPTED = {"status": "Accepted"}


class CentralSystem:
    """Sends any text, and answers every call with the same text."""

    def __init__(self) -> None:
        self.answer = '[3,"{id}",{}]'
        self.heard: list[Any] = []
        self._stations: list[ServerConnection] = []

    async def serve(self, station: ServerConnection) -> None:
        """Hear a station until it goes."""
        self._stations.append(station)
        async for text in station:
            frame = json.loads(text)
            self.heard.append(frame)
            if frame[0] == 2:
                await station.send(self.answer.replace("{id}", frame[1]))

    async def send(self, *frames: Any) -> None:
        """Send frames one after another, without waiting for answers; text goes as it is."""
        for frame in frames:
            await self._stations[-1].send(frame if isinstance(frame, str) else json.dumps(frame))


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[ChargePoint, CentralSystem]]:
    """A charge point at a central system that the test plays."""
    central = CentralSystem()
    async with serve(central.serve, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:  # type: ignore[list-item]
        port = server.sockets[0].getsockname()[1]
        station = ChargePoint(url=f"ws://127.0.0.1:{port}", identity="CP1")
        await station.connect()
        try:
            yield station, central
        finally:
            await station.disconnect()


async def test_a_good_call_is_answered_and_is_no_violation() -> None:
    async with connected() as (station, central):
        await central.send([2, "a", "Reset", RESET])
        assert await station.called("Reset", type="Hard") == RESET
        await eventually(lambda: central.heard)
        assert central.heard == [[3, "a", ACCEPTED]]
        assert station.violations == []


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([[2, "a", "Reset", {"type": "Warm"}]], "breaks the schema"),
        ([[2, "a", "Reset", {"type": "Hard", "more": 1}]], "breaks the schema"),
        ([[2, "a", "Explode", {}]], "no action"),
        ([[2, "a" * 37, "ClearCache", {}]], "longer than 36"),
        ([[2, 1, "ClearCache", {}]], "no frame"),
        ([[2, "a", "ClearCache"]], "no frame"),
        ([[3, "nothing-asked", {}]], "no open call"),
        ([[2, "a", "ClearCache", {}], [2, "b", "ClearCache", {}]], "another call"),
    ],
)
async def test_what_breaks_the_specification_is_a_violation(frames: list[Any], words: str) -> None:
    async with connected() as (station, central):
        station.answer("ClearCache", _slow)
        await central.send(*frames)
        await eventually(lambda: station.violations)
        assert words in station.violations[0]


async def _slow(_payload: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(0.1)
    return ACCEPTED


async def test_an_id_that_was_used_before_is_a_violation() -> None:
    async with connected() as (station, central):
        await central.send([2, "a", "ClearCache", {}])
        await eventually(lambda: central.heard)
        assert station.violations == []
        await central.send([2, "a", "ClearCache", {}])
        await eventually(lambda: station.violations)
        assert "used twice" in station.violations[0]


async def test_an_answer_that_breaks_the_schema_is_a_violation() -> None:
    async with connected() as (station, _):
        await station.call("Heartbeat", {})
        assert "currentTime" in station.violations[0]


async def test_a_call_error_fails_the_test_that_called() -> None:
    async with connected() as (station, central):
        central.answer = '[4,"{id}","NotImplemented","",{}]'
        with pytest.raises(CallRefused, match="NotImplemented"):
            await station.call("Heartbeat", {})


async def test_a_violation_fails_the_test_at_its_end() -> None:
    async with connected() as (station, _):
        station.violations.append("something wrong")
        with pytest.raises(AssertionError, match="something wrong"):
            await station.__aexit__(None, None, None)
