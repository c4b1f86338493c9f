"""A dead unit on a shared line is asked seldom, because each try takes time from all others."""

from dataclasses import dataclass

FAILURES = 3
PAUSE_S = 30.0


@dataclass(frozen=True)
class Breaker:
    """How often in a row a unit was silent, and when it may be asked again (monotonic s)."""

    failures: int = 0
    open_until: float = 0.0

    def failed(self, now: float) -> "Breaker":
        """Return the breaker after one more silence."""
        failures = self.failures + 1
        return Breaker(failures, now + PAUSE_S if failures >= FAILURES else 0.0)

    def allows(self, now: float) -> bool:
        """The unit may be asked."""
        return now >= self.open_until
