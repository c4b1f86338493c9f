"""The site of the first start: from a file the operator prepared, or nearly empty."""

import asyncio
from pathlib import Path

from api.configuration import document_of
from api.domain.problem import Problem, errors_in
from api.domain.site_file import UnreadableFile, read_yaml, site_of
from api.domain.site_rules import problems
from api.domain.site_secrets import revealed
from api.storage.sites import SiteStore, StoredSite
from shared.clock import Clock
from shared.contracts.site import Circuit, SiteConfig
from shared.errors import ConfigError
from shared.passwords import hash_password


async def load_or_make_site(store: SiteStore, file: Path | None, *, clock: Clock) -> SiteConfig:
    """Return the stored site; at the first start store one.

    Raises ``ConfigError`` naming file, place and problem when the prepared file cannot be used.
    """
    stored = await store.newest()
    if stored is None:
        first = await asyncio.to_thread(_prepared, file) if file is not None else empty_site()
        counted = {"revision": 1, "tokens_revision": 1 if first.tokens else 0}
        first = first.model_copy(update=counted)
        new = StoredSite(1, document_of(first))
        await store.add(new, author="first start", now=clock.now())
        stored = await store.newest() or new  # another replica may have been first
    return SiteConfig.model_validate(stored.document)


def empty_site() -> SiteConfig:
    """Return a site with a grid connection of 32 A and nothing else."""
    main = Circuit.model_validate({"id": "main", "name": "Grid connection", "limit_a": 32})
    return SiteConfig(circuits=(main,))


def _prepared(file: Path) -> SiteConfig:
    try:
        document = revealed(read_yaml(file.read_text(encoding="utf-8")), {}, hash_password)
    except UnreadableFile as error:
        raise ConfigError(f"PARKADE_SITE_FILE {file}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"PARKADE_SITE_FILE {file} cannot be read: {error}") from error
    site, found = site_of(document)
    if site is not None:
        found = errors_in(problems(site))
    if site is None or found:
        raise ConfigError(f"PARKADE_SITE_FILE {file} cannot be used:\n  {_lines(found)}")
    return site


def _lines(found: list[Problem]) -> str:
    return "\n  ".join(f"{problem.path}: {problem.message}" for problem in found)
