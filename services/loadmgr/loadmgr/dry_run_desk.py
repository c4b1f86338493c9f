"""Answers "what would happen if": each dry run in a process of its own, never in the deciding one.

Whoever becomes active takes the address, because the decision log is written where it decides.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from loadmgr.domain.public_site import public_site
from loadmgr.dry_run.question import MOST_DAYS, Answer, Question
from shared.bus.port import Bus, Delivery, Inbox
from shared.clock import Clock
from shared.contracts.dry_run import FARTHEST, DryRunAnswer, RunDry
from shared.contracts.message import Address, service_address
from shared.contracts.site import SiteConfig
from shared.contracts.station import FactsRequested
from shared.errors import HandlerFailed, ParkadeError, Refused

Asked = tuple[Question, asyncio.Future[DryRunAnswer]]
logger = logging.getLogger(__name__)

ADDRESS = service_address("loadmgr-dry-run")
TIME_LIMIT_S = 120.0
COMMAND = (sys.executable, "-m", "loadmgr.dry_run")


class DryRunDesk:
    """Takes questions, one at a time. Silence: a run that takes longer than 120 s is ended."""

    def __init__(
        self, bus: Bus, *, clock: Clock, present: Callable[[], SiteConfig], log_folder: Path
    ) -> None:
        self.time_limit_s = TIME_LIMIT_S
        self.command: Sequence[str] = COMMAND
        self._bus = bus
        self._clock = clock
        self._present = present
        self._log_folder = log_folder
        self._asked: asyncio.Queue[Asked] = asyncio.Queue(1)
        self._is_busy = False

    async def run(self) -> None:
        """Answer until cancelled; a run that is under way then ends with it."""
        inbox = await self._bus.inbox(_evicted)
        inbox.on(RunDry, self._take)
        await self._take_over(inbox)

        async def somebody_began(delivery: Delivery[FactsRequested]) -> None:
            if delivery.message.asker == self._bus.instance:
                await self._take_over(inbox)

        beginnings = await self._bus.listen([FactsRequested], somebody_began)
        try:
            while True:
                await self._answer(*await self._asked.get())
        finally:
            await beginnings.close()

    async def _take_over(self, inbox: Inbox) -> None:
        await inbox.own(ADDRESS, int(self._clock.now().timestamp() * 1_000))

    async def _take(self, delivery: Delivery[RunDry]) -> DryRunAnswer:
        order = delivery.message
        _check(order, self._clock.now())
        if self._is_busy:
            raise Refused("another dry run is under way: ask again when it is done")
        question = Question(
            changed=public_site(order.site),
            present=public_site(self._present()),
            demand=order.demand,
            begins_at=order.begins_at,
            days=order.days,
            seed=order.seed,
            asked_at=self._clock.now(),
            log_folder=self._log_folder,
        )
        self._is_busy = True
        try:
            answered: asyncio.Future[DryRunAnswer] = asyncio.get_running_loop().create_future()
            self._asked.put_nowait((question, answered))
            return await answered
        finally:
            self._is_busy = False

    async def _answer(self, question: Question, answered: asyncio.Future[DryRunAnswer]) -> None:
        try:
            reports = await self._ask_process(question)
        except ParkadeError as error:
            if not answered.done():
                answered.set_exception(error)
        except asyncio.CancelledError:
            if not answered.done():
                answered.set_exception(HandlerFailed("load management stops"))
            raise
        else:
            if not answered.done():
                answered.set_result(reports)

    async def _ask_process(self, question: Question) -> DryRunAnswer:
        """Raises ``Refused`` with what the asker can change, ``HandlerFailed`` for the rest."""
        logger.info("dry run of %s days begins, %s vehicles", question.days, question.demand)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self.command, stdin=pipe, stdout=pipe, stderr=pipe
        )
        try:
            async with asyncio.timeout(self.time_limit_s):
                told, trouble = await process.communicate(question.model_dump_json().encode())
        except TimeoutError as error:
            raise Refused(
                f"the dry run took more than {self.time_limit_s:g} s: ask for fewer days"
            ) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            logger.error("dry run failed: %s", trouble.decode(errors="replace")[-2_000:])
            raise HandlerFailed("the dry run broke: the log of loadmgr has details")
        return _reports_in(told)


def _check(order: RunDry, now: datetime) -> None:
    if not 1 <= order.days <= MOST_DAYS:
        raise Refused(f"days must be 1 to {MOST_DAYS}, not {order.days}")
    if order.begins_at is None:
        return
    if order.begins_at.tzinfo is None:
        raise Refused("begins_at needs its zone, as in 2026-03-01T18:00:00Z")
    if abs(order.begins_at - now) > FARTHEST:
        raise Refused("begins_at is more than ten years away: look at the year")


def _reports_in(told: bytes) -> DryRunAnswer:
    try:
        answer = Answer.model_validate_json(told)
    except ValidationError as error:
        raise HandlerFailed("the dry run gave no answer") from error
    if answer.reports is None:
        raise Refused(answer.refused or "the dry run gave no answer")
    return answer.reports


async def _evicted(address: Address, epoch: int) -> None:
    logger.info("another instance answers for %s (epoch %s)", address, epoch)
