"""Texts of stations, made such that every database takes them: a station may send anything."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

LONGEST_NAME = 255
NUL_SHOWN = "␀"
"""PostgreSQL stores no NUL character; this is the sign that Unicode has for showing one."""


def storable(text: str, *, most: int) -> str:
    """Return at most ``most`` characters of a text, unchanged where nothing stands against it.

    NUL is shown as its sign, and halves of surrogate pairs as the escape that JSON has for them.
    """
    if len(text) > most:
        text = text[:most]
    if "\x00" in text:
        text = text.replace("\x00", NUL_SHOWN)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def storable_name(text: str) -> str:
    """Return an id as the other tables have it: without NUL characters, 255 characters at most."""
    return storable(_without_nul(text), most=LONGEST_NAME)


def without_nul(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row, none with a NUL character: PostgreSQL stores none."""
    return {name: _without_nul(value) for name, value in values.items()}


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    return [_without_nul(item) for item in value] if isinstance(value, list) else value


def moment_of(seconds: float | None) -> datetime | None:
    """Return a moment told in seconds since 1970; ``None`` where that is no moment."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
