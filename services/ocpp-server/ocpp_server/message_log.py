"""Every frame, told to whoever keeps them. Gathered, because a log must not cost what it logs."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ocpp_server.domain.frames import Frame
from ocpp_server.domain.log_rows import described, logged_text
from shared.bus.port import Bus
from shared.clock import Clock
from shared.contracts.ocpp import LogRow, MessagesLogged
from shared.errors import ParkadeError
from shared.ids import pseudonym

logger = logging.getLogger(__name__)

GATHER_S = 0.2
MOST_ROWS = 500
"""In one message."""
WAITING_LIMIT = 20_000
"""Frames that may wait; the oldest are dropped first."""
WAITING_BYTES = 64 << 20


@dataclass(slots=True)
class Entry:
    """A frame that is to be logged. Made into a row later, when there is time."""

    station_id: str
    at: float
    """On the monotonic clock."""
    inbound: bool
    kind: int
    message_id: str
    action: str
    text: str
    latency_s: float | None = None
    repairs: str = ""
    """Filled in when the frame was read; what it was parsed into is not kept for the log."""


class MessageLog:
    """Takes frames at no cost worth mentioning, and publishes them a little later."""

    def __init__(self, bus: Bus, *, clock: Clock, shows_id_tags: Callable[[], bool]) -> None:
        self._bus = bus
        self._clock = clock
        self._shows_id_tags = shows_id_tags
        self._waiting: deque[Entry] = deque()
        self._bytes = 0

    def took(
        self,
        station_id: str,
        frame: Frame,
        text: str,
        *,
        at: float,
        action: str = "",
        latency_s: float | None = None,
    ) -> Entry:
        """A frame came in. ``action`` and ``latency_s`` of answers are those of their call."""
        kind, message_id, own_action, repairs = described(frame)
        action = own_action or action
        entry = Entry(station_id, at, True, kind, message_id, action, text, latency_s, repairs)
        self._add(entry)
        return entry

    def sent(
        self,
        station_id: str,
        text: str,
        *,
        at: float,
        kind: int,
        message_id: object,
        action: str,
        latency_s: float | None = None,
    ) -> None:
        """A frame of ours went out."""
        self._add(Entry(station_id, at, False, kind, str(message_id), action, text, latency_s))

    async def run(self) -> None:
        """Publish what was gathered, until cancelled."""
        while True:
            await asyncio.sleep(GATHER_S)
            await self.flush()

    async def flush(self) -> None:
        """Publish what waits."""
        offset = self._clock.now().timestamp() - self._clock.monotonic()
        hide = None if self._shows_id_tags() else pseudonym
        while self._waiting:
            rows: list[LogRow] = []
            while self._waiting and len(rows) < MOST_ROWS:
                entry = self._waiting.popleft()
                self._bytes -= len(entry.text)
                rows.append(_row(entry, offset, hide))
            await self._publish(rows)
            await asyncio.sleep(0)  # stations first

    def _add(self, entry: Entry) -> None:
        self._waiting.append(entry)
        self._bytes += len(entry.text)
        while len(self._waiting) > WAITING_LIMIT or self._bytes > WAITING_BYTES:
            self._bytes -= len(self._waiting.popleft().text)

    async def _publish(self, rows: list[LogRow]) -> None:
        event = MessagesLogged.model_construct(instance=self._bus.instance, rows=tuple(rows))
        try:
            await self._bus.publish(event)
        except ParkadeError as error:
            logger.debug("%s frames not logged: %s", len(rows), error)


def _row(entry: Entry, offset: float, hide: Callable[[str], str] | None) -> LogRow:
    return LogRow(
        entry.station_id,
        entry.at + offset,
        entry.inbound,
        entry.kind,
        entry.message_id,
        entry.action,
        logged_text(entry.text, pseudonym=hide),
        None if entry.latency_s is None else round(entry.latency_s * 1000, 3),
        entry.repairs,
    )
