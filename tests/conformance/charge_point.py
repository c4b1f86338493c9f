"""A strict charge point of OCPP 1.6J: it takes nothing from the central system that breaks the
specification, and does nothing that a test did not ask for.

Every frame both ways is checked against the schemas. What the central system does wrong is kept in
``violations``, and fails the test when the charge point is put away.
"""

import asyncio
import base64
import contextlib
import itertools
import json
import ssl
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from cryptography import x509
from jsonschema import ValidationError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.conditions import eventually
from tests.conformance.scripts import Payload, Refuse, Rule, Script
from tests.conformance.settings import BoxSettings
from tests.ocpp_schemas import SCHEMAS, assert_valid, assert_valid_answer

ANSWER_WITHIN_S = 15.0
ID_LIMIT = 36
"""Characters of a message id (OCPP-J 1.6, 4.1.4)."""
OCPP_16 = ("ocpp1.6",)


class CallRefused(AssertionError):
    """The central system answered a call with a CALLERROR."""


@dataclass(kw_only=True)
class ChargePoint:
    """One charge point; connected inside ``async with``."""

    url: str
    """Of the central system, without the identity."""
    identity: str
    password: str | bytes | None = None
    tls: ssl.SSLContext | None = None
    subprotocols: Sequence[str] = OCPP_16
    settings: BoxSettings = field(default_factory=BoxSettings)
    violations: list[str] = field(default_factory=list)
    calls: list[tuple[str, Payload]] = field(default_factory=list)
    """What the central system called for, in order."""
    _rules: list[Rule] = field(default_factory=list)
    _ids: "itertools.count[int]" = field(default_factory=itertools.count)
    _seen_ids: set[str] = field(default_factory=set)
    _unanswered: set[str] = field(default_factory=set)
    """Calls of the central system that we have not answered yet."""
    _socket: ClientConnection | None = None
    _reading: asyncio.Task[None] | None = None
    _answering: set[asyncio.Task[None]] = field(default_factory=set)
    _pending: tuple[str, asyncio.Future[list[Any]]] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.disconnect()
        if kind is None:
            assert not self.violations, "; ".join(self.violations)

    @property
    def subprotocol(self) -> str | None:
        """What the central system selected."""
        return None if self._socket is None else self._socket.subprotocol

    @property
    def tls_version(self) -> str | None:
        """Of the present connection, which must be a TLS one."""
        return self._tls_object.version()

    @property
    def tls_suite(self) -> str:
        """Of the present connection; the name that OpenSSL gives it."""
        suite = self._tls_object.cipher()
        assert suite is not None
        return suite[0]

    @property
    def shown_certificate(self) -> x509.Certificate:
        """What the central system shows."""
        der = self._tls_object.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der)

    @property
    def _tls_object(self) -> ssl.SSLObject:
        assert self._socket is not None
        found: ssl.SSLObject | None = self._socket.transport.get_extra_info("ssl_object")
        assert found is not None, "this connection has no TLS"
        return found

    async def connect(self) -> None:
        """Open the connection. Raises what ``websockets`` raises when it is refused."""
        headers = {}
        if self.password is not None:
            secret = self.password.encode() if isinstance(self.password, str) else self.password
            encoded = base64.b64encode(self.identity.encode() + b":" + secret).decode()
            headers["Authorization"] = f"Basic {encoded}"
        self._socket = await connect(
            f"{self.url}/{quote(self.identity, safe='')}",
            subprotocols=[Subprotocol(name) for name in self.subprotocols] or None,
            additional_headers=headers,
            ssl=self.tls,
            host="127.0.0.1",  # whatever the name in the URL
            proxy=None,
        )
        self._seen_ids.clear()
        self._unanswered.clear()
        self._reading = asyncio.get_running_loop().create_task(self._read(self._socket))

    async def disconnect(self) -> None:
        """Close the connection politely."""
        if self._socket is not None:
            await self._socket.close()
        await self._stop_reading()

    async def lose_power(self) -> None:
        """Vanish without a word."""
        assert self._socket is not None
        self._socket.transport.abort()
        await self._stop_reading()

    async def reconnect(self) -> None:
        """Come back after ``disconnect`` or a reset."""
        await self.disconnect()
        await self.connect()

    async def call(self, action: str, payload: Payload) -> Payload:
        """Call the central system and return its answer. Raises ``CallRefused``."""
        assert_valid(action, payload)
        frame = await self._exchange(action, payload)
        if frame[0] == 4:
            raise CallRefused(f"{action} was answered with CALLERROR {frame[2:]}")
        answer: Payload = frame[2]
        try:
            assert_valid_answer(action, answer)
        except ValidationError as error:
            self._blame(f"the answer to {action} breaks the schema: {error.message}")
        return answer

    def answer(self, action: str, script: Script, **when: Any) -> None:
        """Answer calls of an action like this from now on; ``when`` = fields they must have."""
        self._rules.insert(0, Rule(action, script, when))

    def received(self, action: str) -> list[Payload]:
        """Return the payloads of every call of an action so far."""
        return [payload for name, payload in self.calls if name == action]

    async def called(self, action: str, **fields: Any) -> Payload:
        """Wait for a call of an action with these fields, and return its payload."""

        def found() -> Payload | None:
            wanted = Rule(action, {}, fields)
            return next((p for p in self.received(action) if wanted.fits(action, p)), None)

        claim = f"{self.identity} is called for {action} {fields}; got {self.calls}"
        payload: Payload = await eventually(found, within_s=ANSWER_WITHIN_S, claim=claim)
        return payload

    async def _exchange(self, action: str, payload: Payload) -> list[Any]:
        """Send a call and return the frame that answers it; one at a time (OCPP-J 1.6, 4.1.1)."""
        async with self._turn:
            assert self._socket is not None
            message_id = f"{self.identity}-{next(self._ids)}"[-ID_LIMIT:]
            answered: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
            self._pending = message_id, answered
            await self._socket.send(json.dumps([2, message_id, action, payload]))
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    return await answered
            except TimeoutError:
                raise AssertionError(f"{action} was not answered") from None
            finally:
                self._pending = None

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for text in socket:
                self._take(socket, text)
        except ConnectionClosed:
            pass
        finally:
            if self._pending is not None and not self._pending[1].done():
                reason = f"the connection ended: {socket.close_code} {socket.close_reason}"
                self._pending[1].set_exception(AssertionError(reason))

    def _take(self, socket: ClientConnection, text: str | bytes) -> None:
        if isinstance(text, bytes):
            self._blame("a binary message")
        frame = json.loads(text)
        match frame:
            case [2, str(message_id), str(action), dict(payload)]:
                self._take_call(socket, message_id, action=action, payload=payload)
            case [3, str(message_id), dict()] | [4, str(message_id), str(), str(), dict()]:
                self._take_answer(message_id, frame)
            case _:
                self._blame(f"no frame of OCPP-J: {text!r}")

    def _take_answer(self, message_id: str, frame: list[Any]) -> None:
        if self._pending is None or self._pending[0] != message_id or self._pending[1].done():
            self._blame(f"an answer to no open call: {frame}")
        else:
            self._pending[1].set_result(frame)

    def _take_call(
        self, socket: ClientConnection, message_id: str, *, action: str, payload: Payload
    ) -> None:
        self._check_call(message_id, action, payload)
        self._seen_ids.add(message_id)
        self._unanswered.add(message_id)
        self.calls.append((action, payload))
        task = asyncio.get_running_loop().create_task(
            self._answer(socket, message_id, action=action, payload=payload)
        )
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    def _check_call(self, message_id: str, action: str, payload: Payload) -> None:
        if len(message_id) > ID_LIMIT:
            self._blame(f"message id {message_id!r} is longer than {ID_LIMIT} characters")
        if message_id in self._seen_ids:
            self._blame(f"message id {message_id!r} was used twice")
        if self._unanswered:
            self._blame(f"{action} was sent while another call was not answered")
        if not (SCHEMAS / f"{action}.json").exists():
            self._blame(f"OCPP 1.6 has no action {action!r}")
            return
        try:
            assert_valid(action, payload)
        except ValidationError as error:
            self._blame(f"{action} breaks the schema: {error.message} in {payload}")

    async def _answer(
        self, socket: ClientConnection, message_id: str, *, action: str, payload: Payload
    ) -> None:
        try:
            answer = await self._scripted(action, payload)
        except Exception as error:  # noqa: BLE001 - a mistake in the script of a test
            self._blame(f"{action} could not be answered as scripted: {error!r}")
            answer = Refuse("InternalError")
        self._unanswered.discard(message_id)
        frame = (
            [4, message_id, answer.code, "", {}]
            if isinstance(answer, Refuse)
            else [3, message_id, answer]
        )
        with contextlib.suppress(ConnectionClosed):
            await socket.send(json.dumps(frame))

    async def _scripted(self, action: str, payload: Payload) -> Payload | Refuse:
        rule = next((r for r in self._rules if r.fits(action, payload)), None)
        if rule is None:
            return self.settings.answer(action, payload)
        answer = rule.script(payload) if callable(rule.script) else rule.script
        if isinstance(answer, Awaitable):
            answer = await answer
        if not isinstance(answer, Refuse):
            assert_valid_answer(action, answer)
        return answer

    async def _stop_reading(self) -> None:
        if self._reading is not None:
            await self._reading
        for task in tuple(self._answering):
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    def _blame(self, what: str) -> None:
        self.violations.append(what)
