"""Keeps a service's copy of the site: asked for at start, and told of every change."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

from shared.bus.port import Bus, Delivery, Subscription
from shared.contracts.site import GetSite, SiteChanged, SiteConfig
from shared.errors import ParkadeError

logger = logging.getLogger(__name__)

ASK_AGAIN_S = 30.0
"""A change is told once; whoever missed it, because the broker was away, asks."""
FIRST_ASK_S = 0.5

SiteListener = Callable[[SiteConfig], None]


class SiteClient:
    """The present site of a service.

    Silence: without an answer the last known site stays in force; before the first one there is
    none, and ``first`` waits.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._site: SiteConfig | None = None
        self._arrived = asyncio.Event()
        self._listeners: list[SiteListener] = []
        self._subscription: Subscription | None = None
        self._asking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Listen for changes and start asking."""
        self._subscription = await self._bus.listen([SiteChanged], self._heard)
        self._asking = asyncio.get_running_loop().create_task(self._keep_asking())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        if self._asking is not None:
            self._asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._asking
        if self._subscription is not None:
            await self._subscription.close()

    @property
    def current(self) -> SiteConfig:
        """The present site; only after ``first`` has returned."""
        if self._site is None:
            raise LookupError("the site has not arrived yet: await first()")
        return self._site

    async def first(self) -> SiteConfig:
        """Wait for the first site. Waits as long as it takes: nothing is decided without one."""
        await self._arrived.wait()
        return self.current

    def on_change(self, listener: SiteListener) -> None:
        """Call ``listener`` with every site newer than the one before."""
        self._listeners.append(listener)

    async def _heard(self, delivery: Delivery[SiteChanged]) -> None:
        self._take(delivery.message.site)

    def _take(self, site: SiteConfig) -> None:
        if self._site is not None and site.revision <= self._site.revision:
            return
        self._site = site
        self._arrived.set()
        logger.info("site revision %s in force", site.revision)
        for listener in self._listeners:
            listener(site)

    async def _keep_asking(self) -> None:
        while True:
            try:
                answer = await self._bus.ask(GetSite(), timeout_s=5.0)
            except ParkadeError as error:
                logger.debug("site not answered: %s", error)
            else:
                self._take(answer.site)
            await asyncio.sleep(FIRST_ASK_S if self._site is None else ASK_AGAIN_S)
