"""PROXY protocol version 2: what a balancer says about whose connection it hands on.

From the specification of HAProxy (proxy-protocol.txt, 2.2): a fixed head of 16 bytes, then as many
bytes as it says. Pure: bytes in, meaning out.
"""

from dataclasses import dataclass
from ipaddress import ip_address

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
HEAD_BYTES = 16
BODY_LIMIT = 4096
"""Addresses and what else the balancer tells; ours tells some 12 to 36 bytes."""

_VERSION_2 = 0x20
_LOCAL, _PROXY = 0x0, 0x1
_TCP4, _TCP6 = 0x11, 0x21
_LENGTHS = {_TCP4: 4, _TCP6: 16}


class BadProxyHeader(ValueError):
    """What begins like a header and is none; no meaning is left in the connection."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who opened the connection at the balancer."""

    host: str
    port: int


def body_length(head: bytes) -> int:
    """Return how many bytes follow the head. Raises ``BadProxyHeader``."""
    if len(head) != HEAD_BYTES or not head.startswith(SIGNATURE):
        raise BadProxyHeader("no PROXY header of version 2")
    if head[12] & 0xF0 != _VERSION_2 or head[12] & 0x0F not in {_LOCAL, _PROXY}:
        raise BadProxyHeader("unknown version or command of the PROXY header")
    length = int.from_bytes(head[14:16], "big")
    if length > BODY_LIMIT:
        raise BadProxyHeader(f"a PROXY header of {length} bytes")
    return length


def source_of(head: bytes, body: bytes) -> Source | None:
    """Return whose connection it is; ``None`` = the balancer's own (a health check) or unknown.

    Raises ``BadProxyHeader`` when the addresses are cut off.
    """
    size = _LENGTHS.get(head[13])
    if head[12] & 0x0F == _LOCAL or size is None:
        return None
    if len(body) < 2 * size + 4:
        raise BadProxyHeader("the addresses of the PROXY header are cut off")
    port = int.from_bytes(body[2 * size : 2 * size + 2], "big")
    return Source(str(ip_address(body[:size])), port)
