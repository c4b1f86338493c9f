"""Editing one part of a site document: replace, remove, merge. Nothing is changed in place."""

from typing import Any

from api.domain.site_secrets import Document


def find_part(document: Document, field: str, part_id: str) -> Document | None:
    """Return one item of a list of the site; stations and tokens are found in any case."""
    for part in document[field]:
        if _same(field, part["id"], part_id):
            found: Document = part
            return found
    return None


def with_part(document: Document, field: str, part: Document) -> Document:
    """Return the document with an item replaced, or added at the end."""
    part_id = part["id"]
    items = [part if _same(field, old["id"], part_id) else old for old in document[field]]
    if find_part(document, field, part_id) is None:
        items.append(part)
    return {**document, field: items}


def without_part(document: Document, field: str, part_id: str) -> Document:
    """Return the document without an item."""
    kept = [part for part in document[field] if not _same(field, part["id"], part_id)]
    return {**document, field: kept}


def merged(target: Any, patch: Any) -> Any:
    """Return the target with a JSON merge patch applied (RFC 7396): null removes, lists replace."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _same(field: str, first: str, second: str) -> bool:
    if field in ("stations", "tokens"):
        return first.casefold() == second.casefold()
    return first == second
