"""A TCP proxy that breaks connections the way cables, switches and firewalls do."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class Wire:
    """Carries bytes between clients and one server, until it is cut."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._bytes_left: int | None = None
        self._is_plugged = True
        self.port = 0
        self.connections = 0
        """How many clients were let through so far."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        self._close_all()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    def cut(self, *, after_bytes: int = 0) -> None:
        """Break every connection once the clients have sent so many bytes more."""
        if after_bytes:
            self._bytes_left = after_bytes
        else:
            self._close_all()

    def unplug(self) -> None:
        """Break every connection, and let no new one through."""
        self._is_plugged = False
        self._close_all()

    def plug(self) -> None:
        """Let connections through again."""
        self._is_plugged = True

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)
        self._writers.add(writer)
        try:
            if self._is_plugged:
                await self._carry_both_ways(reader, writer)
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _carry_both_ways(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        to_server = await asyncio.open_connection(*self._target)
        self._writers.add(to_server[1])
        try:
            await asyncio.gather(
                self._pump(reader, to_server[1], is_limited=True),
                self._pump(to_server[0], writer, is_limited=False),
            )
        finally:
            self._writers.discard(to_server[1])
            to_server[1].close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_limited: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(65536):
                if is_limited and self._bytes_left is not None:
                    piece = piece[: self._bytes_left]
                    self._bytes_left -= len(piece)
                sink.write(piece)
                await sink.drain()
                if is_limited and self._bytes_left == 0:
                    self._bytes_left = None
                    self._close_all()
        sink.close()

    def _close_all(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()
