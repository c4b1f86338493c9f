"""One WebSocket: the sans-I/O protocol of ``websockets`` on an asyncio transport.

No task and no compression for each connection, which keeps memory small and the tail short
(facts/performance.md, 2). What the messages mean is the receiver's business.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from websockets.exceptions import InvalidHandshake, InvalidHeader
from websockets.frames import CloseCode, Frame, Opcode
from websockets.headers import parse_subprotocol
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import BytesLike, Subprotocol

from ocpp_server.domain.basic_auth import credentials
from ocpp_server.domain.handshake import Admission, Handshake, Refusal, identity_of
from ocpp_server.link import Front, Receiver
from ocpp_server.peer import Peer
from ocpp_server.peer_certificate import certificate_fields
from shared.contracts.station import RefusalReason

logger = logging.getLogger(__name__)

MESSAGE_TIMEOUT_S = 60.0
"""A message that is begun must be complete by then; modems are slow, and attackers slower."""
UNSENT_LIMIT = 4 << 20
"""A peer that leaves this much unread is gone."""
CLOSE_TIMEOUT_S = 5.0
FRAME_HEAD_BYTES = 14

SessionLost = Callable[["Session"], None]


class Session(asyncio.Protocol):
    """States of one connection: handshake, admission, open, closing. Implements ``Link``."""

    def __init__(self, front: Front, *, tls: bool, peer: Peer, on_lost: SessionLost) -> None:
        self._front = front
        self._tls = tls
        self._peer = peer
        self._on_lost = on_lost
        self.arrived: asyncio.Future[Handshake | None] = asyncio.get_running_loop().create_future()
        """The upgrade request; None when the connection ended before there was one."""
        self.failure: Exception | None = None
        """What ended the connection, e.g. a TLS alert that came after the handshake (TLS 1.3)."""
        self._ws = ServerProtocol(
            max_size=front.frame_limit(None), select_subprotocol=lambda *_: self._subprotocol
        )
        self._subprotocol: Subprotocol | None = None
        self._transport: asyncio.Transport | None = None
        self._request: Request | None = None
        self._handshake: Handshake | None = None
        self._admission: Admission | None = None
        self._receiver: Receiver | None = None
        self._digesting = False
        self._frame_limit = front.frame_limit(None)
        self._begun: bytearray | None = None
        """A message of which more fragments are to come."""
        self._opcode = Opcode.TEXT
        self._patience: asyncio.TimerHandle | None = None
        self._close_timer: asyncio.TimerHandle | None = None

    # What the core sees (Link)

    @property
    def handshake(self) -> Handshake:
        """What the station came with."""
        if self._handshake is None:
            raise LookupError("no handshake yet")
        return self._handshake

    @property
    def admission(self) -> Admission:
        """As whom it was admitted."""
        if self._admission is None:
            raise LookupError("not admitted")
        return self._admission

    def send(self, text: str) -> None:
        """Send a text frame; does nothing when the connection is gone."""
        if self._ws.state is State.OPEN:
            self._ws.send_text(text.encode())
            if not self._digesting:  # whatever is sent meanwhile goes out with the rest
                self._flush()

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Say good-bye; the socket is cut when the station does not answer within 5 s."""
        if self._ws.state is State.OPEN:
            self._ws.send_close(code, reason)
            self._flush()
            self._cut_later()
        elif self._receiver is None and self._transport is not None:
            self._transport.close()

    def ping(self) -> None:
        """Keep proxies from cutting an idle connection (field notes 5.1, 6). No pong is awaited."""
        if self._ws.state is State.OPEN:
            self._limit_frames()  # the site may have changed
            self._ws.send_ping(b"")
            self._flush()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket, TLS included, is there."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        self._ws.receive_data(data)
        self._digest()

    def eof_received(self) -> None:
        """The peer writes no more."""
        self._ws.receive_eof()
        self._digest()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone, for whatever reason."""
        self.failure = exc
        for timer in (self._close_timer, self._patience):
            if timer is not None:
                timer.cancel()
        if self._ws.state is not State.CLOSED:
            self._ws.receive_eof()
        if not self.arrived.done():
            self.arrived.set_result(None)
        self._on_lost(self)
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            code = self._ws.close_code or CloseCode.ABNORMAL_CLOSURE
            receiver.closed(int(code), self._ws.close_reason or "")

    def abort(self) -> None:
        """Cut the socket."""
        if self._transport is not None:
            self._transport.abort()

    # Admission

    def settle(self, decision: Admission | Refusal) -> None:
        """Answer the upgrade request as decided."""
        has_failed = self._ws.state is not State.CONNECTING or self._ws.eof_sent
        request, self._request = self._request, None
        if request is None or has_failed:
            return
        if isinstance(decision, Refusal):
            self._refuse(decision)
            return
        chosen = decision.subprotocol
        self._subprotocol = None if chosen is None else Subprotocol(chosen)
        response = self._ws.accept(request)
        self._ws.send_response(response)
        if self._is_open():
            self._admission = decision
            self._limit_frames()
            self._receiver = self._front.opened(self)
        else:
            self._report_bad_handshake()
        request.headers.clear()  # the parser keeps the request; what counts is in the handshake
        self._flush()
        self._digest()

    def _is_open(self) -> bool:
        return self._ws.state is State.OPEN

    def _refuse(self, refusal: Refusal) -> None:
        response = self._ws.reject(HTTPStatus(refusal.status), refusal.detail + "\n")
        if refusal.retry_after_s is not None:
            response.headers["Retry-After"] = str(refusal.retry_after_s)
        if refusal.status == HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = 'Basic realm="Parkade"'
        self._ws.send_response(response)
        self._front.refused(self.handshake, refusal)
        self._flush()

    def _report_bad_handshake(self) -> None:
        self._front.refused(
            self.handshake,
            Refusal(
                reason=RefusalReason.HANDSHAKE,
                status=400,
                detail="the upgrade request is not a valid WebSocket handshake; set the wallbox to "
                "OCPP 1.6 JSON (not SOAP)",
            ),
        )

    # Inside

    def _digest(self) -> None:
        """Act on what the protocol made of the bytes."""
        self._digesting = True
        for event in self._ws.events_received():
            if isinstance(event, Frame):
                self._frame_arrived(event)
            elif isinstance(event, Request):
                self._request_arrived(event)
        self._digesting = False
        self._watch_message()
        self._flush()
        if self._ws.close_expected():
            self._cut_later()

    def _limit_frames(self) -> None:
        self._frame_limit = self._front.frame_limit(self.admission.station_id)
        self._ws.max_message_size = self._frame_limit

    def _watch_message(self) -> None:
        """Bound what a message that is not complete yet takes: memory, and time."""
        held = len(self._ws.reader.buffer) + len(self._begun or b"")
        if self._ws.state is not State.OPEN or not (held or self._begun is not None):
            self._stop_waiting()
            return
        if held > self._frame_limit + FRAME_HEAD_BYTES:
            # The protocol applies a new limit from the second frame on.
            self.close(CloseCode.MESSAGE_TOO_BIG, f"at most {self._frame_limit} bytes, please")
        elif self._patience is None:
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(MESSAGE_TIMEOUT_S, self._message_overdue)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _message_overdue(self) -> None:
        self._patience = None
        self.close(CloseCode.POLICY_VIOLATION, f"a message took over {MESSAGE_TIMEOUT_S:g} s")

    def _request_arrived(self, request: Request) -> None:
        self._request = request
        self._handshake = self._read_handshake(request)
        if self._transport is not None:
            self._transport.pause_reading()  # nothing may come before it is let in
        if not self.arrived.done():
            self.arrived.set_result(self._handshake)

    def _read_handshake(self, request: Request) -> Handshake:
        identity = identity_of(request.path)
        user, password = credentials(_header(request, "Authorization"), identity)
        return Handshake(
            path=request.path,
            identity=identity,
            peer=self._peer.name,
            limited_as=self._peer.limited_as,
            tls=self._tls,
            subprotocols=_offered_subprotocols(request),
            user=user,
            password=password,
            **certificate_fields(self._transport),
        )

    def _frame_arrived(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            self._opcode = opcode
            if frame.fin:
                self._message_arrived(frame.data)
            else:
                self._begun = bytearray(frame.data)
        elif opcode is Opcode.CONT and self._begun is not None:
            self._begun += frame.data
            if frame.fin:
                message, self._begun = self._begun, None
                self._message_arrived(message)
        # a ping is answered by the protocol; pong and close need no answer of ours

    def _message_arrived(self, message: BytesLike) -> None:
        self._stop_waiting()
        if self._receiver is None:
            return
        try:
            text = str(message, "utf-8")
        except UnicodeDecodeError:
            code = CloseCode.INVALID_DATA
            if self._opcode is Opcode.BINARY:
                code = CloseCode.UNSUPPORTED_DATA
            self.close(code, "text frames in UTF-8, please")
            return
        self._receiver.received(text)

    def _flush(self) -> None:
        """Hand over what the protocol wants sent; an empty piece means the end."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._receiver is not None or self._ws.state is not State.CONNECTING:
            transport.resume_reading()
        for data in self._ws.data_to_send():
            if data:
                transport.write(data)
            elif transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()
        if transport.get_write_buffer_size() > UNSENT_LIMIT:
            logger.warning("a station leaves %s bytes unread, cut off", UNSENT_LIMIT)
            transport.abort()

    def _cut_later(self) -> None:
        if self._close_timer is None:
            loop = asyncio.get_running_loop()
            self._close_timer = loop.call_later(CLOSE_TIMEOUT_S, self.abort)


def _header(request: Request, name: str) -> str | None:
    """The first value of a header; a repeated one is no reason to refuse a station."""
    values = request.headers.get_all(name)
    return values[0] if values else None


def _offered_subprotocols(request: Request) -> tuple[str, ...]:
    offered: list[str] = []
    for value in request.headers.get_all("Sec-WebSocket-Protocol"):
        try:
            offered.extend(parse_subprotocol(value))
        except (InvalidHeader, InvalidHandshake):
            offered.extend(part.strip() for part in value.split(",") if part.strip())
    return tuple(offered)
