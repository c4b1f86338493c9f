"""A connection as a balancer hands it on: with a PROXY header (version 2) before its first byte."""

import asyncio
import ipaddress
import socket
import struct

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def proxy_header(source: str, port: int = 4711) -> bytes:
    """Return the header that names a source."""
    address = ipaddress.ip_address(source)
    family = 0x11 if address.version == 4 else 0x21
    target = ipaddress.ip_address("10.9.9.9" if address.version == 4 else "2001:db8::9")
    body = address.packed + target.packed + struct.pack("!HH", port, 19520)
    return SIGNATURE + bytes([0x21, family]) + struct.pack("!H", len(body)) + body


def local_header() -> bytes:
    """Return what a health check sends."""
    return SIGNATURE + bytes([0x20, 0x00]) + struct.pack("!H", 0)


async def proxied_socket(port: int, source: str) -> socket.socket:
    """Return a socket connected to a port of this machine that claims to come from elsewhere."""
    connection = socket.socket()
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, ("127.0.0.1", port))
    await loop.sock_sendall(connection, proxy_header(source))
    return connection
