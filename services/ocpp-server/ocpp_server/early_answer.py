"""Tells a plain client in plain words why it is refused, before there is a WebSocket at all."""

import asyncio
import socket
from http import HTTPStatus

from ocpp_server.domain.handshake import Refusal

REQUEST_LIMIT = 65_536
LINGER_S = 1.0
"""How long the request may take that is read before it is refused."""


async def answer_plain(connection: socket.socket, refusal: Refusal) -> str:
    """Answer a request that is not served; return the path it asked for, as far as it tells.

    The request is read first: unread bytes would turn the close into a reset, and the installer
    would not see the text.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LINGER_S):
            request = await loop.sock_recv(connection, REQUEST_LIMIT)
            await loop.sock_sendall(connection, _response(refusal))
    except (TimeoutError, OSError):
        return ""
    return _path_of(request)


def _response(refusal: Refusal) -> bytes:
    body = f"{refusal.detail}\n".encode()
    lines = [
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if refusal.retry_after_s is not None:
        lines.append(f"Retry-After: {refusal.retry_after_s}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def _path_of(request: bytes) -> str:
    words = request.split(b"\r\n", 1)[0].split(b" ")
    return words[1].decode(errors="replace") if len(words) == 3 and words[0] == b"GET" else ""
