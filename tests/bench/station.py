"""A connection of a load station: some dozen lines, so that the server is what is measured."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from tests.bench import frames

CallListener = Callable[["LoadStation", str, bytes], None]
"""Station, action, and its payload as it came."""
AnswerListener = Callable[[bytes], None]

ANSWERS = {
    b"ChangeConfiguration": b'{"status":"Accepted"}',
    b"ClearChargingProfile": b'{"status":"Accepted"}',
    b"GetConfiguration": b'{"configurationKey":[]}',
    b"SetChargingProfile": b'{"status":"Accepted"}',
}


class LoadStation(asyncio.Protocol):
    """Sends calls, obeys those of the server, and hands on what it is answered."""

    def __init__(
        self,
        identity: str,
        *,
        path: str = "/",
        on_call: CallListener | None = None,
        on_answer: AnswerListener | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        self.identity = identity
        self._path = f"{path.rstrip('/')}/{identity}"
        self._on_call = on_call
        self._on_answer = on_answer
        self._on_lost = on_lost
        self._buffer = bytearray()
        self._is_open = False
        self._number = 0
        self._asked: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # --- what the generator does ---

    async def ask(self, action: str, payload: str) -> bytes:
        """Send a call and wait for the frame of its answer."""
        self._asked = asyncio.get_running_loop().create_future()
        self.send(action, payload)
        try:
            async with asyncio.timeout(60):
                return await self._asked
        finally:
            self._asked = None

    async def boot(self) -> None:
        """Wait for the upgrade, boot until accepted, and report a free connector."""
        async with asyncio.timeout(60):
            await self._opened
        while b'"Accepted"' not in await self.ask("BootNotification", frames.BOOT):
            await asyncio.sleep(0.5)
        await self.ask("StatusNotification", frames.STATUS)

    def send(self, action: str, payload: str) -> None:
        """Send a call; its answer goes to who listens for answers."""
        self._number += 1
        self._write(frames.call(self._number, action, payload))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(frames.UPGRADE.format(path=self._path).encode())

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._buffer += data
        if not self._is_open:
            head, separator, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not separator:
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self._opened.set_exception(ConnectionError(head.decode(errors="replace")))
                return
            self._opened.set_result(None)
            self._is_open, self._buffer = True, bytearray(rest)
        while (taken := frames.next_frame(self._buffer)) is not None:
            self._take(*taken)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        error = ConnectionError(f"{self.identity} was disconnected: {exc}")
        waiting: list[asyncio.Future[Any] | None] = [self._opened, self._asked]
        for future in waiting:
            if future is not None and not future.done():
                future.set_exception(error)
                future.exception()  # nobody may be waiting for it any more
        if self._on_lost is not None:
            self._on_lost()

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == frames.PING:
            self._write(frames.frame(payload, frames.PONG))
        elif opcode == frames.TEXT and payload.startswith(b"[2,"):
            self._obey(payload)
        elif opcode == frames.TEXT:
            self._answered(payload)

    def _answered(self, payload: bytes) -> None:
        if self._asked is None:
            if self._on_answer is not None:
                self._on_answer(payload)
        elif not self._asked.done():
            self._asked.set_result(payload)

    def _obey(self, payload: bytes) -> None:
        """Answer without parsing: the ids and actions of every server are plain text."""
        _, call_id, _, action, rest = payload.split(b'"', 4)
        answer = ANSWERS.get(action)
        if answer is None:
            self._write(frames.frame(b'[4,"%b","NotSupported","",{}]' % call_id))
        else:
            self._write(frames.frame(b'[3,"%b",%b]' % (call_id, answer)))
        if self._on_call is not None:
            self._on_call(self, action.decode(), rest[rest.index(b"{") : rest.rindex(b"}") + 1])

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
