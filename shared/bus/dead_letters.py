"""Dead letters of the bus in one process: kept, logged, and written to a file when there is one."""

import asyncio
import logging
import os
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from shared.bus.codec import encode
from shared.bus.port import Delivery

logger = logging.getLogger(__name__)

KEPT = 1_000


@dataclass(frozen=True)
class DeadLetter:
    """A message that no handler could take."""

    delivery: Delivery[Any]
    queue: str
    reason: str
    died_at: datetime

    @property
    def json_line(self) -> bytes:
        """Everything that is needed to judge the message and to send it again."""
        message, meta = self.delivery.message, self.delivery.meta
        letter = {
            "died_at": self.died_at,
            "queue": self.queue,
            "reason": self.reason,
            "topic": message.topic,
            "message_id": meta.message_id,
            "sender": meta.sender,
            "sent_at": meta.sent_at,
            "body": orjson.Fragment(encode(message)),
        }
        return orjson.dumps(letter, option=orjson.OPT_APPEND_NEWLINE)


class DeadLetters:
    """The latest dead letters, and a file of all of them."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._writing = asyncio.Lock()
        self.kept: deque[DeadLetter] = deque(maxlen=KEPT)

    async def add(self, letter: DeadLetter) -> None:
        """Keep a letter; it is on the disk when this returns, if there is a file."""
        logger.error(
            "dead letter %s from %s: %s",
            letter.delivery.message.routing_key,
            letter.queue,
            letter.reason,
        )
        self.kept.append(letter)
        if self._file is not None:
            async with self._writing:
                await asyncio.to_thread(_append, self._file, letter.json_line)


def _append(file: Path, line: bytes) -> None:
    with file.open("ab") as stream:
        stream.write(line)
        stream.flush()
        os.fsync(stream.fileno())
