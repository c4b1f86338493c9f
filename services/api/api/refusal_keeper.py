"""Writes refused connections to the database now and then, and reads them after a start."""

import logging

from api.flushing import keep_flushing
from api.refusal_book import RefusalBook
from api.storage.refusals import RefusalStore
from shared.errors import StoreUnavailable

logger = logging.getLogger(__name__)


class RefusalKeeper:
    """Keeps the table like the book."""

    def __init__(self, book: RefusalBook, store: RefusalStore) -> None:
        self._book = book
        self._store = store

    async def load(self) -> None:
        """Take over what was written before this start."""
        self._book.remember(await self._store.all())

    async def run(self) -> None:
        """Write for ever, and once more when this is cancelled."""
        await keep_flushing(self.flush)

    async def flush(self) -> None:
        """Write what has changed; while the database is away it stays in the book."""
        unsaved = self._book.take_unsaved()
        if not unsaved:
            return
        try:
            await self._store.save(unsaved)
        except StoreUnavailable as error:
            self._book.give_back(unsaved)
            logger.debug("refusals not written: %s", error)
