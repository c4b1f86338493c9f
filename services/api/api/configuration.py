"""The site in force: reviewed, stored as a new revision, and told to everybody."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api.domain.problem import Problem, errors_in
from api.domain.site_diff import Change, changes
from api.domain.site_file import site_of
from api.domain.site_rules import problems
from api.domain.site_secrets import Document, revealed
from api.storage.sites import SiteStore, StoredSite
from shared.bus.port import Bus, Delivery
from shared.clock import Clock
from shared.contracts.site import SiteChanged, SiteConfig
from shared.errors import StoreUnavailable
from shared.health import Health
from shared.passwords import hash_password

logger = logging.getLogger(__name__)

ATTEMPTS = 5
"""Another replica may save at the same moment; then the edit is made again on its result."""

WATCH_EVERY_S = 5.0
WATCH_WITHIN_S = 10.0

Edit = Callable[[Document], Document]
"""Makes the new document of the stored one, changing nothing in place."""
SiteListener = Callable[[SiteConfig], None]


@dataclass(frozen=True)
class Review:
    """What an edit would do: the site it makes (if its shape is right), findings, differences."""

    site: SiteConfig | None
    problems: list[Problem]
    changes: list[Change]

    @property
    def is_valid(self) -> bool:
        """It may be saved."""
        return self.site is not None and not errors_in(self.problems)


@dataclass(frozen=True)
class Saved:
    """The edit is in force; without changes the revision is the one that was."""

    revision: int
    review: Review


@dataclass(frozen=True)
class Invalid:
    """The edit makes a site that cannot work."""

    problems: list[Problem]


@dataclass(frozen=True)
class Stale:
    """The site is not any more the one that the client edited."""

    revision: int


SaveOutcome = Saved | Invalid | Stale


def review(edit: Edit, stored: Document) -> Review:
    """Judge an edit. Hashes new passwords, which takes time: call it in a thread.

    ``tokens_revision`` follows the tokens, whatever the edit says of it: the version of local lists
    must grow with them, and only with them.
    """
    draft = revealed(edit(stored), stored, hash_password)
    before = stored.get("tokens_revision", 0)
    site, found = site_of({**draft, "tokens_revision": before})
    if site is None:
        return Review(None, found, [])
    if site.tokens != SiteConfig.model_validate(stored).tokens:
        site = site.model_copy(update={"tokens_revision": stored["revision"] + 1})
    return Review(site, problems(site), changes(stored, document_of(site)))


def document_of(site: SiteConfig) -> Document:
    """Return a site as plain JSON values, secrets included."""
    document: dict[str, Any] = site.model_dump(mode="json")
    return document


class Configuration:
    """Knows the newest site and is the only one that makes newer ones here."""

    def __init__(self, store: SiteStore, bus: Bus, *, clock: Clock, first: SiteConfig) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._saving = asyncio.Lock()
        self._current = first
        self._listeners: list[SiteListener] = []

    @property
    def current(self) -> SiteConfig:
        """The newest site that this replica knows of."""
        return self._current

    def on_change(self, listener: SiteListener) -> None:
        """Call ``listener`` with every site newer than the one before."""
        self._listeners.append(listener)

    async def heard(self, delivery: Delivery[SiteChanged]) -> None:
        """Take over what another replica saved."""
        self._take(delivery.message.site)

    async def refresh(self) -> SiteConfig:
        """Return the newest site, whoever saved it. Without the database, the last known one."""
        try:
            await self._look()
        except StoreUnavailable as error:
            logger.warning("site revision %s used: %s", self._current.revision, error)
        return self._current

    async def watch(self, health: Health) -> None:
        """Notice what another replica saved while the bus was away, and whether there is a store.

        For ever.
        """
        while True:
            try:
                async with asyncio.timeout(WATCH_WITHIN_S):
                    await self._look()
            except (StoreUnavailable, TimeoutError) as error:
                health.report("database", ok=False, detail=str(error) or "no answer")
            else:
                health.report("database", ok=True)
            await asyncio.sleep(WATCH_EVERY_S)

    async def dry_run(self, edit: Edit) -> tuple[Review, int]:
        """Judge an edit and store nothing; also returns the revision it was compared with."""
        stored = await self._newest()
        return await asyncio.to_thread(review, edit, stored.document), stored.revision

    async def save(
        self, edit: Edit, *, expected: frozenset[int] | None, author: str
    ) -> SaveOutcome:
        """Put an edit into force as a new revision.

        ``expected`` are the revisions that the client may have edited; ``None`` = any.
        """
        async with self._saving:
            outcome = await self._save(edit, expected, author=author)
        if isinstance(outcome, Saved) and outcome.review.changes:
            await self._bus.publish(SiteChanged(site=self._current))
        return outcome

    async def _save(
        self, edit: Edit, expected: frozenset[int] | None, *, author: str
    ) -> SaveOutcome:
        for _ in range(ATTEMPTS):
            stored = await self._newest()
            if expected is not None and stored.revision not in expected:
                return Stale(stored.revision)
            judged = await asyncio.to_thread(review, edit, stored.document)
            if judged.site is None or not judged.is_valid:
                return Invalid(judged.problems)
            if not judged.changes:
                return Saved(stored.revision, judged)
            site = judged.site.model_copy(update={"revision": stored.revision + 1})
            new = StoredSite(site.revision, document_of(site))
            if await self._store.add(new, author=author, now=self._clock.now()):
                logger.info("site revision %s saved by %s", site.revision, author)
                self._take(site)
                return Saved(site.revision, judged)
        return Stale(self._current.revision)

    async def _look(self) -> None:
        if await self._store.newest_revision() != self._current.revision:
            await self._newest()

    async def _newest(self) -> StoredSite:
        stored = await self._store.newest()
        if stored is None:
            raise StoreUnavailable("the database holds no site any more")
        self._take(SiteConfig.model_validate(stored.document))
        return stored

    def _take(self, site: SiteConfig) -> None:
        if site.revision <= self._current.revision:
            return
        self._current = site
        for listener in self._listeners:
            listener(site)
