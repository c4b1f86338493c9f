"""Stations that were cut off together must not come back together for ever (field notes 5.1, 8)."""

from zlib import crc32

SHARE = 0.2


def spread(interval_s: int, station_id: str) -> int:
    """Return an interval of 80 to 120 %, always the same for the same station; at least 1 s."""
    place = crc32(station_id.encode()) / 0xFFFF_FFFF
    return max(1, round(interval_s * (1 - SHARE + 2 * SHARE * place)))
