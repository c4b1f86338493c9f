"""Limits from outside: kept, told to load management, and told again as long as they hold."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

from api.storage.external_limits import ExternalLimitStore
from shared.bus.port import Bus, Delivery, Subscription
from shared.clock import Clock
from shared.contracts.charging import LimitChanged, LimitScope
from shared.contracts.station import FactsRequested
from shared.errors import StoreUnavailable

logger = logging.getLogger(__name__)

REPEAT_EVERY_S = 15.0
"""A word that was lost on the way is heard by then."""
LIFTED_IS_TOLD = timedelta(minutes=10)
"""So long it is repeated that a limit was lifted."""


class ExternalLimits:
    """The words of all sources. Load management remembers nothing, so it is told again.

    One at a time: a word that was read before a newer one is not told after it.
    """

    def __init__(self, store: ExternalLimitStore, bus: Bus, *, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._telling = asyncio.Lock()
        self._subscription: Subscription | None = None

    async def open(self) -> None:
        """Listen for those who ask what there is."""
        self._subscription = await self._bus.listen([FactsRequested], self._heard)

    async def close(self) -> None:
        """Stop listening."""
        if self._subscription is not None:
            await self._subscription.close()

    async def run(self) -> None:
        """Repeat what holds, for ever."""
        while True:
            await self.repeat()
            await asyncio.sleep(REPEAT_EVERY_S)

    async def set(self, word: LimitChanged) -> None:
        """Keep a limit, or that it is lifted, and tell it. Raises ``StoreUnavailable``."""
        async with self._telling:
            await self._store.put(word)
            logger.info("%s %s: %s sets %s", word.scope, word.target, word.source, _told(word))
            await self._bus.publish(word)

    async def current(self) -> Sequence[LimitChanged]:
        """Return the limits of circuits and groups that hold now."""
        now = self._clock.now()
        return [
            word
            for word in await self.words()
            if word.scope is not LimitScope.DIMMING
            and (word.limit_a is not None or word.limit_w is not None)
            and (word.expires_at is None or word.expires_at > now)
        ]

    async def words(self) -> Sequence[LimitChanged]:
        """Return the last word of each source, whether or not it limits anything."""
        return await self._store.all()

    async def repeat(self) -> None:
        """Tell everything again. Without the database the last words hold."""
        async with self._telling:
            try:
                await self._store.forget_over_before(self._clock.now() - LIFTED_IS_TOLD)
                words = await self._store.all()
            except StoreUnavailable as error:
                logger.warning("limits from outside are not repeated now: %s", error)
                return
            for word in words:
                await self._bus.publish(word)

    async def _heard(self, _: Delivery[FactsRequested]) -> None:
        await self.repeat()


def _told(word: LimitChanged) -> str:
    amps = None if word.limit_a is None else [f"{a:g}" for a in word.limit_a.known]
    if amps is None and word.limit_w is None:
        return "no limit"
    return f"{'/'.join(amps or ['any'])} A, {'any' if word.limit_w is None else word.limit_w} W"
