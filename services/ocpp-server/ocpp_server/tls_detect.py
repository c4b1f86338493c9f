"""Tells TLS from plain by the first bytes of a connection, without consuming them (S4)."""

import asyncio
import socket
from enum import Enum

PEEK_TIMEOUT_S = 5.0
"""A socket that says nothing for that long is dropped; it holds up nobody else."""


class FirstBytes(Enum):
    """What a connection begins with."""

    TLS = "tls"
    PLAIN = "plain"
    SILENCE = "silence"


async def first_bytes(connection: socket.socket) -> FirstBytes:
    """Wait for the first bytes of a connection and tell what they are.

    A TLS record of a handshake begins with 0x16 0x03; one byte alone would be a weak sign. The
    bytes stay in the socket. Silence and an early end are the same.
    """
    try:
        async with asyncio.timeout(PEEK_TIMEOUT_S):
            return await _classify(connection)
    except (TimeoutError, OSError):
        return FirstBytes.SILENCE


async def _classify(connection: socket.socket) -> FirstBytes:
    while True:
        await _readable(connection)
        head = connection.recv(3, socket.MSG_PEEK)
        if not head:
            return FirstBytes.SILENCE
        if head[0] != 0x16:
            return FirstBytes.PLAIN
        if len(head) > 1:
            return FirstBytes.TLS if head[1] == 0x03 else FirstBytes.PLAIN
        await asyncio.sleep(0.05)  # one byte is there, so waiting for readability would spin


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(connection, _set_ready, ready)
    try:
        await ready
    finally:
        loop.remove_reader(connection)


def _set_ready(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
