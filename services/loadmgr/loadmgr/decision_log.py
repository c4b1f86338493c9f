"""Records what load management heard and decided, for replay and as a record (section 14a EnWG,
BK6-22-300 annex 1, 7.2).

It never holds up a decision: records wait in a bounded queue and one thread writes them. When the
disk fails, or does not keep up, records are dropped and counted, and the log says so.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

from loadmgr.domain.log_form import FACTS
from loadmgr.domain.log_record import (
    Decided,
    Forgotten,
    Heard,
    LogRecord,
    Missing,
    SiteLoaded,
    StationLost,
    remembered,
)
from loadmgr.domain.plan import Decision
from loadmgr.domain.public_site import public_site
from loadmgr.domain.state import State
from loadmgr.log_folder import LogFolder
from shared.clock import Clock
from shared.contracts.alarm import AlarmChanged, Severity
from shared.contracts.message import Event
from shared.contracts.site import SiteConfig
from shared.errors import ParkadeError
from shared.health import Health

logger = logging.getLogger(__name__)

ALARM = "decision-log"
WRITE_EVERY_S = 0.5
RETRY_S = 30.0
"""After a failure of the disk nothing is tried for so long."""
CLOSE_WITHIN_S = 20.0
IDLE_S = 60.0
"""A file that nothing was written to for so long is closed: another instance is active."""
MOST_WAITING = 50_000
"""Records that may wait for the disk; a decision that was told counts as several."""
OFFERS_AS_ONE = 4
Tell = Callable[[AlarmChanged], Awaitable[None]]
Made = Callable[[], LogRecord]
"""Records are made of what cannot change any more, by the thread that writes them."""


class Waiting(NamedTuple):
    """Something that is to be written."""

    made: Made
    weight: int = 1
    records: int = 1
    """So many are missing when it cannot be written."""


class DecisionLog:
    """The recorder of one instance of load management. ``run`` writes.

    Silence of the disk: what waits is bounded, and what comes beyond is counted as missing. After
    that the next decision is followed by all that is known, so that replay goes on from there.
    """

    def __init__(self, folder: LogFolder, *, clock: Clock, health: Health, tell: Tell) -> None:
        self._folder = folder
        self._clock = clock
        self._health = health
        self._tell = tell
        self._site = SiteConfig()
        self._waiting: deque[Waiting] = deque()
        self._weight = 0
        self._missing = 0
        self._is_memory_due = False
        self._has_memory_waiting = False
        self._broken_until_s = float("-inf")
        self._written_s = float("-inf")
        self._trouble: str | None = "not written yet"
        self._thread = ThreadPoolExecutor(1, "decision-log")

    def site(self, site: SiteConfig, now: datetime) -> None:
        """Record a site without its secrets."""
        self._site = site
        self._put(now, lambda: SiteLoaded(at=now, site=public_site(site)))

    def fact(self, fact: Event, now: datetime) -> None:
        """Record a fact; what load management does not steer by is left out."""
        if fact.topic in FACTS:
            self._put(now, lambda: Heard(at=now, fact=fact))

    def lost(self, station_id: str, now: datetime) -> None:
        """Record that nobody holds a station."""
        self._put(now, lambda: StationLost(at=now, station_id=station_id))

    def forgot(self, now: datetime) -> None:
        """Record a cold start."""
        self._put(now, lambda: Forgotten(at=now))

    def decided(self, decision: Decision, state: State, now: datetime, *, is_told: bool) -> None:
        """Record a decision, and what is known where a new file begins or records were lost."""
        weight = 1 + (len(decision.report.model.evses) // OFFERS_AS_ONE if is_told else 0)
        self._put(now, lambda: _decided(now, decision, is_told=is_told), weight)
        is_due = self._is_memory_due or self._folder.is_over(now)
        if is_due and not self._has_memory_waiting:
            self._remember(state, now)

    async def run(self) -> None:
        """Write until cancelled; then write what is left and end the file."""
        try:
            while True:
                await self._write()
                await asyncio.sleep(WRITE_EVERY_S)
        finally:
            await self._close()

    def _put(self, now: datetime, made: Made, weight: int = 1) -> None:
        is_broken = self._clock.monotonic() < self._broken_until_s
        if is_broken or self._weight + weight > MOST_WAITING:
            self._missing += 1
            return
        if self._missing:
            self._tell_missing(now)
        self._append(Waiting(made, weight))

    def _tell_missing(self, now: datetime) -> None:
        """Say that records are missing, and what is in force; what is known follows."""
        missing, self._missing = self._missing, 0
        site = self._site
        self._append(Waiting(lambda: Missing(at=now, records=missing), records=missing))
        self._append(Waiting(lambda: SiteLoaded(at=now, site=public_site(site), is_new=False)))
        self._is_memory_due = True

    def _append(self, waiting: Waiting) -> None:
        self._waiting.append(waiting)
        self._weight += waiting.weight

    def _remember(self, state: State, now: datetime) -> None:
        try:
            memory = remembered(state, now)
        except Exception:  # whatever it is, it must not keep the decision from being sent
            logger.exception("the decision log lacks what load management knows")
            return
        self._is_memory_due = False
        self._has_memory_waiting = True
        self._put(now, lambda: memory, 1 + len(state.evses))

    async def _write(self) -> None:
        batch, self._waiting, self._weight = self._waiting, deque(), 0
        self._has_memory_waiting = False
        now_s = self._clock.monotonic()
        if batch:
            self._written_s = now_s
        elif now_s < self._written_s + IDLE_S or self._trouble is not None:
            return
        try:
            await self._in_thread(self._write_batch, batch)
        except OSError as error:
            self._lose(batch)
            await self._report(f"{self._folder.path} cannot be written: {error.strerror or error}")
        except Exception:  # a record that has no form must not end the log
            logger.exception("decision log: records not written")
            self._lose(batch)
        else:
            await self._report(None)

    def _write_batch(self, batch: deque[Waiting]) -> None:
        if batch:
            self._folder.write(waiting.made() for waiting in batch)
        else:
            self._folder.close()

    def _lose(self, batch: deque[Waiting]) -> None:
        self._missing += sum(waiting.records for waiting in batch)
        self._broken_until_s = self._clock.monotonic() + RETRY_S

    async def _in_thread(self, work: Callable[..., None], *args: object) -> None:
        loop = asyncio.get_running_loop()
        # Cancelled before it has begun, the work would be dropped, and its records with it.
        await asyncio.shield(loop.run_in_executor(self._thread, work, *args))

    async def _report(self, trouble: str | None) -> None:
        """Tell once that the disk fails, and once that it is well again.

        The part stays ready: charging goes on, and readiness would take more than the log away.
        """
        if trouble == self._trouble:
            return
        self._trouble = trouble
        self._health.report(ALARM, ok=True, detail=trouble or f"written to {self._folder.path}")
        if trouble is None:
            logger.info("decision log is written to %s", self._folder.path)
        else:
            logger.warning("decision log: %s; deciding goes on without a record", trouble)
        await self._raise_alarm(trouble)

    async def _raise_alarm(self, trouble: str | None) -> None:
        text = "All is well again." if trouble is None else f"The decision log fails: {trouble}."
        advice = "" if trouble is None else " Make room on the disk, or set PARKADE_DATA_DIR."
        alarm = AlarmChanged(
            alarm_id=ALARM,
            active=trouble is not None,
            severity=Severity.INFO if trouble is None else Severity.WARNING,
            text=text + advice,
            changed_at=self._clock.now(),
        )
        try:
            await self._tell(alarm)
        except ParkadeError as error:
            logger.warning("alarm %s not told: %s", ALARM, error)

    async def _close(self) -> None:
        batch, self._waiting = self._waiting, deque()
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                if batch:
                    await self._in_thread(self._write_batch, batch)
                await self._in_thread(self._folder.close)
        except (OSError, TimeoutError) as error:
            logger.warning("the end of the decision log is not written: %s", error)
        finally:
            self._thread.shutdown(wait=False)


def _decided(now: datetime, decision: Decision, *, is_told: bool) -> Decided:
    return Decided.of(now, decision.setpoints, decision.decided if is_told else None)
