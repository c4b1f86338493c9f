"""Following what changes: many changes of one thing are one, so a slow follower never lags."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

Key = tuple[str, str]
"""Kind and id of something that changed."""


class Watcher:
    """Collects what changed since it was last asked; many changes of one thing are one."""

    def __init__(self) -> None:
        self._dirty: dict[Key, None] = {}
        self._changed = asyncio.Event()

    def touch(self, key: Key) -> None:
        """Note a change."""
        self._dirty[key] = None
        self._changed.set()

    async def changes(self) -> list[Key]:
        """Wait until something has changed, and return what. Waits for ever where nothing does."""
        await self._changed.wait()
        self._changed.clear()
        dirty, self._dirty = self._dirty, {}
        return list(dirty)


class Watchers:
    """Everybody who follows."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()

    def touch(self, kind: str, name: str) -> None:
        """Tell everybody that something changed."""
        for watcher in self._watchers:
            watcher.touch((kind, name))

    @contextmanager
    def watch(self) -> Iterator[Watcher]:
        """Return a watcher for the time of the block."""
        watcher = Watcher()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
