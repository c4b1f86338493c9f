"""Rounds over thousands of stations that hold up nobody."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

T = TypeVar("T")

TOGETHER = 50
"""So many in one go: a millisecond or two, in which no station is answered."""


async def evenly(items: Sequence[T], *, over_s: float) -> AsyncIterator[T]:
    """Yield items spread over a time, some together; a round without any takes as long."""
    goes = max(1, -(-len(items) // TOGETHER))
    for go in range(goes):
        await asyncio.sleep(over_s / goes)
        for item in items[go * TOGETHER : (go + 1) * TOGETHER]:
            yield item
