"""Reads decision logs and compares what was decided with what the program decides now."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from loadmgr.domain.log_record import LogRecord
from loadmgr.domain.replay import Difference, Replay, Tally
from loadmgr.log_reading import LogFile, UnreadableLog, in_order

MOST_SHOWN = 20


@dataclass(frozen=True)
class Replayed:
    """What came of it."""

    tally: Tally
    differences: list[Difference]
    """The first ones."""
    notes: list[str]
    """What keeps the answer from being complete."""
    files: list[LogFile] = field(default_factory=list)


def replayed(
    paths: list[Path], *, begins: datetime | None = None, ends: datetime | None = None
) -> Replayed:
    """Decide everything in the files again. Raises ``ConfigError`` (``UnreadableLog``).

    Each file stands by itself: it begins with the site and with all that was known.
    """
    files, replay = in_order(paths), Replay(begins=begins, ends=ends)
    found: list[Difference] = []
    for file in files:
        for record in _until(file, ends):
            found += replay.take(record)[: MOST_SHOWN - len(found)]
    tally = replay.tally
    if tally.decisions + tally.unknowable == 0:
        raise UnreadableLog("there is no decision in these files and times: give more of them")
    return Replayed(tally, found, list(_notes(files, tally)), files)


def _until(file: LogFile, ends: datetime | None) -> Iterator[LogRecord]:
    for record in file.records():
        if ends is not None and record.at >= ends:
            return
        yield record


def _notes(files: list[LogFile], tally: Tally) -> Iterator[str]:
    for file in files:
        if file.is_cut:
            yield f"{file.path} is cut off at its end; what is there was used"
    if tally.missing_records:
        yield f"{tally.missing_records} records were not written when it happened"
    if tally.foreign_memories:
        yield "another version of Parkade wrote what was known; its next cold start was waited for"
    if tally.unknowable:
        yield f"{tally.unknowable} decisions not compared: what was known before is not there"
