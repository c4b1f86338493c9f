"""The RPC with one station: its calls in order, ours one at a time.

The read loop is ours (ADR 0003). Answers to our calls are routed as they arrive, never behind the
station's own calls, so that a call inside a handler cannot deadlock.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from ocpp_server.answers import INTERNAL_ERROR, Answer, CallHandler, Fault, StationReply
from ocpp_server.domain.frames import (
    Call,
    CallError,
    CallResult,
    Malformed,
    MessageId,
    encode_call,
    encode_error,
    encode_result,
    parse,
)
from ocpp_server.link import Link
from ocpp_server.metrics import DROPPED, FAULTS
from shared.clock import Clock
from shared.contracts.ocpp import CallResult as Outcome
from shared.errors import ParkadeError
from shared.ids import new_id

logger = logging.getLogger(__name__)

INBOX_LIMIT = 256
"""Calls of a station that may wait; a station that sends more without waiting is cut off."""
REMEMBERED_ANSWERS = 4
REMEMBERED_FOR_S = 300.0
REPEATABLE = frozenset(
    {
        "Authorize",
        "DataTransfer",
        "MeterValues",
        "SecurityEventNotification",
        "StartTransaction",
        "StopTransaction",
    }
)
"""Actions of which a repetition gets the same answer. Others, such as Heartbeat, are asked anew
by stations that never change their message id (field notes 5.2, 13)."""

OFFLINE = StationReply(outcome=Outcome.OFFLINE)
TIMEOUT = StationReply(outcome=Outcome.TIMEOUT)


@dataclass(frozen=True, slots=True)
class Remembered:
    """An answer that was given."""

    fingerprint: int
    answer: Answer
    at: float


class Conversation:
    """Frames in, frames out. Implements the ``Receiver`` part of a link."""

    def __init__(
        self,
        link: Link,
        handler: CallHandler,
        *,
        clock: Clock,
        on_closed: Callable[[], None],
    ) -> None:
        self._link = link
        self._handler = handler
        self._name = link.admission.station_id
        self._clock = clock
        self._on_closed = on_closed
        self._serving = False
        self._call_prefix = new_id()[:8]
        self._inbox: deque[Call] = deque()
        self._arrived = asyncio.Event()
        self._closed = asyncio.Event()
        self._remembered: OrderedDict[MessageId, Remembered] = OrderedDict()
        self._one_call = asyncio.Lock()
        self._calls = 0
        self._pending: tuple[str, asyncio.Future[StationReply]] | None = None
        self.heard_at = clock.monotonic()
        """When anything was last heard of the station: every frame is a sign of life."""
        self.close_reason = ""

    @property
    def is_open(self) -> bool:
        """The link is there."""
        return not self._closed.is_set()

    def received(self, text: str) -> None:
        """Take a frame. Returns at once."""
        self.heard_at = self._clock.monotonic()
        frame = parse(text)
        if isinstance(frame, Call):
            self._take_call(frame)
        elif isinstance(frame, Malformed):
            self._refuse_malformed(frame)
        else:
            self._take_answer(frame)

    def closed(self, code: int, reason: str) -> None:
        """Take note of the end of the link."""
        self.close_reason = self.close_reason or reason or f"closed with {code}"
        self._closed.set()
        self._arrived.set()
        if self._pending is not None and not self._pending[1].done():
            self._pending[1].set_result(OFFLINE)
        self._on_closed()

    def close(self, code: int, reason: str) -> None:
        """End the link; the reason given first is the one that counts."""
        self.close_reason = self.close_reason or reason
        self._link.close(code, reason)

    async def run(self) -> None:
        """Answer what could not be answered at once, in order, until the link is closed."""
        self._serving = True
        while self.is_open:
            await self._arrived.wait()
            self._arrived.clear()
            while self._inbox and self.is_open:
                await self._work_on(self._inbox[0])
                self._inbox.popleft()

    async def call(self, action: str, payload_text: str, *, timeout_s: float) -> StationReply:
        """Call the station; one call at a time, others wait for their turn.

        ``timeout_s`` counts from the sending. A late answer is dropped.
        """
        async with self._one_call:
            if not self.is_open:
                return OFFLINE
            self._calls += 1
            message_id = f"{self._call_prefix}-{self._calls}"
            answered: asyncio.Future[StationReply] = asyncio.get_running_loop().create_future()
            self._pending = message_id, answered
            try:
                self._link.send(encode_call(message_id, action, payload_text))
                async with asyncio.timeout(timeout_s):
                    return await answered
            except TimeoutError:
                return TIMEOUT
            finally:
                self._pending = None

    def _take_call(self, call: Call) -> None:
        """Answer a call at once when nothing is before it; queue it otherwise."""
        if self._serving and not self._inbox:
            answer = self._answer_now(call)
            if answer is not None:
                self._send(call, answer)
                return
        if len(self._inbox) >= INBOX_LIMIT:
            self.close(1008, "too many calls without waiting for answers")
            return
        self._inbox.append(call)
        self._arrived.set()

    def _answer_now(self, call: Call) -> Answer | None:
        remembered = self._remembered_answer(call)
        if remembered is not None:
            return remembered
        try:
            return self._handler.answer_now(call)
        except Exception:
            logger.exception("%s: %s failed", self._name, call.action)
            return INTERNAL_ERROR

    async def _work_on(self, call: Call) -> None:
        answer = self._answer_now(call)
        if answer is None:
            answer = await self._answer_later(call)
        self._send(call, answer)

    async def _answer_later(self, call: Call) -> Answer:
        try:
            return await self._handler.answer(call)
        except ParkadeError as error:
            logger.warning("%s: %s not processed: %s", self._name, call.action, error)
        except Exception:
            logger.exception("%s: %s failed", self._name, call.action)
        return INTERNAL_ERROR

    def _send(self, call: Call, answer: Answer) -> None:
        if isinstance(answer, Fault):
            FAULTS.labels(answer.code).inc()
            self._link.send(encode_error(call.message_id, answer.code, answer.description))
            return
        self._remember(call, answer)
        self._link.send(encode_result(call.message_id, answer))

    def _remembered_answer(self, call: Call) -> Answer | None:
        """The answer to the same call sent before: a station repeats what it heard no answer to."""
        remembered = self._remembered.get(call.message_id)
        if remembered is None or call.action not in REPEATABLE:
            return None
        is_recent = self._clock.monotonic() - remembered.at < REMEMBERED_FOR_S
        if not is_recent or remembered.fingerprint != hash(call.text):
            return None
        logger.debug("%s: %s repeated", self._name, call.action)
        return remembered.answer

    def _remember(self, call: Call, answer: Answer) -> None:
        if call.action not in REPEATABLE:
            return
        self._remembered[call.message_id] = Remembered(
            hash(call.text), answer, self._clock.monotonic()
        )
        self._remembered.move_to_end(call.message_id)
        if len(self._remembered) > REMEMBERED_ANSWERS:
            self._remembered.popitem(last=False)

    def _refuse_malformed(self, frame: Malformed) -> None:
        logger.debug("%s: malformed frame: %s", self._name, frame.description)
        if frame.message_id is None:
            DROPPED.labels("no message id").inc()
            return
        FAULTS.labels(frame.code).inc()
        self._link.send(encode_error(frame.message_id, frame.code, frame.description))

    def _take_answer(self, frame: CallResult | CallError) -> None:
        pending = self._pending
        if pending is None or pending[0] != frame.message_id or pending[1].done():
            DROPPED.labels("answer without call").inc()
            logger.debug("%s: answer to no open call", self._name)
            return
        pending[1].set_result(_reply_of(frame))


def _reply_of(frame: CallResult | CallError) -> StationReply:
    if isinstance(frame, CallResult):
        return StationReply(
            outcome=Outcome.ANSWERED, payload=frame.payload, payload_text=frame.payload_text
        )
    return StationReply(
        outcome=Outcome.ERROR, error_code=frame.code, error_description=frame.description
    )
