"""How a process ends."""

import asyncio
import os
import signal

import pytest

from shared import runtime
from shared.runtime import EXIT_STOPPED, run_process


async def stopped_once_too_early() -> None:
    """Ask to be stopped, and lose the first cancellation, as ``asyncio.wait_for`` may."""
    os.kill(os.getpid(), signal.SIGTERM)
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        await asyncio.sleep(30)


def test_a_cancellation_that_got_lost_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "CANCEL_AGAIN_S", 0.05)
    monkeypatch.setattr(runtime, "tune_process", lambda: None)
    assert run_process(stopped_once_too_early) == EXIT_STOPPED
