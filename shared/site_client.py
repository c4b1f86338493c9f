"""Keeps a service's copy of the site: asked for at start, and told of every change."""

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

from shared.bus.port import Bus
from shared.contracts.site import GetSite, SiteAnswer, SiteChanged, SiteConfig
from shared.kept_copy import KeptCopy

logger = logging.getLogger(__name__)

SiteListener = Callable[[SiteConfig], None]


class SiteClient:
    """The present site of a service.

    Silence: without an answer the last known site stays in force; before the first one there is
    none, and ``first`` waits.
    """

    def __init__(self, bus: Bus) -> None:
        self._copy = KeptCopy(
            bus,
            GetSite(),
            SiteChanged,
            answer_in=lambda change: SiteAnswer(site=change.site),
            replaces=lambda new, old: new.site.revision > old.site.revision,
            growth=1,
        )
        self._copy.on_change(
            lambda new: logger.info("site revision %s in force", new.site.revision)
        )

    async def __aenter__(self) -> Self:
        """Listen for changes and start asking."""
        await self._copy.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        await self._copy.close()

    @property
    def current(self) -> SiteConfig:
        """The present site; only after ``first`` has returned."""
        if self._copy.answer is None:
            raise LookupError("the site has not arrived yet: await first()")
        return self._copy.answer.site

    async def first(self) -> SiteConfig:
        """Wait for the first site. Waits as long as it takes: nothing is decided without one."""
        await self._copy.first()
        return self.current

    def on_change(self, listener: SiteListener) -> None:
        """Call ``listener`` with every site newer than the one before."""
        self._copy.on_change(lambda answer: listener(answer.site))
