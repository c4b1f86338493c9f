"""Whose connection it is: the peer of the socket, or whom a trusted balancer names (PROXY v2)."""

import asyncio
import socket
from dataclasses import dataclass

from ocpp_server.domain.proxy_protocol import HEAD_BYTES, SIGNATURE, body_length, source_of
from ocpp_server.domain.rates import Networks, is_within, limited_address


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """The other end of a connection."""

    name: str
    """``<address>:<port>``"""
    limited_as: str | None = None
    """What it is counted as; ``None`` = it is not limited."""
    may_be_proxy: bool = False
    """A header that names somebody else is believed of it."""


def peer_of(host: str, port: int, *, proxies: Networks) -> Peer:
    """Return the peer of a socket. A proxy is not limited: many stations come through it."""
    return Peer(
        name=f"{host}:{port}",
        limited_as=limited_address(host, unlimited=proxies),
        may_be_proxy=is_within(host, proxies),
    )


def begins_with_header(connection: socket.socket) -> bool:
    """Tell whether the bytes that wait begin like a PROXY header. No HTTP and no TLS does."""
    head = connection.recv(len(SIGNATURE), socket.MSG_PEEK)
    return len(head) > 0 and SIGNATURE.startswith(head)


async def told_peer(connection: socket.socket, proxy: Peer) -> Peer:
    """Read the header, and not a byte more; return whom it names, or the proxy itself.

    Raises ``BadProxyHeader``, and ``ConnectionError`` when the connection ends in it.
    """
    head = await _exactly(connection, HEAD_BYTES)
    body = await _exactly(connection, body_length(head))
    source = source_of(head, body)
    if source is None:
        return Peer(name=proxy.name)
    return Peer(name=f"{source.host}:{source.port}", limited_as=limited_address(source.host))


async def _exactly(connection: socket.socket, length: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < length:
        piece = await loop.sock_recv(connection, length - len(data))
        if not piece:
            raise ConnectionError("the connection ended in its PROXY header")
        data += piece
    return data
