"""How a process ends."""

import asyncio
import os
import signal

import pytest

from shared import runtime
from shared.runtime import EXIT_STOPPED, run_process


async def stopped_while_an_answer_came() -> None:
    """Ask to be stopped, and lose the cancellation deep within, as ``asyncio.wait_for`` may."""
    async with asyncio.TaskGroup() as group:
        group.create_task(poll())
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)


async def poll() -> None:
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        await asyncio.sleep(30)


def test_a_cancellation_that_got_lost_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "CANCEL_AGAIN_S", 0.05)
    monkeypatch.setattr(runtime, "tune_process", lambda: None)
    assert run_process(stopped_while_an_answer_came) == EXIT_STOPPED
