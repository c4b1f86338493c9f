"""What is gathered in memory is written in batches, and nothing is left at the end."""

import asyncio
from collections.abc import Awaitable, Callable

FLUSH_EVERY_S = 2.0


async def keep_flushing(flush: Callable[[], Awaitable[None]]) -> None:
    """Write now and then, for ever, and once more when this is cancelled."""
    try:
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            await flush()
    finally:
        await flush()
