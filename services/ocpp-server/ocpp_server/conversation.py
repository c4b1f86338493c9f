"""The RPC with one station: its calls in order, ours one at a time.

The read loop is ours (ADR 0003). Answers to our calls are routed as they arrive, never behind the
station's own calls, so that a call inside a handler cannot deadlock.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from ocpp_server.answers import INTERNAL_ERROR, Answer, CallHandler, Fault, Later, StationReply
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
from ocpp_server.message_log import Entry, MessageLog
from ocpp_server.metrics import DROPPED, FAULTS
from shared.clock import Clock
from shared.contracts.ocpp import CallResult as Outcome
from shared.errors import ParkadeError
from shared.ids import new_id

logger = logging.getLogger(__name__)

INBOX_LIMIT = 256
"""Calls of a station that may wait; a station that sends more without waiting is cut off."""
INBOX_CHARACTERS = 8 << 20
"""So long they may be together; one alone may be as long as a frame."""
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


@dataclass(slots=True)
class Remembered:
    """An answer that was given."""

    fingerprint: int
    answer: Answer
    at: float


@dataclass(slots=True)
class Received:
    """A call of the station, and how it is logged."""

    call: Call
    logged: Entry


@dataclass(slots=True)
class Pending:
    """Our call that is to be answered."""

    message_id: str
    action: str
    answered: "asyncio.Future[StationReply]"
    sent_at: float


class Conversation:
    """Frames in, frames out. Implements the ``Receiver`` part of a link."""

    def __init__(
        self,
        link: Link,
        handler: CallHandler,
        *,
        clock: Clock,
        log: MessageLog,
        on_closed: Callable[[], None],
    ) -> None:
        self._link = link
        self._log = log
        self._handler = handler
        self._name = link.admission.station_id
        self._clock = clock
        self._on_closed = on_closed
        self._serving = False
        self._call_prefix = new_id()[:8]
        self._inbox: list[Received] = []
        """Short, and mostly empty: a deque would take half a kilobyte of every station."""
        self._held = False
        """An answer waits for its facts to be safe; calls after it wait behind it."""
        self._arrived = asyncio.Event()
        self._is_closed = False
        self._remembered: dict[MessageId, Remembered] = {}
        self._one_call = asyncio.Lock()
        self._calls = 0
        self._pending: Pending | None = None
        self.heard_at = clock.monotonic()
        """When anything was last heard of the station: every frame is a sign of life."""
        self.close_reason = ""

    @property
    def is_open(self) -> bool:
        """The link is there."""
        return not self._is_closed

    @property
    def has_unanswered(self) -> bool:
        """A call of the station has not got its answer yet."""
        return bool(self._inbox) or self._held

    def received(self, text: str) -> None:
        """Take a frame. Returns at once."""
        self.heard_at = self._clock.monotonic()
        frame = parse(text)
        if isinstance(frame, Call):
            logged = self._log.took(self._name, frame, text, at=self.heard_at)
            self._take_call(Received(frame, logged))
        elif isinstance(frame, Malformed):
            self._log.took(self._name, frame, text, at=self.heard_at)
            self._refuse_malformed(frame)
        else:
            self._take_answer(frame, text)

    def closed(self, code: int, reason: str) -> None:
        """Take note of the end of the link."""
        self.close_reason = self.close_reason or reason or f"closed with {code}"
        self._is_closed = True
        self._arrived.set()
        if self._pending is not None and not self._pending.answered.done():
            self._pending.answered.set_result(OFFLINE)
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
            while self._inbox and self.is_open and not self._held:
                await self._work_on(self._inbox[0])
                del self._inbox[0]

    async def call(self, action: str, payload_text: str, *, timeout_s: float) -> StationReply:
        """Call the station; one call at a time, others wait for their turn.

        ``timeout_s`` counts from the sending. A late answer is dropped.
        """
        async with self._one_call:
            if not self.is_open:
                return OFFLINE
            self._calls += 1
            message_id = f"{self._call_prefix}-{self._calls}"
            loop = asyncio.get_running_loop()
            answered: asyncio.Future[StationReply] = loop.create_future()
            sent_at = self._clock.monotonic()
            self._pending = Pending(message_id, action, answered, sent_at)
            patience = loop.call_later(timeout_s, _give_up, answered)
            try:
                text = encode_call(message_id, action, payload_text)
                self._link.send(text)
                self._log.sent(
                    self._name, text, at=sent_at, kind=2, message_id=message_id, action=action
                )
                return await answered
            finally:
                patience.cancel()
                self._pending = None

    def _take_call(self, received: Received) -> None:
        """Answer a call at once when nothing is before it; queue it otherwise."""
        if self._serving and not self._inbox and not self._held:
            answer = self._answer_now(received.call)
            if answer is not None:
                self._give(received, answer)
                return
        if self._is_inbox_full(received):
            self.close(1008, "too many calls without waiting for answers")
            return
        self._inbox.append(received)
        self._arrived.set()

    def _is_inbox_full(self, received: Received) -> bool:
        if not self._inbox:
            return False
        characters = sum(len(waiting.call.text) for waiting in self._inbox)
        more = len(received.call.text)
        return len(self._inbox) >= INBOX_LIMIT or characters + more > INBOX_CHARACTERS

    def _give(self, received: Received, answer: Answer | Later) -> None:
        """Send an answer, now or when its facts are safe; the calls after it keep their order."""
        if not isinstance(answer, Later):
            self._send(received, answer)
            return

        def kept(is_kept: bool) -> None:
            self._held = False
            self._send(received, answer.answer if is_kept else INTERNAL_ERROR)
            if self._inbox:
                self._arrived.set()

        self._held = True
        answer.keeping.then(kept)

    def _answer_now(self, call: Call) -> Answer | Later | None:
        remembered = self._remembered_answer(call)
        if remembered is not None:
            return remembered
        try:
            return self._handler.answer_now(call)
        except Exception:
            logger.exception("%s: %s failed", self._name, call.action)
            return INTERNAL_ERROR

    async def _work_on(self, received: Received) -> None:
        answer = self._answer_now(received.call)
        if answer is None:
            answer = await self._answer_later(received.call)
        self._give(received, answer)

    async def _answer_later(self, call: Call) -> Answer | Later:
        try:
            return await self._handler.answer(call)
        except ParkadeError as error:
            logger.warning("%s: %s not processed: %s", self._name, call.action, error)
        except Exception:
            logger.exception("%s: %s failed", self._name, call.action)
        return INTERNAL_ERROR

    def _send(self, received: Received, answer: Answer) -> None:
        call = received.call
        received.logged.repairs = call.repairs
        if isinstance(answer, Fault):
            FAULTS.labels(answer.code).inc()
            kind, text = 4, encode_error(call.message_id, answer.code, answer.description)
        else:
            self._remember(call, answer)
            kind, text = 3, encode_result(call.message_id, answer)
        self._link.send(text)
        now = self._clock.monotonic()
        self._log.sent(
            self._name,
            text,
            at=now,
            kind=kind,
            message_id=call.message_id,
            action=call.action,
            latency_s=now - received.logged.at,
        )

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
        self._remembered.pop(call.message_id, None)
        if len(self._remembered) >= REMEMBERED_ANSWERS:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[call.message_id] = Remembered(hash(call.text), answer, self.heard_at)

    def _refuse_malformed(self, frame: Malformed) -> None:
        logger.debug("%s: malformed frame: %s", self._name, frame.description)
        if frame.message_id is None:
            DROPPED.labels("no message id").inc()
            return
        FAULTS.labels(frame.code).inc()
        text = encode_error(frame.message_id, frame.code, frame.description)
        self._link.send(text)
        self._log.sent(
            self._name, text, at=self.heard_at, kind=4, message_id=frame.message_id, action=""
        )

    def _take_answer(self, frame: CallResult | CallError, text: str) -> None:
        pending = self._pending
        if pending is None or pending.message_id != frame.message_id or pending.answered.done():
            DROPPED.labels("answer without call").inc()
            logger.debug("%s: answer to no open call", self._name)
            self._log.took(self._name, frame, text, at=self.heard_at)
            return
        latency_s = self.heard_at - pending.sent_at
        self._log.took(
            self._name, frame, text, at=self.heard_at, action=pending.action, latency_s=latency_s
        )
        pending.answered.set_result(_reply_of(frame))


def _give_up(answered: "asyncio.Future[StationReply]") -> None:
    """Cheaper than ``asyncio.timeout``: a limit to a thousand stations makes a thousand calls."""
    if not answered.done():
        answered.set_result(TIMEOUT)


def _reply_of(frame: CallResult | CallError) -> StationReply:
    if isinstance(frame, CallResult):
        return StationReply(outcome=Outcome.ANSWERED, payload=frame.payload, text=frame.text)
    return StationReply(
        outcome=Outcome.ERROR, error_code=frame.code, error_description=frame.description
    )
