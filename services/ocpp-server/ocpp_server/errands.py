"""What a message of the station leads to: begun in its handler, done after its answer is out."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from shared.errors import ParkadeError

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 4
"""Errands of one station; what comes on top is not begun, so that no station keeps us busy."""

Errand = Callable[[], Coroutine[Any, Any, None]]


class Errands:
    """The errands of one connection. They end with it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._group: asyncio.TaskGroup | None = None
        self._running: dict[str, asyncio.Task[None]] = {}

    def open(self, group: asyncio.TaskGroup) -> None:
        """Run errands in this group from now on."""
        self._group = group

    def begin(self, name: str, errand: Errand) -> bool:
        """Begin an errand, or leave the one of that name running; False when there are too many."""
        if name in self._running:
            return True
        if self._group is None or len(self._running) >= MOST_AT_ONCE:
            return False
        self._running[name] = self._group.create_task(self._run(name, errand))
        return True

    def cancel(self) -> None:
        """The connection is gone: nobody is left to do anything for."""
        for task in tuple(self._running.values()):
            task.cancel()

    async def _run(self, name: str, errand: Errand) -> None:
        try:
            await errand()
        except ParkadeError as error:
            logger.warning("%s: %s came to nothing: %s", self._name, name, error)
        except Exception:
            logger.exception("%s: %s failed", self._name, name)
        finally:
            self._running.pop(name, None)
