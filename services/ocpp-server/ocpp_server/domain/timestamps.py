"""Reading the timestamps of stations, which are as odd as stations are (field notes 5.1, 9)."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from math import floor

_FORM = re.compile(
    r"\s*(\d{4})-(\d{1,2})-(\d{1,2})[Tt ](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d+))?)?"
    r"\s*([Zz]|[+-]\d{1,2}(?::?\d{2})?)?\s*"
)
_FIRST_PLAUSIBLE_YEAR = 2015
_LAST_PLAUSIBLE_YEAR = 2100


def parse_timestamp(text: object) -> datetime | None:
    """Return the moment in UTC, or None when the text tells none that can be true.

    Tolerated: a missing zone (taken as UTC), ``+02``, any number of fractional digits, a blank for
    the T. A clock that was never set (1970) or is mad (year 222222017) tells nothing.
    """
    moment = _read(text)
    if moment is None:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def parse_local_timestamp(
    text: object, zone: tzinfo, *, near: datetime, trusts_utc: bool = True
) -> datetime | None:
    """Return the moment in UTC that a station means which tells the time of its place.

    Its texts without zone are of ``zone``; those that say UTC are as well unless ``trusts_utc``.
    Any other offset is believed. An hour that comes twice, when summer time ends, is the one that
    is nearer to ``near``, the receipt. A time that is skipped, when it begins, comes from a clock
    that was not put forward yet.
    """
    moment = _read(text)
    if moment is None:
        return None
    says_utc = moment.utcoffset() == timedelta()
    if moment.tzinfo is not None and (trusts_utc or not says_utc):
        return moment.astimezone(UTC)
    wall = moment.replace(tzinfo=zone)
    first, second = (wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if second <= first:  # unique, or skipped: then the first reading counts on from before
        return first
    return min(first, second, key=lambda reading: abs(reading - near))


def _read(text: object) -> datetime | None:
    """Return what a text tells, with its zone or, where it names none, without."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)  # nearly every station; the rest is for the others
    except ValueError:
        return _read_odd(text)
    return moment if _is_plausible(moment.year) else None


def _read_odd(text: str) -> datetime | None:
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute = (int(part) for part in found.groups()[:5])
    if not _is_plausible(year):
        return None
    second, fraction = found.group(6) or "0", found.group(7) or ""
    microsecond = int(fraction[:6].ljust(6, "0"))
    try:
        return datetime(
            year,
            month,
            day,
            hour,
            minute,
            min(int(second), 59),
            microsecond,
            tzinfo=_zone(found.group(8)),
        )
    except ValueError:
        return None


def _is_plausible(year: int) -> bool:
    return _FIRST_PLAUSIBLE_YEAR <= year <= _LAST_PLAUSIBLE_YEAR


def _zone(told: str | None) -> tzinfo | None:
    """Return a zone as it is told. Raises ``ValueError`` for one of a day or more."""
    if told is None:
        return None
    if told in {"Z", "z"}:
        return UTC
    digits = told[1:].replace(":", "")
    hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "0")
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-offset if told[0] == "-" else offset)


def format_timestamp(moment: datetime) -> str:
    """Return a moment as OCPP wants it: UTC, whole seconds, ``Z``."""
    return _second_as_text(floor(moment.timestamp()))


@lru_cache(maxsize=64)
def _second_as_text(second: int) -> str:
    """Remembered, because thousands of stations are told the same second."""
    return datetime.fromtimestamp(second, UTC).isoformat()[:19] + "Z"
