"""Who may knock how often, and who is let in: rates around ``domain.admission``.

Passwords that are checked fast, or were good before, are checked at once; only what is left costs a
thread and the time of Argon2, one at a time for each address.
"""

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

from ocpp_server.domain.admission import decide
from ocpp_server.domain.failed_passwords import FailedPasswords
from ocpp_server.domain.handshake import Admission, Handshake, Refusal
from ocpp_server.domain.rates import Rates
from shared.clock import Clock
from shared.contracts.site import SiteConfig
from shared.contracts.station import RefusalReason
from shared.passwords import known_password_matches, password_matches

RATE_REPORTS_PER_MINUTE = 6
"""So often one address is reported as too fast; all the others of it would say the same."""


class Gate:
    """Decides about connections of stations. ``site`` returns the present one."""

    def __init__(self, site: Callable[[], SiteConfig], *, clock: Clock) -> None:
        self._site = site
        self._clock = clock
        self._handshakes = Rates()
        self._reports = Rates()
        self._failed = FailedPasswords()
        self._checking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def turned_away(self, address: str | None) -> Refusal | None:
        """Count a connection; return why it may not even begin. ``None`` as address = unlimited."""
        if address is None:
            return None
        per_minute = self._site().ocpp_server.handshakes_per_minute
        now = self._clock.monotonic()
        if self._handshakes.take(address, per_minute=per_minute, now=now):
            return None
        wait_s = self._handshakes.wait_s(address, per_minute=per_minute, now=now)
        return _too_fast(
            f"more than {per_minute} connections a minute come from {address}; raise "
            "handshakes_per_minute if that many wallboxes share this address",
            wait_s,
        )

    async def admit(self, handshake: Handshake) -> Admission | Refusal:
        """Return as whom a station is let in, or why not."""
        decision = decide(handshake, self._site(), password_matches=known_password_matches)
        if not _is_open_question(decision, handshake):
            return decision
        address = handshake.limited_as
        if address is None:
            return await self._decide_slowly(handshake)
        async with self._checking.setdefault(address, asyncio.Lock()):
            return await self._decide_within_limits(handshake, address)

    def is_news(self, handshake: Handshake, refusal: Refusal) -> bool:
        """Tell whether a refusal is worth telling; floods are told now and then."""
        if refusal.reason is not RefusalReason.RATE or handshake.limited_as is None:
            return True
        return self._reports.take(
            handshake.limited_as, per_minute=RATE_REPORTS_PER_MINUTE, now=self._clock.monotonic()
        )

    async def _decide_within_limits(
        self, handshake: Handshake, address: str
    ) -> Admission | Refusal:
        per_minute = self._site().ocpp_server.failed_passwords_per_minute
        identity = handshake.identity.casefold()
        wait_s = self._failed.wait_s(
            address, identity, per_minute=per_minute, now=self._clock.monotonic()
        )
        if wait_s:
            return _too_fast(
                f"more than {per_minute} wrong passwords a minute come from {address}: correct "
                "the password of the wallbox, then wait a minute",
                wait_s,
            )
        decision = await self._decide_slowly(handshake)
        if _is_open_question(decision, handshake):
            self._failed.note(
                address,
                identity,
                fingerprint=hash((handshake.user, handshake.password)),
                per_minute=per_minute,
                now=self._clock.monotonic(),
            )
        return decision

    async def _decide_slowly(self, handshake: Handshake) -> Admission | Refusal:
        return await asyncio.to_thread(
            decide, handshake, self._site(), password_matches=password_matches
        )


def _is_open_question(decision: Admission | Refusal, handshake: Handshake) -> bool:
    """A password was presented and did not fit, as far as was looked."""
    return (
        isinstance(decision, Refusal)
        and decision.reason is RefusalReason.PASSWORD
        and handshake.password is not None
    )


def _too_fast(detail: str, wait_s: int) -> Refusal:
    return Refusal(
        reason=RefusalReason.RATE, status=429, detail=detail, retry_after_s=max(1, wait_s)
    )
