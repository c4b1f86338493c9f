"""Valid frames, broken: their bytes, or what they say. Everything comes from one ``Random``."""

import json
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

from tests.fuzz.seeds import ANSWERS, CALLS, WITH_THE_DISK

SLOW_SHARE = 0.015
"""What waits for the disk is a smaller part of the frames."""
_SLOW = {action for action, _ in WITH_THE_DISK} - {"MeterValues"}
_QUICK = tuple(action for action in CALLS if action not in _SLOW)

_TOKENS = (
    b"null",
    b"true",
    b"-0",
    b"1e999",
    b"9" * 400,
    b"-" + b"9" * 25,
    b"0.1e-400",
    b"2147483648",
    b"18446744073709551616",
    b"NaN",
    b"{}",
    b"[]",
    b'""',
    b'"\\ud800"',
    b'"\\u0000"',
    b'"' + b"x" * 3_000 + b'"',
    b"\xff\xfe",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\x00",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xae",
)
_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    65,
    2**31,
    2**53 + 1,
    2**64 - 1,
    -(2**63),
    1.5,
    1e300,
    "",
    "1",
    " 12,5 ",
    "-0",
    "nan",
    "1970-01-01T00:00:00Z",
    "222222017-01-01T00:00:00Z",
    "2026-01-01T12:00:00+99:99",
    "9999-12-31T23:59:59-23:59",
    "GOOD",
    "x" * 10_000,
    "\x00\ud7ff\U0010ffff",
    {},
    [],
    [{}],
    {"status": "Accepted"},
)
_BRACKETS = (b"[", b'{"a":', b'[{"x":')

Bytes = Callable[[Random, bytes], bytes]


def call(rng: Random, message_id: Any) -> bytes:
    """Return a valid call of any action."""
    if rng.random() < SLOW_SHARE:
        action, payload = rng.choice(WITH_THE_DISK)
    else:
        action = rng.choice(_QUICK)
        payload = CALLS[action]
    return json.dumps([2, message_id, action, payload]).encode()


def answer(rng: Random, message_id: str, action: str) -> bytes:
    """Return a plausible answer to a call of ours: mostly a result, now and then an error."""
    if rng.random() < 0.1:
        return json.dumps([4, message_id, "InternalError", "no", {}]).encode()
    status = rng.choice(("Accepted", "Rejected", "NotSupported", "RebootRequired", "Unknown"))
    return json.dumps([3, message_id, ANSWERS.get(action, {"status": status})]).encode()


def mutated(rng: Random, frame: bytes, *, keep: int = 0) -> bytes:
    """Return a frame with one to four mutations, none of them in its first ``keep`` bytes."""
    head, body = frame[:keep], frame[keep:]
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        body = rng.choice(MUTATIONS)(rng, body)
    return head + body


def bent(rng: Random, message_id: Any) -> bytes:
    """Return a call of which the JSON is sound, and what it says is not."""
    frame = json.loads(call(rng, message_id))
    for _ in range(rng.choice((1, 1, 2, 5))):
        holder, key = rng.choice(_places_in(frame[2:] if rng.random() < 0.05 else frame[3]))
        _bend(rng, holder, key)
    return json.dumps(frame).encode()


def _places_in(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) below a value; a field to be made up where there is none."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        keys = holder.keys() if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])
    return found or [(value, "made up")]


def _bend(rng: Random, holder: Any, key: Any) -> None:
    """Drop, replace, repeat or rename one field."""
    deed = rng.randrange(6)
    if isinstance(holder, dict):
        value = holder.pop(key, None)
        if deed == 0:
            return
        name = str(key).swapcase() if deed == 1 else key
        holder[name] = value if deed == 1 else deepcopy(rng.choice(_VALUES))
        if deed == 2:
            holder[key] = [value] * rng.choice((0, 1, 2, 100))
    elif deed == 0:
        holder.pop(key)
    elif deed == 1:
        holder.insert(key, deepcopy(rng.choice(_VALUES)))
    else:
        holder[key] = deepcopy(rng.choice(_VALUES))


def _place(rng: Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 1, 2, 4, 16, 64)))


def _flip(rng: Random, data: bytes) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _cut(rng: Random, data: bytes) -> bytes:
    start, end = _place(rng, data)
    return data[:start] + data[end:]


def _truncate(rng: Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _insert(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 1, 2, 8))) + data[at:]


def _insert_token(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(_TOKENS) + data[at:]


def _replace_value(rng: Random, data: bytes) -> bytes:
    """Put something else where a value begins: behind a colon or a comma."""
    places = [at for at, byte in enumerate(data) if byte in b":,"]
    if not places:
        return data
    at = rng.choice(places) + 1
    end = at
    while end < len(data) and data[end] not in b",}]":
        end += 1
    return data[:at] + rng.choice(_TOKENS) + data[end:]


def _duplicate(rng: Random, data: bytes) -> bytes:
    start, end = _place(rng, data)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 30)) + data[end:]


def _splice(rng: Random, data: bytes) -> bytes:
    other = call(rng, "spliced")
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other)) :]


def _nest(rng: Random, data: bytes) -> bytes:
    at, depth = rng.randrange(len(data) + 1), rng.choice((3, 70, 1_100))
    return data[:at] + rng.choice(_BRACKETS) * depth + data[at:]


MUTATIONS: tuple[Bytes, ...] = (
    _flip,
    _cut,
    _truncate,
    _insert,
    _insert_token,
    _replace_value,
    _replace_value,
    _duplicate,
    _splice,
    _nest,
)
