"""Reads decision logs, plain or gzip, also when a crash has cut their end off."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from loadmgr.domain.log_form import LogReader, NoRecord
from loadmgr.domain.log_record import Begun, LogRecord
from loadmgr.domain.log_scan import Configured, LogScan, Said, Sent
from shared.errors import ConfigError

CHUNK_BYTES = 1 << 16
BEGIN = b'{"record":"begin"'
GZIP_MAGIC = b"\x1f\x8b"
GZIP_WBITS = 31
MOST_LINE_BYTES = 256 << 20
"""A longer line is no record; a site with 10,000 EVSEs and its memory have some 30 MiB."""


class UnreadableLog(ConfigError):
    """A file cannot be used as a decision log. The message says why, and what to do."""


@dataclass
class LogFile:
    """One file of a decision log."""

    path: Path
    is_cut: bool = field(default=False, init=False)
    """Its end is missing, as after a crash; known when it has been read."""

    def scan(self) -> Iterator[Said | Sent | Configured]:
        """Yield what happened, quickly. Raises ``UnreadableLog``."""
        reader = LogScan()
        for number, line in self._numbered():
            try:
                told = reader.take(line)
            except NoRecord as error:
                raise UnreadableLog(f"{self.path}, line {number}: {error}") from error
            if told is not None:
                yield told

    def records(self) -> Iterator[LogRecord]:
        """Yield its records, the first one a ``Begun``. Raises ``UnreadableLog``."""
        reader = LogReader()
        for number, line in self._numbered():
            yield self._record(reader, line, number)

    def begun_at(self) -> datetime:
        """Return when it was begun. Raises ``UnreadableLog``; an empty file is as old as can be."""
        for record in self.records():
            return record.at
        return datetime.min.replace(tzinfo=UTC)

    def _numbered(self) -> Iterator[tuple[int, bytes]]:
        """Yield whole lines with their numbers."""
        number = 0
        try:
            for line, is_whole in self._lines():
                number += 1
                if not is_whole and (number > 1 or line.startswith(BEGIN)):
                    self.is_cut = True
                    return
                yield number, line
        except OSError as error:
            raise UnreadableLog(f"{self.path} cannot be read: {error.strerror}") from error
        if number == 0:
            self.is_cut = True

    def _record(self, reader: LogReader, line: bytes, number: int) -> LogRecord:
        try:
            record = reader.record(line)
        except NoRecord as error:
            if number == 1:
                raise UnreadableLog(
                    f"{self.path} is no decision log of Parkade: {error}. Give files of the "
                    "folder loadmgr in PARKADE_DATA_DIR"
                ) from error
            raise UnreadableLog(f"{self.path}, line {number}: {error}") from error
        if number == 1 and not isinstance(record, Begun):
            raise UnreadableLog(f"{self.path} does not begin as a decision log does: give it whole")
        return record

    def _lines(self) -> Iterator[tuple[bytes, bool]]:
        """Yield lines, and whether they are whole."""
        rest = b""
        for data in self._data():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield line, True
            if len(rest) > MOST_LINE_BYTES:
                raise UnreadableLog(f"{self.path} is no decision log of Parkade: no lines in it")
        if rest:
            yield rest, False

    def _data(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            is_packed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            chunks = iter(lambda: file.read(CHUNK_BYTES), b"")
            yield from self._unpacked(chunks) if is_packed else chunks

    def _unpacked(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Unpack gzip, several in a row as well (``cat`` makes such)."""
        packer = zlib.decompressobj(GZIP_WBITS)
        for chunk in chunks:
            data = chunk
            while data:
                if packer.eof:
                    packer = zlib.decompressobj(GZIP_WBITS)
                try:
                    yield packer.decompress(data)
                except zlib.error as error:
                    raise UnreadableLog(f"{self.path} is damaged: {error}") from error
                data = packer.unused_data
        if not packer.eof:
            self.is_cut = True


def in_order(paths: list[Path]) -> list[LogFile]:
    """Return the files by the time at which they were begun. Raises ``UnreadableLog``."""
    files = [LogFile(path) for path in paths]
    return sorted(files, key=LogFile.begun_at)
