"""Lets go of what is older than it is kept, table by table, in small steps."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.deps import Parts
from api.settings import ApiSettings
from shared.clock import Clock
from shared.errors import StoreUnavailable

logger = logging.getLogger(__name__)

BULK_EVERY_S = 10.0
"""At 10,000 frames a second the log is 5 % longer than it may be by then."""
RECORDS_EVERY_S = 3600.0
"""What comes one by one."""
BETWEEN_STEPS_S = 0.02
"""Others write meanwhile."""

ForgetSome = Callable[[datetime], Awaitable[int]]
"""Given the present, deletes one step of what is kept no longer; returns 0 when that was all."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is let go of, and how often that is looked at."""

    forget_some: ForgetSome
    every_s: float


class Retention:
    """Follows rules, for ever. While the database is away nothing is lost but time."""

    def __init__(self, rules: Sequence[Rule], *, clock: Clock) -> None:
        self._due_s = dict.fromkeys(rules, clock.monotonic())
        self._clock = clock
        self._is_failing = False

    async def run(self) -> None:
        """Look now and then."""
        while True:
            await self.prune()
            await asyncio.sleep(BULK_EVERY_S)

    async def prune(self) -> None:
        """Follow the rules that are due; one that failed stays due."""
        try:
            for rule, due_s in self._due_s.items():
                if self._clock.monotonic() >= due_s:
                    await self._follow(rule)
        except StoreUnavailable as error:
            if not self._is_failing:
                logger.warning("what is old stays for now: %s", error)
            self._is_failing = True
        else:
            self._is_failing = False

    async def _follow(self, rule: Rule) -> None:
        while await rule.forget_some(self._clock.now()):
            await asyncio.sleep(BETWEEN_STEPS_S)
        self._due_s[rule] = self._clock.monotonic() + rule.every_s


def rules_of(settings: ApiSettings, parts: Parts) -> list[Rule]:
    """Return the rules that settings make; what they keep for ever has none.

    Refused connections and revisions of the site are bounded by their number, where they are
    written. Sessions and certificates stay.
    """
    records = parts.station_records
    bulk: list[ForgetSome] = [
        lambda _: parts.messages.forget_beyond(settings.message_log_rows),
        _older_than(settings.message_log_days, parts.messages.forget_before),
        _older_than(settings.meter_value_days, parts.meter_values.forget_before),
    ]
    one_by_one: list[ForgetSome] = [
        _older_than(settings.history_days, parts.samples.forget_before),
        _older_than(settings.station_job_days, records.forget_jobs_before),
        _older_than(settings.reservation_days, records.forget_reservations_before),
        _older_than(settings.security_event_days, records.forget_security_events_before),
    ]
    if settings.signed_value_days is not None:
        one_by_one.append(
            _older_than(settings.signed_value_days, records.forget_signed_values_before)
        )
    return [
        *(Rule(forget_some=forget_some, every_s=BULK_EVERY_S) for forget_some in bulk),
        *(Rule(forget_some=forget_some, every_s=RECORDS_EVERY_S) for forget_some in one_by_one),
    ]


def _older_than(days: int, forget_before: ForgetSome) -> ForgetSome:
    return lambda now: forget_before(now - timedelta(days=days))
