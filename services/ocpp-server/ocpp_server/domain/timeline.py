"""Which facts of a station are of the present: replayed ones must not steer (field notes 5.3, 24).

A station that was offline sends its old messages after it has connected again. They are recorded,
and they say nothing about now. A station whose clock is wrong is not a station that replays: its
messages are late by the same time for long.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

FRESH = timedelta(minutes=2)
"""A message that is not older than this tells about now."""
_SAME_LAG = timedelta(seconds=30)
_SURE_AFTER = timedelta(seconds=60)


@dataclass
class Timeline:
    """What is known of one station's clock."""

    _newest: datetime | None = None
    _lag: timedelta = timedelta()
    """By how much the station's clock is known to be late."""
    _suspected_lag: timedelta | None = None
    _suspected_since: datetime | None = None

    def is_present(self, told: datetime | None, arrived: datetime) -> bool:
        """Tell whether a fact with this timestamp, arriving now, may steer.

        Without a usable timestamp the arrival counts. In doubt it may not.
        """
        if told is None:
            return True
        is_newest = self._newest is None or told >= self._newest
        lag = arrived - told
        if abs(lag) <= FRESH or abs(lag - self._lag) <= FRESH:
            self._newest = told
            return True
        if lag < timedelta():
            return self._is_present_in_the_future(told)
        if not is_newest:
            return False
        self._newest = told
        return self._is_late_clock(lag, arrived)

    def _is_present_in_the_future(self, told: datetime) -> bool:
        """A clock that is fast: only what is older than what it said before is a replay."""
        newest = self._newest
        if newest is not None and told < newest - FRESH:
            return False
        self._newest = told if newest is None else max(newest, told)
        return True

    def _is_late_clock(self, lag: timedelta, arrived: datetime) -> bool:
        """The same lag for a minute is a wrong clock; a replay catches up."""
        if self._suspected_lag is None or abs(lag - self._suspected_lag) > _SAME_LAG:
            self._suspected_lag, self._suspected_since = lag, arrived
            return False
        if self._suspected_since is None or arrived - self._suspected_since < _SURE_AFTER:
            return False
        self._lag = lag
        return True
