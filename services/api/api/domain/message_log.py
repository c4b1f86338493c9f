"""The message log: what is kept of a frame, who wants to see it, and how it reads as a line."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite
from string import ascii_lowercase, ascii_uppercase
from typing import NamedTuple

from api.domain.storable import moment_of, storable, storable_name
from shared.contracts.ocpp import LogRow

MOST_TEXT = 65_536
"""Characters of a frame that are kept; the sender cuts at 64 KiB already."""
MOST_REPAIRS = 1_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LEFT_OUT = {code: f"\\u{code:04x}" for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}
"""What would end a line, or do something to a terminal."""


class Direction(StrEnum):
    """Which way a frame went, seen from the server."""

    IN = "in"
    OUT = "out"


class FrameKind(StrEnum):
    """What a frame was (OCPP-J 1.6, 4.2: message types 2, 3 and 4)."""

    CALL = "call"
    RESULT = "result"
    ERROR = "error"
    UNREADABLE = "unreadable"


KIND_NUMBERS = {
    FrameKind.CALL: 2,
    FrameKind.RESULT: 3,
    FrameKind.ERROR: 4,
    FrameKind.UNREADABLE: 0,
}
_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)
_KINDS = {number: kind for kind, number in KIND_NUMBERS.items()}


class LoggedMessage(NamedTuple):
    """One frame of the log. A tuple, because ten thousand are made in a second."""

    id: int | None
    """Where it stands in the log; ``None`` = it is not stored yet."""
    at: datetime
    station_id: str
    direction: Direction
    kind: FrameKind
    message_id: str
    action: str
    text: str
    latency_ms: float | None
    repairs: str


@dataclass(frozen=True, kw_only=True)
class MessageFilter:
    """Which frames are meant; ``None`` = all."""

    station_id: str | None = None
    action: str | None = None
    direction: Direction | None = None
    kind: FrameKind | None = None
    text: str | None = None
    """Occurs in the frame; the case of ASCII letters does not matter."""
    since: datetime | None = None
    until: datetime | None = None
    """Excluded."""

    def fits(self, message: LoggedMessage) -> bool:
        """Tell whether a frame that just went is meant. Time is not looked at: it is now."""
        wanted = (self.station_id, self.action, self.direction, self.kind)
        told = (message.station_id, message.action, message.direction, message.kind)
        if any(want is not None and want != is_ for want, is_ in zip(wanted, told, strict=True)):
            return False
        return self.text is None or in_small_letters(self.text) in in_small_letters(message.text)


def in_small_letters(text: str) -> str:
    """Return a text with its ASCII letters made small, which is what both databases do."""
    return text.lower() if text.isascii() else text.translate(_SMALL)


def kind_of(number: int) -> FrameKind:
    """Return what a frame was; whatever is none of the three could not be read."""
    return _KINDS.get(number, FrameKind.UNREADABLE)


def logged(row: LogRow) -> LoggedMessage:
    """Return what is kept of a frame."""
    return LoggedMessage(
        id=None,
        at=moment_of(row.at) or EPOCH,
        station_id=storable_name(row.station_id),
        direction=Direction.IN if row.inbound else Direction.OUT,
        kind=kind_of(row.kind),
        message_id=storable_name(row.message_id),
        action=storable_name(row.action),
        text=storable(row.text, most=MOST_TEXT),
        latency_ms=row.latency_ms if isfinite(row.latency_ms or 0) else None,
        repairs=storable(row.repairs, most=MOST_REPAIRS),
    )


def as_line(message: LoggedMessage) -> str:
    """Return a frame as one line, columns separated by tabs; what would break a line is escaped."""
    latency = "" if message.latency_ms is None else f"{message.latency_ms:.1f} ms"
    cells: Sequence[str] = (
        message.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        message.station_id,
        message.direction.value,
        message.kind.value,
        message.action,
        latency,
        message.repairs,
        message.text,
    )
    return "\t".join(cell.translate(LEFT_OUT) for cell in cells) + "\n"
