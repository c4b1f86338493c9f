"""Reading the timestamps of stations, which are as odd as stations are (field notes 5.1, 9)."""

import re
from datetime import UTC, datetime, timedelta

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
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)  # nearly every station; the rest is for the others
    except ValueError:
        return _parse_odd(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC) if _is_plausible(moment.year) else None


def _parse_odd(text: str) -> datetime | None:
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute = (int(part) for part in found.groups()[:5])
    if not _is_plausible(year):
        return None
    second, fraction, zone = found.group(6) or "0", found.group(7) or "", found.group(8)
    microsecond = int(fraction[:6].ljust(6, "0"))
    try:
        moment = datetime(
            year, month, day, hour, minute, min(int(second), 59), microsecond, tzinfo=UTC
        )
    except ValueError:
        return None
    return moment - _offset(zone)


def _is_plausible(year: int) -> bool:
    return _FIRST_PLAUSIBLE_YEAR <= year <= _LAST_PLAUSIBLE_YEAR


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone in {"Z", "z"}:
        return timedelta()
    digits = zone[1:].replace(":", "")
    hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "0")
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return -offset if zone[0] == "-" else offset


def format_timestamp(moment: datetime) -> str:
    """Return a moment as OCPP wants it: UTC, whole seconds, ``Z``."""
    return moment.astimezone(UTC).isoformat()[:19] + "Z"
