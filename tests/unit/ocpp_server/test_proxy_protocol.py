"""PROXY protocol version 2, byte by byte as its specification writes it."""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.domain.proxy_protocol import (
    BODY_LIMIT,
    HEAD_BYTES,
    SIGNATURE,
    BadProxyHeader,
    Source,
    body_length,
    source_of,
)

V4 = bytes([203, 0, 113, 7, 10, 0, 0, 1]) + struct.pack("!HH", 4711, 19520)
V6 = (
    ipaddress.ip_address("2001:db8::7").packed
    + ipaddress.ip_address("::1").packed
    + struct.pack("!HH", 4711, 19520)
)


def head(command: int, family: int, length: int, *, version: int = 2) -> bytes:
    return SIGNATURE + bytes([version << 4 | command, family]) + struct.pack("!H", length)


@pytest.mark.parametrize(
    ("because", "command", "family", "body", "source"),
    [
        ("IPv4", 1, 0x11, V4, Source("203.0.113.7", 4711)),
        ("IPv6", 1, 0x21, V6, Source("2001:db8::7", 4711)),
        (
            "more follows the addresses",
            1,
            0x11,
            V4 + b"\x03\x00\x04abcd",
            Source("203.0.113.7", 4711),
        ),
        ("a health check", 0, 0x00, b"", None),
        ("a health check with addresses", 0, 0x11, V4, None),
        ("an unknown family", 1, 0x00, b"", None),
        ("a UNIX socket", 1, 0x31, bytes(216), None),
    ],
)
def test_whose_connection_it_is(
    because: str, command: int, family: int, body: bytes, source: Source | None
) -> None:
    told = head(command, family, len(body))
    assert body_length(told) == len(body), because
    assert source_of(told, body) == source, because


@pytest.mark.parametrize(
    ("because", "told"),
    [
        ("another signature", b"PROXY TCP4 1.2.3"),
        ("version 1 in the place of 2", head(1, 0x11, 12, version=1)),
        ("an unknown command", head(2, 0x11, 12)),
        ("far too long", head(1, 0x11, BODY_LIMIT + 1)),
        ("cut off", head(1, 0x11, 12)[:-1]),
    ],
)
def test_what_is_no_header(because: str, told: bytes) -> None:
    with pytest.raises(BadProxyHeader):
        body_length(told)


def test_addresses_that_are_cut_off_have_no_meaning() -> None:
    with pytest.raises(BadProxyHeader):
        source_of(head(1, 0x11, 4), V4[:4])


@given(st.binary(min_size=4, max_size=4), st.binary(max_size=300))
def test_no_bytes_break_it(tail: bytes, body: bytes) -> None:
    told = SIGNATURE + tail
    assert len(told) == HEAD_BYTES
    try:
        if body_length(told) <= len(body):
            source_of(told, body)
    except BadProxyHeader:
        pass
