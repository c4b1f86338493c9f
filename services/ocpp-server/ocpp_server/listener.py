"""The OCPP port: plain and TLS on one socket (S4), greeted side by side, pinged, counted out."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

from ocpp_server.domain.handshake import Handshake, Refusal
from ocpp_server.link import Front
from ocpp_server.session import Session
from ocpp_server.tls_detect import FirstBytes, first_bytes
from shared.contracts.site import TlsMode
from shared.contracts.station import RefusalReason
from shared.http import listening_socket
from shared.tls import server_context

logger = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S = 15.0
"""From the first byte to an admitted station, TLS included."""
GREETINGS_LIMIT = 512
"""So many connections may be between accept and admission at once; more wait in the backlog."""
PING_INTERVAL_S = 30.0
PLAIN_REFUSAL = b"this port takes TLS only: use wss:// in the wallbox\n"


class Listener:
    """Accepts connections until cancelled and keeps the open ones."""

    def __init__(
        self, front: Front, *, tls: Callable[[], TlsMode], context: ssl.SSLContext
    ) -> None:
        self._front = front
        self._tls = tls
        self._context = context
        self._sessions: set[Session] = set()
        self._greetings = asyncio.Semaphore(GREETINGS_LIMIT)
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def accept_on(self, listener: socket.socket) -> None:
        """Accept for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._greetings.acquire()
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError as error:  # e.g. out of file descriptors: wait, and serve the others
                self._greetings.release()
                logger.warning("cannot accept a connection: %s", error)
                await asyncio.sleep(0.5)
                continue
            self._hold(self._greet(connection, f"{address[0]}:{address[1]}"))

    async def ping_all(self) -> None:
        """Ping every station now and then."""
        while True:
            await asyncio.sleep(PING_INTERVAL_S)
            for session in list(self._sessions):
                session.ping()

    async def close(self) -> None:
        """Close every connection, politely first."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for session in list(self._sessions):
            session.close(1001, "server stops")
        await asyncio.sleep(0.05 if self._sessions else 0)
        for session in list(self._sessions):
            session.abort()

    def _hold(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _greet(self, connection: socket.socket, peer: str) -> None:
        """Bring one connection from accept to a decision about it."""
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                await self._open_session(connection, peer)
        except TimeoutError:
            logger.debug("%s did not finish its handshake", peer)
        except (OSError, ssl.SSLError) as error:
            self._refused_early(peer, RefusalReason.TLS, f"no TLS could be made: {error}")
        except Exception:
            logger.exception("greeting %s failed", peer)
        finally:
            self._greetings.release()

    async def _open_session(self, connection: socket.socket, peer: str) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            kind = await first_bytes(connection)
        except asyncio.CancelledError:
            connection.close()
            raise
        if not await self._fits_mode(connection, kind, peer):
            connection.close()
            return
        await self._admit(connection, tls=kind is FirstBytes.TLS)

    async def _fits_mode(self, connection: socket.socket, kind: FirstBytes, peer: str) -> bool:
        mode = self._tls()
        if kind is FirstBytes.SILENCE:
            return False
        if kind is FirstBytes.TLS and mode is TlsMode.OFF:
            text = "the wallbox uses wss:// but TLS is off here: use ws://, or set TLS to detect"
            self._refused_early(peer, RefusalReason.TLS, text)
            return False
        if kind is FirstBytes.PLAIN and mode is TlsMode.ON:
            text = "the wallbox uses ws:// but only TLS is accepted here: use wss://"
            self._refused_early(peer, RefusalReason.TLS, text)
            await _answer_plain(connection)
            return False
        return True

    async def _admit(self, connection: socket.socket, *, tls: bool) -> None:
        session = Session(self._front, tls=tls, on_lost=self._sessions.discard)
        self._sessions.add(session)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: session,
                connection,
                ssl=self._context if tls else None,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if tls else None,
            )
            handshake = await session.arrived
            if handshake is not None:
                session.settle(await self._front.admit(handshake))
        except BaseException:
            self._sessions.discard(session)
            session.abort()
            raise

    def _refused_early(self, peer: str, reason: RefusalReason, detail: str) -> None:
        handshake = Handshake(path="", identity="", peer=peer, tls=False)
        self._front.refused(handshake, Refusal(reason=reason, status=400, detail=detail))


async def _answer_plain(connection: socket.socket) -> None:
    """Tell a plain client in plain words, so that the installer sees why."""
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    length = f"Content-Length: {len(PLAIN_REFUSAL)}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    await loop.sock_recv(connection, 65_536)  # unread bytes would turn the close into a reset
    await loop.sock_sendall(connection, head + length + PLAIN_REFUSAL)


@contextlib.asynccontextmanager
async def open_listener(
    host: str,
    port: int,
    *,
    front: Front,
    tls: Callable[[], TlsMode],
    certificate: Path,
    key: Path,
) -> AsyncIterator[Listener]:
    """Open the port and accept until the block ends; stations are then told that we go.

    Raises ``ConfigError`` when the port is taken or the certificate cannot be used.
    """
    context = server_context(certificate, key)
    accepting = listening_socket(host, port, setting="PARKADE_OCPP_PORT")
    listener = Listener(front, tls=tls, context=context)
    listener.port = accepting.getsockname()[1]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(listener.accept_on(accepting)),
                group.create_task(listener.ping_all()),
            ]
            try:
                yield listener
            finally:
                for task in tasks:
                    task.cancel()
    finally:
        accepting.close()
        await listener.close()
