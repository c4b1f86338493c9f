"""Texts of stations, made such that every database takes them: a station may send anything."""

from datetime import UTC, datetime

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
    return storable(text.replace("\x00", ""), most=LONGEST_NAME)


def moment_of(seconds: float | None) -> datetime | None:
    """Return a moment told in seconds since 1970; ``None`` where that is no moment."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
