"""The only place that asks the machine what time it is, so that tests can own the time."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Gives wall time for facts and monotonic time for waiting."""

    def now(self) -> datetime:
        """Return the present moment, in UTC, with its zone."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never jumps."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment, in UTC, with its zone."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds on a clock that never jumps."""
        return time.monotonic()


class FakeClock:
    """A clock that moves only when a test says so."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
        self._monotonic = 1_000.0

    def now(self) -> datetime:
        """Return the moment the test has reached."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds the test has reached."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def set_by(self, seconds: float) -> None:
        """Set the wall clock, forward or back, as somebody or NTP may."""
        self._now += timedelta(seconds=seconds)


SYSTEM_CLOCK: Clock = SystemClock()
