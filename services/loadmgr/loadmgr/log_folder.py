"""The files of the decision log: begun, filled, compressed when they are full, and removed.

Every call may wait for the disk, so all of them come from one thread. A file stands by itself: it
begins with the site and with what load management knew at that moment.
"""

import gzip
import logging
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from loadmgr.domain.log_form import LogWriter
from loadmgr.domain.log_record import Begun, LogRecord, Remembered, SiteLoaded

logger = logging.getLogger(__name__)

FILE_LASTS = timedelta(hours=1)
MOST_BYTES = 64 << 20
"""A file that is longer ends before its hour does."""
LEFT_BEHIND = timedelta(minutes=10)
"""An uncompressed file that nobody wrote to for so long is what a crash left behind."""
MIB = 1 << 20
PATTERN = "decisions-*.jsonl*"
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """How much of the log is kept; whichever is reached first, the oldest files go."""

    days: int
    mib: int


class LogFolder:
    """One writer of decision logs. Its methods raise ``OSError`` when the disk fails."""

    def __init__(self, folder: Path, *, instance: str, keeping: Keeping) -> None:
        self.path = folder
        self._instance = instance
        self._keeping = keeping
        self._file: BinaryIO | None = None
        self._name = Path()
        self._begun_at = datetime.min.replace(tzinfo=UTC)
        self._writer = LogWriter()
        self._size = 0
        self._site: SiteLoaded | None = None

    def is_over(self, now: datetime) -> bool:
        """Tell whether the open file is to end at the next ``Remembered``. Asks no disk."""
        return now >= self._begun_at + FILE_LASTS or self._size >= MOST_BYTES

    def write(self, records: Iterable[LogRecord]) -> None:
        """Append records. After an ``OSError`` the next call begins a new file."""
        try:
            for record in records:
                self._write(record)
            if self._file is not None:
                self._file.flush()
        except OSError:
            self._abandon()
            raise

    def close(self) -> None:
        """End the file and compress it."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
            compress(self._name)

    def tidy(self, now: datetime) -> None:
        """Compress what a crash left behind, and remove what is too old or too much."""
        for path in sorted(self.path.glob("decisions-*.jsonl")):
            if path != self._name and _changed_at(path) < now - LEFT_BEHIND:
                compress(path)
        for part in self.path.glob("decisions-*.part"):
            if _changed_at(part) < now - LEFT_BEHIND:
                part.unlink()
        self._remove(now)

    def _write(self, record: LogRecord) -> None:
        if isinstance(record, SiteLoaded):
            self._site = record
        if isinstance(record, Remembered) and self.is_over(record.at):
            self.close()
        file = self._file or self._begin(record)
        self._append(file, record)

    def _begin(self, first: LogRecord) -> BinaryIO:
        at = first.at
        self.path.mkdir(parents=True, exist_ok=True)
        self._name = self._free_name(at)
        self._file = file = open(self._name, "xb", opener=_private)  # noqa: SIM115 - lives on
        self._begun_at, self._size, self._writer = at, 0, LogWriter()
        self._append(file, Begun(at=at, program=version("parkade"), instance=self._instance))
        if self._site is not None and not isinstance(first, SiteLoaded):
            self._append(file, SiteLoaded(at=at, site=self._site.site, is_new=False))
        self.tidy(at)
        return file

    def _append(self, file: BinaryIO, record: LogRecord) -> None:
        line = self._writer.line(record)
        file.write(line)
        self._size += len(line)

    def _abandon(self) -> None:
        """What was buffered cannot be written either, so closing may fail as well."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                logger.debug("decision log %s not closed: %s", self._name, error)

    def _free_name(self, at: datetime) -> Path:
        """Several instances may share a folder, so the name tells whose it is."""
        tail = "".join(c for c in self._instance.rpartition("/")[2] if c.isalnum())
        stem = f"decisions-{at.astimezone(UTC).strftime(_TIME)}-{tail}"
        for number in range(1_000):
            path = self.path / f"{stem}{f'-{number}' if number else ''}.jsonl"
            if not path.exists() and not path.with_suffix(".jsonl.gz").exists():
                return path
        raise FileExistsError(f"{stem}.jsonl and 999 more are there already")

    def _remove(self, now: datetime) -> None:
        files = sorted(path for path in self.path.glob(PATTERN) if path != self._name)
        oldest = f"decisions-{(now - timedelta(days=self._keeping.days)).strftime(_TIME)}"
        sizes = {path: path.stat().st_size for path in files}
        total = sum(sizes.values()) + self._size
        for path in files:
            if path.name < oldest or total > self._keeping.mib * MIB:
                path.unlink()
                total -= sizes[path]


def compress(path: Path) -> None:
    """Replace a file by its gzip. When that fails it stays as it is."""
    part = path.with_suffix(".jsonl.part")
    try:
        with (
            path.open("rb") as plain,
            open(part, "wb", opener=_private) as packed,
            gzip.GzipFile(path.name, "wb", compresslevel=6, fileobj=packed) as writer,
        ):
            shutil.copyfileobj(plain, writer, MIB)
        part.replace(path.with_suffix(".jsonl.gz"))
        path.unlink()
    except OSError as error:
        logger.warning("decision log %s stays uncompressed: %s", path.name, error)
        part.unlink(missing_ok=True)


def log_files(folder: Path) -> list[Path]:
    """Return the files of a folder, oldest first."""
    return sorted(path for path in folder.glob(PATTERN) if path.suffix != ".part")


def begun_at(path: Path) -> datetime | None:
    """Return when a file was begun by its name; ``None`` = it was named by somebody else."""
    words = path.name.split("-")
    try:
        return datetime.strptime(words[1].partition(".")[0], _TIME).replace(tzinfo=UTC)
    except (IndexError, ValueError):
        return None


def _changed_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _private(path: str, flags: int) -> int:
    """When vehicles come and go is nobody else's business."""
    return os.open(path, flags, 0o600)
