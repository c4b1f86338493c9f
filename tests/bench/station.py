"""A station for load: a protocol of some dozen lines, so that the server is what is measured."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, cast

from tests.bench import frames

CallListener = Callable[["LoadStation", str, dict[str, object]], None]

ANSWERS = {
    "ChangeConfiguration": '{"status":"Accepted"}',
    "ClearChargingProfile": '{"status":"Accepted"}',
    "GetConfiguration": '{"configurationKey":[]}',
    "SetChargingProfile": '{"status":"Accepted"}',
}


class LoadStation(asyncio.Protocol):
    """Sends one call after another and takes the time of each answer."""

    def __init__(
        self, identity: str, *, path: str = "/", on_call: CallListener | None = None
    ) -> None:
        self.identity = identity
        self.latencies_s: list[float] = []
        self.errors = 0
        self._path = f"{path.rstrip('/')}/{identity}"
        self._on_call = on_call
        self._buffer = bytearray()
        self._is_open = False
        self._number = 0
        self._sent_at = 0.0
        self._answer: asyncio.Future[bytes] | None = None
        self._repeats: tuple[str, str] | None = None
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # --- what the generator does ---

    async def ask(self, action: str, payload: str) -> bytes:
        """Send a call and wait for the frame of its answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._send(action, payload)
        async with asyncio.timeout(60):
            return await self._answer

    async def boot(self) -> None:
        """Wait for the upgrade, boot until accepted, and report a free connector."""
        async with asyncio.timeout(60):
            await self._opened
        while b'"Accepted"' not in await self.ask("BootNotification", frames.BOOT):
            await asyncio.sleep(0.5)
        await self.ask("StatusNotification", frames.STATUS)

    def repeat(self, action: str, payload: str) -> None:
        """Send this call again and again, each as soon as the one before is answered."""
        self._repeats = (action, payload)
        self._send(action, payload)

    def rest(self) -> None:
        """Send nothing more."""
        self._repeats = None

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
        waiting: list[asyncio.Future[Any] | None] = [self._opened, self._answer]
        for future in waiting:
            if future is not None and not future.done():
                future.set_exception(error)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == frames.PING:
            self._write(frames.frame(payload, frames.PONG))
        elif opcode == frames.TEXT and payload.startswith(b"[2,"):
            self._obey(payload)
        elif opcode == frames.TEXT:
            self._answered(payload)

    def _answered(self, payload: bytes) -> None:
        if self._repeats is None:
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(payload)
            return
        self.latencies_s.append(time.perf_counter() - self._sent_at)
        if payload.startswith(b"[4"):
            self.errors += 1
        self._send(*self._repeats)

    def _obey(self, payload: bytes) -> None:
        _, call_id, action, arguments = json.loads(payload)
        answer = ANSWERS.get(action)
        if answer is None:
            self._write(frames.frame(f'[4,"{call_id}","NotSupported","",{{}}]'.encode()))
        else:
            self._write(frames.frame(f'[3,"{call_id}",{answer}]'.encode()))
        if self._on_call is not None:
            self._on_call(self, action, arguments)

    def _send(self, action: str, payload: str) -> None:
        self._number += 1
        self._sent_at = time.perf_counter()
        self._write(frames.call(self._number, action, payload))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
