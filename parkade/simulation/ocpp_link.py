"""OCPP-J as a station speaks it: frames over one WebSocket, one outstanding call, ordered answers.

Knows messages and no meaning; that is in ``ocpp_box``.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from websockets.exceptions import ConnectionClosed

from shared.errors import DeviceUnreachable, ProtocolViolation, Refused
from shared.ids import new_id

logger = logging.getLogger(__name__)

CALL, CALL_RESULT, CALL_ERROR = 2, 3, 4
WAITING_CALLS = 100

Payload = dict[str, Any]
CallHandler = Callable[[str, Payload], Awaitable[Payload]]
FrameListener = Callable[[str, str], None]
"""Told ``sent`` or ``received`` and the text of every frame."""


class Socket(Protocol):
    """What a link needs of a WebSocket."""

    async def send(self, message: str) -> None:
        """Send a text frame."""
        ...

    async def recv(self) -> str | bytes:
        """Wait for a frame."""
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close politely."""
        ...


class OcppLink:
    """One connection. ``run`` reads until it ends; ``call`` may be used meanwhile.

    Silence: a call that is not answered in time raises ``DeviceUnreachable``.
    """

    def __init__(
        self,
        socket: Socket,
        handler: CallHandler,
        *,
        timeout_s: float,
        on_frame: FrameListener,
        numbers_as_text: bool = False,
    ) -> None:
        self._socket = socket
        self._handler = handler
        self._timeout_s = timeout_s
        self._on_frame = on_frame
        self._numbers_as_text = numbers_as_text
        self._one_call = asyncio.Lock()
        self._awaited: tuple[str, asyncio.Future[Payload]] | None = None
        self._inbox: asyncio.Queue[tuple[str, str, Payload]] = asyncio.Queue(WAITING_CALLS)

    async def call(self, action: str, payload: Payload) -> Payload:
        """Send a call and return the answer.

        Raises ``Refused`` for a CALLERROR and ``DeviceUnreachable`` when nobody answers.
        """
        async with self._one_call:
            call_id = new_id()
            answer: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
            self._awaited = (call_id, answer)
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._send([CALL, call_id, action, self._spelled(payload)])
                    return await answer
            except TimeoutError:
                raise DeviceUnreachable(f"{action} was not answered") from None
            finally:
                self._awaited = None

    async def run(self) -> None:
        """Read and answer until the connection ends: ``DeviceUnreachable``, in a group."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._answer_calls())
                group.create_task(self._read())
        finally:
            if self._awaited is not None and not self._awaited[1].done():
                self._awaited[1].set_exception(DeviceUnreachable("the connection ended"))

    async def close(self) -> None:
        """Close the connection politely."""
        await self._socket.close()

    async def _read(self) -> None:
        while True:
            text = await self._receive()
            self._on_frame("received", text)
            try:
                self._take(json.loads(text))
            except (ValueError, KeyError, TypeError, ProtocolViolation) as error:
                logger.warning("a frame without meaning was ignored: %s", error)

    async def _receive(self) -> str:
        try:
            text = await self._socket.recv()
        except ConnectionClosed as error:
            raise DeviceUnreachable(f"the connection ended: {error}") from error
        return text if isinstance(text, str) else text.decode()

    def _take(self, frame: Any) -> None:
        match frame:
            case [2, str(call_id), str(action), dict(payload)]:
                try:
                    self._inbox.put_nowait((call_id, action, payload))
                except asyncio.QueueFull:
                    raise ProtocolViolation("too many calls at once") from None
            case [3, str(call_id), dict(payload)]:
                self._settle(call_id, payload)
            case [4, str(call_id), code, description, *_]:
                self._settle(call_id, Refused(f"{code}: {description}"))
            case _:
                raise ProtocolViolation(f"not a frame: {str(frame)[:80]}")

    def _settle(self, call_id: str, result: Payload | Refused) -> None:
        if self._awaited is None or self._awaited[0] != call_id or self._awaited[1].done():
            raise ProtocolViolation(f"nobody waits for the answer to {call_id}")
        if isinstance(result, Refused):
            self._awaited[1].set_exception(result)
        else:
            self._awaited[1].set_result(result)

    async def _answer_calls(self) -> None:
        while True:
            call_id, action, payload = await self._inbox.get()
            await self._send(await self._answer(call_id, action, payload))

    async def _answer(self, call_id: str, action: str, payload: Payload) -> list[Any]:
        try:
            return [CALL_RESULT, call_id, await self._handler(action, payload)]
        except Refused as error:
            return [CALL_ERROR, call_id, str(error), "", {}]
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("%s could not be read: %r", action, error)
            return [CALL_ERROR, call_id, "FormationViolation", "", {}]

    def _spelled(self, payload: Payload) -> Payload:
        if not self._numbers_as_text:
            return payload
        return {k: str(v) if isinstance(v, int) else v for k, v in payload.items()}

    async def _send(self, frame: list[Any]) -> None:
        text = json.dumps(frame, separators=(",", ":"))
        self._on_frame("sent", text)
        try:
            await self._socket.send(text)
        except ConnectionClosed as error:
            raise DeviceUnreachable(f"the connection ended: {error}") from error
