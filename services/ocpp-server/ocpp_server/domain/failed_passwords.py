"""Who has tried too many wrong passwords. Pure: ``now`` is given.

Counted by address and, apart from that, by address and identity. A wallbox that is set to a wrong
password repeats it for ever: behind a shared address it locks out itself, and not its neighbours.
Somebody who guesses brings another password each time, whatever the identity.
"""

from collections import OrderedDict

from ocpp_server.domain.rates import MOST_BUCKETS, Rates


class FailedPasswords:
    """Wrong passwords of the last minute."""

    def __init__(self) -> None:
        self._of_address = Rates()
        self._of_identity = Rates()
        self._seen: OrderedDict[tuple[str, str, int], None] = OrderedDict()

    def wait_s(self, address: str, identity: str, *, per_minute: int, now: float) -> int:
        """Return after how many seconds another password may be tried; 0 = now."""
        who = address, identity
        return max(
            self._of_address.wait_s(address, per_minute=per_minute, now=now),
            self._of_identity.wait_s(who, per_minute=per_minute, now=now),
        )

    def note(
        self, address: str, identity: str, *, fingerprint: int, per_minute: int, now: float
    ) -> None:
        """Count a wrong password. ``fingerprint`` tells different ones apart, and nothing else."""
        self._of_identity.take((address, identity), per_minute=per_minute, now=now)
        if self._is_new((address, identity, fingerprint)):
            self._of_address.take(address, per_minute=per_minute, now=now)

    def _is_new(self, attempt: tuple[str, str, int]) -> bool:
        is_new = attempt not in self._seen
        self._seen[attempt] = None
        self._seen.move_to_end(attempt)
        if len(self._seen) > MOST_BUCKETS:
            self._seen.popitem(last=False)
        return is_new
