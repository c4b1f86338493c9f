"""Time zones by their IANA names, from the time zone data of this machine."""

from functools import lru_cache
from zoneinfo import ZoneInfo

_SURELY_KNOWN = "Europe/Berlin"


@lru_cache(maxsize=64)
def zone_named(name: str) -> ZoneInfo | None:
    """Return a zone by its name, such as ``Europe/Berlin``; None where this machine knows none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there; no name at all; a folder such as "Europe"
        return None


def knows_zones() -> bool:
    """Tell whether there is time zone data here at all; a lean container may have none."""
    return zone_named(_SURELY_KNOWN) is not None
