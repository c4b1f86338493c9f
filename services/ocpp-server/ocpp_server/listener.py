"""The OCPP port: plain and TLS on one socket (S4), greeted side by side, pinged, counted out."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

from ocpp_server.domain.handshake import Handshake, Refusal, identity_of
from ocpp_server.domain.proxy_protocol import BadProxyHeader
from ocpp_server.domain.rates import Networks
from ocpp_server.domain.tls_failure import explain
from ocpp_server.early_answer import answer_plain
from ocpp_server.link import Front
from ocpp_server.pacing import evenly
from ocpp_server.peer import Peer, begins_with_header, peer_of, told_peer
from ocpp_server.session import Session
from ocpp_server.tls_detect import FirstBytes, first_bytes
from shared.contracts.site import TlsMode
from shared.contracts.station import RefusalReason
from shared.http import listening_socket

logger = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S = 15.0
"""From the first byte to an admitted station, TLS included."""
PING_ROUND_S = 5.0
"""So long it takes to ping everybody."""
GREETINGS_LIMIT = 512
"""So many connections may be between accept and admission at once; more wait in the backlog."""
GREETINGS_OF_ONE_ADDRESS = 128
"""So many of these may be of one address, so that it cannot hold up the others."""


class _Crowded(Exception):
    """One address has too many connections between accept and admission."""


class Listener:
    """Accepts connections until cancelled and keeps the open ones."""

    def __init__(
        self,
        front: Front,
        *,
        tls: Callable[[], TlsMode],
        context: Callable[[], ssl.SSLContext],
        proxies: Networks = (),
    ) -> None:
        self._front = front
        self._proxies = proxies
        self._seats: Counter[str] = Counter()
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
            peer = peer_of(address[0], address[1], proxies=self._proxies)
            self._hold(self._greet(connection, peer))

    async def ping_all(self) -> None:
        """Ping every station now and then."""
        while True:
            interval_s = self._front.ping_interval_s()
            round_s = min(interval_s, PING_ROUND_S)
            await asyncio.sleep(interval_s - round_s)
            async for session in evenly(tuple(self._sessions), over_s=round_s):
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

    async def _greet(self, connection: socket.socket, peer: Peer) -> None:
        """Bring one connection from accept to a decision about it."""
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                await self._open_session(connection, peer)
        except TimeoutError:
            logger.debug("%s did not finish its handshake", peer.name)
        except _Crowded:
            text = f"{GREETINGS_OF_ONE_ADDRESS} connections of one address are half open already"
            self._refused_early(peer, Refusal(reason=RefusalReason.RATE, status=429, detail=text))
        except BadProxyHeader as error:
            logger.warning("balancer %s: %s", peer.name, error)
        except (OSError, ssl.SSLError) as error:
            self._refused_tls(peer, error)
        except Exception:
            logger.exception("greeting %s failed", peer.name)
        finally:
            self._greetings.release()

    async def _open_session(self, connection: socket.socket, peer: Peer) -> None:
        with self._seat(peer, connection):
            kind = await _first_bytes_or_close(connection)
            if kind is FirstBytes.PLAIN and peer.may_be_proxy and begins_with_header(connection):
                await self._open_session(connection, await _told_or_close(connection, peer))
            elif await self._may_begin(connection, kind, peer):
                await self._admit(connection, peer, tls=kind is FirstBytes.TLS)

    @contextlib.contextmanager
    def _seat(self, peer: Peer, connection: socket.socket) -> Iterator[None]:
        """Count a connection of an address while it is not admitted yet."""
        address = peer.limited_as
        if address is None:
            yield
            return
        if self._seats[address] >= GREETINGS_OF_ONE_ADDRESS:
            connection.close()
            raise _Crowded
        self._seats[address] += 1
        try:
            yield
        finally:
            self._seats[address] -= 1
            if not self._seats[address]:
                del self._seats[address]

    async def _may_begin(self, connection: socket.socket, kind: FirstBytes, peer: Peer) -> bool:
        """Tell whether a connection goes on; otherwise it is answered, told of, and closed."""
        if kind is FirstBytes.SILENCE:
            connection.close()
            return False
        refusal = self._front.turned_away(peer.limited_as) or _misfit(self._tls(), kind)
        if refusal is None:
            return True
        try:
            path = ""
            if kind is FirstBytes.PLAIN:
                path = await answer_plain(connection, refusal)
            self._refused_early(peer, refusal, path=path, tls=kind is FirstBytes.TLS)
        finally:
            connection.close()
        return False

    async def _admit(self, connection: socket.socket, peer: Peer, *, tls: bool) -> None:
        session = Session(self._front, tls=tls, peer=peer, on_lost=self._sessions.discard)
        self._sessions.add(session)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: session,
                connection,
                ssl=self._context() if tls else None,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if tls else None,
            )
            handshake = await session.arrived
            if handshake is None and isinstance(session.failure, ssl.SSLError):
                raise session.failure  # noqa: TRY301 - as if TLS 1.3 had told it in its handshake
            if handshake is not None:
                session.settle(await self._front.admit(handshake))
        except BaseException:
            self._sessions.discard(session)
            session.abort()
            raise

    def _refused_early(
        self, peer: Peer, refusal: Refusal, *, path: str = "", tls: bool = False
    ) -> None:
        self._front.refused(
            Handshake(
                path=path,
                identity=identity_of(path),
                peer=peer.name,
                tls=tls,
                limited_as=peer.limited_as,
            ),
            refusal,
        )

    def _refused_tls(self, peer: Peer, error: OSError) -> None:
        failure = explain(getattr(error, "reason", None), getattr(error, "verify_message", ""))
        refusal = Refusal(
            reason=RefusalReason.TLS, status=400, detail=failure.advice, tls_alert=failure.alert
        )
        self._refused_early(peer, refusal, tls=True)


def _misfit(mode: TlsMode, kind: FirstBytes) -> Refusal | None:
    """S4: return why a connection does not fit what the port takes."""
    text = ""
    if kind is FirstBytes.TLS and mode is TlsMode.OFF:
        text = "the wallbox uses wss:// but TLS is off here: use ws://, or set TLS to detect"
    if kind is FirstBytes.PLAIN and mode is TlsMode.ON:
        text = "the wallbox uses ws:// but this port takes TLS only: use wss:// in the wallbox"
    return Refusal(reason=RefusalReason.TLS, status=400, detail=text) if text else None


async def _first_bytes_or_close(connection: socket.socket) -> FirstBytes:
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return await first_bytes(connection)
    except BaseException:
        connection.close()
        raise


async def _told_or_close(connection: socket.socket, proxy: Peer) -> Peer:
    try:
        return await told_peer(connection, proxy)
    except BaseException:
        connection.close()
        raise


@contextlib.asynccontextmanager
async def open_listener(
    host: str,
    port: int,
    *,
    front: Front,
    tls: Callable[[], TlsMode],
    context: Callable[[], ssl.SSLContext],
    proxies: Networks = (),
) -> AsyncIterator[Listener]:
    """Open the port and accept until the block ends; stations are then told that we go.

    ``tls`` and ``context`` are asked at each connection. ``proxies`` are the networks of balancers,
    of which a PROXY header is believed. Raises ``ConfigError`` when the port is
    taken.
    """
    accepting = listening_socket(host, port, setting="PARKADE_OCPP_PORT")
    listener = Listener(front, tls=tls, context=context, proxies=proxies)
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
