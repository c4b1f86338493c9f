"""Takes messages from the outbox to one backend: in order, one at a time, until answered."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

from gateway.conversation import Answer, Conversation
from gateway.domain.frames import CallError, CallResult
from gateway.domain.payloads import from_text
from gateway.outbox import Counts, Outbox, Queued, Slot, State
from shared.clock import Clock
from shared.ids import new_id
from shared.splice import splice_integer

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a refused billing message is sent (TransactionMessageAttempts)."""
USELESS_AFTER = timedelta(seconds=30)
"""Nobody waits any more for the answer to a question that is older."""
BILLING = frozenset({"StartTransaction", "StopTransaction", "MeterValues"})
FINAL_CODES = frozenset({"NotImplemented", "NotSupported"})

Delivered = Callable[[Queued, Answer], Awaitable[None]]


class Courier:
    """The way of one uplink's messages from the outbox to the backend.

    Silence: a message whose answer does not come stays first in line.
    """

    def __init__(
        self,
        uplink_id: str,
        outbox: Outbox,
        *,
        delivered: Delivered,
        clock: Clock,
        call_s: float,
        refused_pause_s: float,
    ) -> None:
        self._uplink = uplink_id
        self._outbox = outbox
        self._delivered = delivered
        self._clock = clock
        self._call_s = call_s
        self._refused_pause_s = refused_pause_s
        self._told: dict[str, int] = {}
        self._to_repeat: set[str] = set()
        self._settling = asyncio.Lock()

    async def start_over(self) -> None:
        """A new connection knows no status: the last one of each connector is told at once."""
        self._told.clear()
        self._to_repeat = {slot.name for slot in await self._outbox.slots(self._uplink)}

    async def settled(self) -> None:
        """Wait until what the backend has answered is written down.

        It may use a transaction id in a call right after it has given it.
        """
        async with self._settling:
            return

    async def counts(self) -> Counts:
        """Return how much waits, and how much was given up."""
        return await self._outbox.counts(self._uplink)

    async def rest(self, most_s: float) -> None:
        """Wait for the bell, at most so long."""
        bell = self._outbox.bell(self._uplink)
        try:
            async with asyncio.timeout(most_s):
                await bell.wait()
        except TimeoutError:
            return
        bell.clear()

    async def send_next(self, conversation: Conversation) -> bool:
        """Send what is next; tell whether there was anything."""
        message = await self._next_message()
        slot = await self._next_slot(before=message)
        if slot is not None:
            await self._send_slot(conversation, slot)
        elif message is not None:
            await self._send(conversation, message)
        return slot is not None or message is not None

    async def _next_message(self) -> Queued | None:
        """The oldest message; while a backlog is worked off, a fresh question goes before it."""
        first = await self._outbox.first_waiting(self._uplink)
        if first is None or not self._is_old(first):
            return first
        question = await self._outbox.first_waiting(self._uplink, action="Authorize")
        return first if question is None else question

    async def _next_slot(self, *, before: Queued | None) -> Slot | None:
        """The status that is next: those of before this connection at once, new ones in order."""
        for slot in await self._outbox.slots(self._uplink):
            is_new = self._told.get(slot.name) != slot.version
            is_due = before is None or slot.after_id < before.id
            if slot.name in self._to_repeat or (is_new and is_due):
                return slot
        return None

    async def _send_slot(self, conversation: Conversation, slot: Slot) -> None:
        answer = await conversation.call(
            slot.action, slot.payload_text, message_id=new_id(), timeout_s=self._call_s
        )
        if not isinstance(answer, CallResult):
            logger.info("backend refused %s: %s", slot.action, answer.code)
        self._told[slot.name] = slot.version
        self._to_repeat.discard(slot.name)

    async def _send(self, conversation: Conversation, message: Queued) -> None:
        if message.action == "Authorize" and self._is_old(message):
            await self._settle(message, State.EXPIRED, "the backend was away")
            return
        payload_text = await self._payload_for(message)
        if payload_text is None:
            await self._settle(message, State.FAILED, "the backend does not know its transaction")
            return
        answer = await conversation.call(
            message.action, payload_text, message_id=message.message_id, timeout_s=self._call_s
        )
        if isinstance(answer, CallResult) and _has_meaning(message, answer):
            async with self._settling:
                await _to_the_end(self._answered(message, answer))
        else:
            await self._refused(message, answer)

    async def _payload_for(self, message: Queued) -> str | None:
        """Return the text with the backend's transaction id in it, if it is about one."""
        if message.transaction_key is None or message.action == "StartTransaction":
            return message.payload_text
        transaction = await self._outbox.transaction(message.transaction_key)
        if transaction is None or transaction.backend_id is None:
            return None
        try:
            return splice_integer(message.payload_text, "transactionId", transaction.backend_id)
        except ValueError:
            return message.payload_text

    async def _answered(self, message: Queued, answer: CallResult) -> None:
        backend_id = _transaction_id(message, answer)
        async with self._outbox.writing() as batch:
            if message.transaction_key is not None and backend_id is not None:
                await batch.map_transaction(message.transaction_key, backend_id)
            await batch.settle(message, State.ANSWERED, now=self._clock.now())
        await self._delivered(message, answer)

    async def _refused(self, message: Queued, answer: Answer) -> None:
        if isinstance(answer, CallResult):
            answer = CallError(answer.message_id, "FormationViolation", "no transaction id")
        reason = f"{answer.code}: {answer.description}"[:500]
        is_last = message.attempts + 1 >= ATTEMPTS or answer.code in FINAL_CODES
        if message.action in BILLING and not is_last:
            async with self._outbox.writing() as batch:
                await batch.count_attempt(message, reason=reason)
            await asyncio.sleep(self._refused_pause_s * (message.attempts + 1))
            return
        logger.warning("backend refused %s for good: %s", message.action, reason)
        await self._settle(message, State.FAILED, reason)
        await self._delivered(message, answer)

    async def _settle(self, message: Queued, state: State, reason: str) -> None:
        async with self._outbox.writing() as batch:
            await batch.settle(message, state, now=self._clock.now(), reason=reason)

    def _is_old(self, message: Queued) -> bool:
        return self._clock.now() - message.created_at > USELESS_AFTER


def _transaction_id(message: Queued, answer: CallResult) -> int | None:
    if message.action != "StartTransaction":
        return None
    backend_id = from_text(answer.payload_text).get("transactionId")
    return backend_id if isinstance(backend_id, int) else None


def _has_meaning(message: Queued, answer: CallResult) -> bool:
    return message.action != "StartTransaction" or _transaction_id(message, answer) is not None


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Finish even when cancelled: what the backend has answered must be written down."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
