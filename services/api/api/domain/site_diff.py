"""What a new site changes, part by part, for a dry run and for the log."""

from dataclasses import dataclass
from typing import Any

from api.domain.site_secrets import MASK, SECRET_FIELDS, Document, hidden

COUNTED = frozenset({"revision", "tokens_revision"})
"""Not changes themselves; they follow from changes."""


@dataclass(frozen=True)
class Change:
    """One value before and after; ``None`` where there is none. Secrets are never shown."""

    path: str
    before: Any
    after: Any


def changes(before: Document, after: Document) -> list[Change]:
    """Return what differs between two site documents, except the numbers of revisions."""
    old = {key: value for key, value in before.items() if key not in COUNTED}
    new = {key: value for key, value in after.items() if key not in COUNTED}
    return _compare("", old, new)


def _compare(path: str, before: Any, after: Any) -> list[Change]:
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        joined = [(f"{path}.{key}" if path else key, key) for key in keys]
        return [c for name, key in joined for c in _compare(name, before.get(key), after.get(key))]
    old, new = _by_id(before), _by_id(after)
    if old is not None and new is not None and (old or new):
        ids = [*old, *(key for key in new if key not in old)]
        return [c for i in ids for c in _compare(f"{path}[{i}]", old.get(i), new.get(i))]
    return [Change(path, _shown(path, before), _shown(path, after))]


def _by_id(value: Any) -> dict[str, Any] | None:
    """Return a list of parts by their ids, or nothing when it is not one."""
    if not isinstance(value, list):
        return None
    if not all(isinstance(item, dict) and "id" in item for item in value):
        return None
    return {item["id"]: item for item in value}


def _shown(path: str, value: Any) -> Any:
    if path.rpartition(".")[2] in SECRET_FIELDS:
        return None if value is None else MASK
    return hidden(value) if isinstance(value, dict) else value
