"""Writing in batches: again and again, and once more at the end."""

import asyncio

import pytest

from api import flushing
from api.flushing import keep_flushing
from tests.conditions import eventually


async def test_what_is_gathered_is_written_again_and_again_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flushing, "FLUSH_EVERY_S", 0.001)
    waiting, written = ["first"], []

    async def flush() -> None:
        written.extend(waiting)
        waiting.clear()

    flusher = asyncio.create_task(keep_flushing(flush))
    await eventually(lambda: written == ["first"])
    waiting.append("second")
    await eventually(lambda: written == ["first", "second"])
    monkeypatch.setattr(flushing, "FLUSH_EVERY_S", 3600)
    await asyncio.sleep(0.01)
    waiting.append("last")
    flusher.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flusher
    assert written == ["first", "second", "last"]
