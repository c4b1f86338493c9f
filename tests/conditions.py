"""Waiting in tests: for a condition with a deadline, never for a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any


async def eventually(
    condition: Callable[[], Any | Awaitable[Any]],
    *,
    within_s: float = 10.0,
    every_s: float = 0.01,
    claim: str = "",
) -> Any:
    """Return the first truthy value of ``condition``; fail when there is none in time."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {claim or condition}")
        await asyncio.sleep(every_s)
