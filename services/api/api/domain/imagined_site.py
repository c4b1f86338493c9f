"""A site that is only asked about: the stored one with some changes, none made in place."""

from typing import Any

from api.domain.problem import Problem
from api.domain.site_parts import find_part, merged, with_part, without_part
from api.domain.site_secrets import Document


def with_changes(stored: Document, changes: Document) -> Document:
    """Return the stored site with changes as a JSON merge patch (RFC 7396).

    Beyond that, parts may be named by their ids: ``{"circuits": {"main": {"limit_a": 80}}}``
    changes one circuit or adds it, and ``null`` removes it. A list replaces all parts, as ever.
    """
    document = stored
    for field, value in changes.items():
        if _names_parts(stored, field, value):
            document = _with_parts(document, field, value)
        else:
            document = merged(document, {field: value})
    return document


def removal_problems(stored: Document, changes: Document) -> list[Problem]:
    """Return a problem for each part that changes remove although the stored site has none.

    Passed over it would look as if the part made no difference.
    """
    return [
        Problem(
            f"{field}[{part_id}]",
            f"there is no {part_id!r} in {field} to remove: correct the id, or leave it out",
        )
        for field, value in changes.items()
        if _names_parts(stored, field, value)
        for part_id, patch in value.items()
        if patch is None and find_part(stored, field, part_id) is None
    ]


def _names_parts(stored: Document, field: str, value: Any) -> bool:
    return isinstance(stored.get(field), list) and isinstance(value, dict)


def _with_parts(document: Document, field: str, parts: dict[str, Any]) -> Document:
    for part_id, patch in parts.items():
        found = find_part(document, field, part_id)
        if patch is None:
            document = without_part(document, field, part_id)
        elif isinstance(patch, dict):
            part = merged(found or {"id": part_id}, patch)
            document = with_part(document, field, {**part, "id": part.get("id", part_id)})
        else:  # left for validation to name
            document = {**document, field: [*document[field], patch]}
    return document
