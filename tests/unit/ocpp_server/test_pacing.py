"""Rounds are spread over their time, and reach everybody once."""

import asyncio

import pytest

from ocpp_server.pacing import TOGETHER, evenly


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return slept


@pytest.mark.parametrize("count", [0, 1, TOGETHER, TOGETHER + 1, 20 * TOGETHER - 1])
async def test_a_round_reaches_everybody_and_takes_its_time(
    pauses: list[float], count: int
) -> None:
    assert [item async for item in evenly(range(count), over_s=2.0)] == list(range(count))
    assert sum(pauses) == pytest.approx(2.0)
    assert len(pauses) == max(1, -(-count // TOGETHER))
