"""Secrets in a site document: hidden on the way out, kept or replaced on the way in.

Works on plain documents (what JSON and YAML hold), because clients send a field ``password`` that
the site does not have.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

MASK = "***"
"""Shown instead of a secret; sent back it means unchanged."""

Document = dict[str, Any]
SECRET_FIELDS = frozenset({"password", "password_hash", "next_password_hash"})


def hidden(document: Document) -> Document:
    """Return the document with every secret replaced by ``***``."""
    return {key: _hidden_value(key, value) for key, value in document.items()}


def _hidden_value(key: str, value: Any) -> Any:
    if key in SECRET_FIELDS:
        return None if value is None else MASK
    if isinstance(value, dict):
        return hidden(value)
    if isinstance(value, list):
        return [_hidden_value(key, item) for item in value]
    return value


def revealed(draft: Document, stored: Document, hash_password: Callable[[str], str]) -> Document:
    """Return the draft as it is to be stored.

    ``password`` of the OCPP server and of stations becomes ``password_hash``; ``***`` becomes what
    is stored for the same part. A ``***`` that stands for nothing is left for the rules to refuse.
    Parts of the wrong shape are left for validation to name.
    """
    result = deepcopy(draft)
    for part, before in _holders_of_passwords(result, stored):
        _hash_or_keep(part, before, hash_password)
    for part, before in _pairs(result, stored, "stations"):
        if part.get("next_password_hash") == MASK:
            part["next_password_hash"] = before.get("next_password_hash") or MASK
    for part, before in _holders_of_backends(result, stored):
        if part.get("password") == MASK and before.get("password") is not None:
            part["password"] = before["password"]
    return result


def _hash_or_keep(part: Document, before: Document, hash_password: Callable[[str], str]) -> None:
    if "password" in part:
        password = part.pop("password")
        if password == MASK:
            part.setdefault("password_hash", MASK)
        elif isinstance(password, str) and password:
            part["password_hash"] = hash_password(password)
        else:
            # Anything but text or nothing is a mistake that validation has to name.
            part["password_hash"] = password or None
    if part.get("password_hash") == MASK:
        part["password_hash"] = before.get("password_hash") or MASK


def _holders_of_passwords(draft: Document, stored: Document) -> Iterator[tuple[Document, Document]]:
    server = draft.get("ocpp_server")
    if isinstance(server, dict):
        yield server, stored.get("ocpp_server") or {}
    yield from _pairs(draft, stored, "stations")


def _holders_of_backends(draft: Document, stored: Document) -> Iterator[tuple[Document, Document]]:
    for evse, before in _pairs(draft, stored, "evses"):
        if isinstance(evse.get("backend"), dict):
            yield evse["backend"], before.get("backend") or {}


def _pairs(draft: Document, stored: Document, name: str) -> Iterator[tuple[Document, Document]]:
    """Yield each part of a list with its stored self, matched by id."""
    parts = draft.get(name)
    if not isinstance(parts, list):
        return
    before = {part["id"]: part for part in stored.get(name, ())}
    for part in parts:
        if isinstance(part, dict):
            part_id = part.get("id")
            yield part, before.get(part_id, {}) if isinstance(part_id, str) else {}
