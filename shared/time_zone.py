"""Time zones by their IANA names: of this machine, or of the package ``tzdata``."""

from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=64)
def zone_named(name: str) -> ZoneInfo | None:
    """Return a zone by its name, such as ``Europe/Berlin``; None where there is no such zone."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there; no name at all; a folder such as "Europe"
        return None
