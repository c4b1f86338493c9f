"""One connection to a backend, as calls and answers. Knows OCPP-J, and no action of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from gateway.domain.frames import (
    Call,
    CallError,
    CallResult,
    MessageId,
    answer_text,
    call_text,
    parse_frame,
)
from shared.errors import DeviceUnreachable, ProtocolViolation

logger = logging.getLogger(__name__)

INBOX_LIMIT = 100

Answer = CallResult | CallError
CallHandler = Callable[[Call], Awaitable[tuple[Answer, Callable[[], Awaitable[None]]]]]
"""Returns the answer, and what to do after it has gone out."""


class Conversation:
    """Calls one at a time; what comes in is answered in order, beside our own calls.

    Silence: a call that is not answered in time raises ``DeviceUnreachable``, and so does a
    connection that ends.
    """

    def __init__(self, socket: ClientConnection, handler: CallHandler) -> None:
        self._socket = socket
        self._handler = handler
        self._one_call = asyncio.Lock()
        self._inbox: asyncio.Queue[Call] = asyncio.Queue(INBOX_LIMIT)
        self._waiting: tuple[MessageId, asyncio.Future[Answer]] | None = None

    async def run(self) -> None:
        """Read until the connection ends, which raises ``ConnectionClosed``."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read())
                group.create_task(self._work_inbox())
        finally:
            if self._waiting is not None and not self._waiting[1].done():
                self._waiting[1].set_exception(DeviceUnreachable("the connection ended"))

    async def call(
        self, action: str, payload_text: str, *, message_id: str, timeout_s: float
    ) -> Answer:
        """Send a call and return its answer. Only one is outstanding at any time."""
        async with self._one_call:
            future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            self._waiting = (message_id, future)
            try:
                async with asyncio.timeout(timeout_s):
                    await self._socket.send(call_text(Call(message_id, action, payload_text)))
                    return await future
            except TimeoutError:
                raise DeviceUnreachable(f"{action} was not answered in {timeout_s} s") from None
            except ConnectionClosed as error:
                raise DeviceUnreachable(f"the connection ended: {error}") from error
            finally:
                self._waiting = None

    async def close(self) -> None:
        """End the connection."""
        await self._socket.close()

    async def _read(self) -> None:
        while True:
            received = await self._socket.recv()
            text = received if isinstance(received, str) else received.decode(errors="replace")
            try:
                frame = parse_frame(text)
            except ProtocolViolation:
                logger.warning("backend sent something that is no OCPP frame")
                continue
            if isinstance(frame, Call):
                await self._take_call(frame)
            else:
                self._take_answer(frame)

    async def _take_call(self, call: Call) -> None:
        if self._inbox.full():
            refusal = CallError(call.message_id, "GenericError", "too many calls are waiting")
            await self._socket.send(answer_text(refusal))
            return
        self._inbox.put_nowait(call)

    def _take_answer(self, answer: Answer) -> None:
        if self._waiting is None or self._waiting[0] != answer.message_id:
            logger.info("backend answered what was not asked, or too late")
            return
        if not self._waiting[1].done():
            self._waiting[1].set_result(answer)

    async def _work_inbox(self) -> None:
        while True:
            answer, afterwards = await self._handler(await self._inbox.get())
            await self._socket.send(answer_text(answer))
            await afterwards()
