"""A value that is noticed later than it is said: the lag of cars and of boxes."""

from collections import deque


class Delayed:
    """Remembers what was said when, and tells what has been noticed by now."""

    def __init__(self, value: float, lag_s: float) -> None:
        self._noticed = value
        self._noticed_at_s = 0.0
        self._said = value
        self._lag_s = lag_s
        self._under_way: deque[tuple[float, float]] = deque()

    def say(self, value: float, now_s: float) -> None:
        """Say a value. Saying the same again changes nothing."""
        if value != self._said:
            self._said = value
            self._under_way.append((now_s, value))

    def noticed(self, now_s: float) -> float:
        """Return the last value whose lag is over."""
        while self._under_way and self._under_way[0][0] + self._lag_s <= now_s + 1e-9:
            self._noticed_at_s, self._noticed = self._under_way.popleft()
        return self._noticed

    @property
    def said_at_s(self) -> float:
        """When the value that is noticed now was said."""
        return self._noticed_at_s
