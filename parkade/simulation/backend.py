"""A billing backend (OCPP 1.6 central system) that stations can be shown to. Records every frame.

It can go away and come back on the same port, be slow, refuse, and call the stations.
"""

import asyncio
import contextlib
import json
import logging
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from shared.clock import SYSTEM_CLOCK, Clock

logger = logging.getLogger(__name__)

Payload = dict[str, Any]
MAX_FRAME_BYTES = 8 * 1024 * 1024
CALL_WITHIN_S = 30.0


@dataclass(frozen=True)
class RecordedCall:
    """A call of a station, as it came over the wire."""

    client_id: str
    message_id: str
    action: str
    payload: Payload
    text: str
    """The whole frame, byte for byte."""


class CallFailed(Exception):
    """A station answered a call with a CALLERROR; ``code`` says which."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code


class SimulatedBackend:
    """A backend that accepts every station, and the tokens it is told.

    ``accepted_tokens`` None = every token. ``boot_status`` and ``boot_interval_s`` are answered to
    BootNotification. Put an action into ``errors`` to answer it with that CALLERROR code, into
    ``answers`` to answer it with a payload of your own, and into ``silent`` to not answer at all.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        password: str | None = None,
        accepted_tokens: Collection[str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.host = host
        self.port = port
        self.accepted_tokens = accepted_tokens
        self.boot_status = "Accepted"
        self.boot_interval_s = 60
        self.delay_s = 0.0
        self.errors: dict[str, str] = {}
        self.answers: dict[str, Payload] = {}
        self.silent: set[str] = set()
        self.recorded: list[RecordedCall] = []
        self.refused: list[str] = []
        """Paths of connections that had no or the wrong password."""
        self._tls = tls
        self._password = password
        self._clock = clock
        self._server: Server | None = None
        self._stations: dict[str, ServerConnection] = {}
        self._answers_wanted: dict[str, asyncio.Future[Any]] = {}
        self._next_id = 0
        self._transactions: dict[int, tuple[str, Payload]] = {}
        self._stopped: set[int] = set()
        self._known_starts: dict[tuple[str, str], int] = {}

    @property
    def url(self) -> str:
        """Where stations connect, without their client id."""
        return f"{'wss' if self._tls else 'ws'}://{self.host}:{self.port}/"

    async def __aenter__(self) -> Self:
        """Serve while the block runs."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop serving."""
        await self.stop()

    @contextlib.asynccontextmanager
    async def serving(self, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve on an address of the caller's choice while the block runs, and yield the URL."""
        self.host, self.port = host, port
        async with self:
            yield self.url

    async def start(self) -> None:
        """Begin to serve; after ``stop`` on the same port as before."""
        self._server = await serve(
            self._serve_station,
            self.host,
            self.port,
            ssl=self._tls,
            process_request=self._admit,
            select_subprotocol=_any_ocpp,
            max_size=MAX_FRAME_BYTES,
            ping_interval=None,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Go away: every connection ends at once, nothing more is answered."""
        if self._server is not None:
            for connection in tuple(self._stations.values()):
                connection.transport.abort()
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def drop(self, client_id: str) -> None:
        """Cut one station's connection without a word."""
        self._stations[client_id].transport.abort()

    def is_connected(self, client_id: str) -> bool:
        """Tell whether a station is connected."""
        return client_id in self._stations

    def calls(self, client_id: str, action: str) -> list[Payload]:
        """Return the payloads of a station's calls of one action, oldest first."""
        return [call.payload for call in self.calls_of(client_id) if call.action == action]

    def calls_of(self, client_id: str) -> list[RecordedCall]:
        """Return every call of a station, oldest first."""
        return [call for call in self.recorded if call.client_id == client_id]

    def open_transactions(self, client_id: str) -> list[int]:
        """Return the ids of transactions that a station has started and not stopped."""
        return [
            number
            for number, (owner, _) in self._transactions.items()
            if owner == client_id and number not in self._stopped
        ]

    async def call(
        self, client_id: str, action: str, payload: Payload, *, timeout_s: float = CALL_WITHIN_S
    ) -> Payload:
        """Call a station and return its answer.

        Raises ``CallFailed`` for a CALLERROR, ``TimeoutError`` for silence, ``KeyError`` when the
        station is not connected.
        """
        return await self.call_text(client_id, action, json.dumps(payload), timeout_s=timeout_s)

    async def call_text(
        self, client_id: str, action: str, text: str, *, timeout_s: float = CALL_WITHIN_S
    ) -> Payload:
        """Call a station with a payload that is sent as it is written here."""
        self._next_id += 1
        message_id = f"backend-{self._next_id}"
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers_wanted[message_id] = answer
        try:
            frame = f"[2,{json.dumps(message_id)},{json.dumps(action)},{text}]"
            await self._stations[client_id].send(frame)
            async with asyncio.timeout(timeout_s):
                told = await answer
        finally:
            del self._answers_wanted[message_id]
        if told[0] == 4:
            raise CallFailed(str(told[2]), str(told[3]))
        return dict(told[2])

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Ask for HTTP Basic with the client id as user, when there is a password."""
        if self._password is None:
            return None
        pair = f"{_client_id(request.path)}:{self._password}".encode()
        if request.headers.get("Authorization") == f"Basic {b64encode(pair).decode()}":
            return None
        self.refused.append(request.path)
        return connection.respond(401, "the password is wrong\n")

    async def _serve_station(self, connection: ServerConnection) -> None:
        request = connection.request
        client_id = _client_id(request.path) if request else ""
        self._stations[client_id] = connection
        logger.info("station %s connected", client_id)
        try:
            async for text in connection:
                await self._take(client_id, connection, str(text))
        except ConnectionClosed:
            pass
        finally:
            if self._stations.get(client_id) is connection:
                del self._stations[client_id]
            logger.info("station %s gone", client_id)

    async def _take(self, client_id: str, connection: ServerConnection, text: str) -> None:
        frame = json.loads(text, strict=False)
        if frame[0] != 2:
            wanted = self._answers_wanted.get(frame[1])
            if wanted is not None and not wanted.done():
                wanted.set_result(frame)
            return
        call = RecordedCall(client_id, str(frame[1]), frame[2], frame[3], text)
        self.recorded.append(call)
        logger.info("station %s: %s", client_id, call.action)
        if call.action in self.silent:
            return
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await connection.send(json.dumps(self._answer(call, frame[1])))

    def _answer(self, call: RecordedCall, message_id: Any) -> list[Any]:
        if call.action in self.errors:
            return [4, message_id, self.errors[call.action], "as told", {}]
        handlers: dict[str, Callable[[RecordedCall], Payload]] = {
            "Authorize": lambda call: {"idTagInfo": self._judge(call.payload)},
            "BootNotification": lambda _: {
                "status": self.boot_status,
                "currentTime": self._now,
                "interval": self.boot_interval_s,
            },
            "DataTransfer": lambda _: {"status": "Accepted"},
            "Heartbeat": lambda _: {"currentTime": self._now},
            "StartTransaction": self._start_transaction,
            "StopTransaction": self._stop_transaction,
        }
        handler = handlers.get(call.action)
        payload = handler(call) if handler is not None else {}
        return [3, message_id, self.answers.get(call.action, payload)]

    @property
    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="seconds").replace("+00:00", "Z")

    def _judge(self, payload: Payload) -> Payload:
        accepted = self.accepted_tokens is None or payload["idTag"] in self.accepted_tokens
        return {"status": "Accepted" if accepted else "Invalid"}

    def _start_transaction(self, call: RecordedCall) -> Payload:
        """The same message sent again is the same transaction."""
        known = self._known_starts.setdefault(
            (call.client_id, call.message_id), 7_000_001 + len(self._transactions)
        )
        self._transactions.setdefault(known, (call.client_id, call.payload))
        return {"transactionId": known, "idTagInfo": self._judge(call.payload)}

    def _stop_transaction(self, call: RecordedCall) -> Payload:
        self._stopped.add(call.payload["transactionId"])
        return {}


def _client_id(path: str) -> str:
    return unquote(path.partition("?")[0].rstrip("/").rpartition("/")[2])


def _any_ocpp(
    _connection: ServerConnection, offered: Collection[Subprotocol]
) -> Subprotocol | None:
    return Subprotocol("ocpp1.6") if "ocpp1.6" in offered else None
