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
    """Return the first truthy value of ``condition``; fail when there is none in time.

    What looks at something that has not come yet (the last of no messages, a row that is not
    there) is not met, and is the cause named when it never comes.
    """
    deadline = time.monotonic() + within_s
    while True:
        value, missing = None, None
        try:
            value = condition()
            if isinstance(value, Awaitable):
                value = await value
        except LookupError as error:
            missing = error
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {claim or condition}") from missing
        await asyncio.sleep(every_s)
