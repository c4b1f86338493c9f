"""The decision log writes beside the decision, loses nothing silently, and stays within bounds."""

import asyncio
import errno
import gzip
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loadmgr import decision_log, log_folder
from loadmgr.domain.log_record import Heard, LogRecord, Missing
from loadmgr.log_folder import Keeping, LogFolder, begun_at, log_files
from loadmgr.log_reading import LogFile
from loadmgr.replaying import replayed
from shared.contracts.charging import LoadmgrTicked
from shared.contracts.site import SiteChanged
from tests.conditions import eventually
from tests.unit.loadmgr.recording import PASSWORD, TOKEN, Desk, RecordedGarage, live, site


class FullDisk:
    """A disk that has room again when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        self._append = LogFolder._append

        def append(folder: LogFolder, file: object, record: LogRecord) -> None:
            if self.is_full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._append(folder, file, record)  # type: ignore[arg-type]

        monkeypatch.setattr(LogFolder, "_append", append)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    return FullDisk(monkeypatch)


def records(folder: Path) -> list[LogRecord]:
    return [record for path in log_files(folder) for record in LogFile(path).records()]


async def test_a_full_disk_is_told_once_and_deciding_goes_on(
    tmp_path: Path, disk: FullDisk, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(tmp_path)
    garage = RecordedGarage(site(), desk.log)
    live(garage, seed=1, steps=2)
    await desk.write()
    assert [alarm.active for alarm in desk.alarms] == [False]
    disk.is_full = True
    for _ in range(3):
        live(garage, seed=2, steps=2)
        desk.clock.advance(decision_log.RETRY_S)
        await desk.write()
    assert [alarm.active for alarm in desk.alarms] == [False, True]
    assert sum("No space left" in line for line in caplog.messages) == 1
    assert "No space left" in desk.trouble
    assert desk.health.is_ready
    disk.is_full = False
    desk.clock.advance(decision_log.RETRY_S)
    live(garage, seed=3, steps=3)
    await desk.write()
    await desk.close()
    assert [alarm.active for alarm in desk.alarms] == [False, True, False]
    gaps = [record for record in records(tmp_path) if isinstance(record, Missing)]
    assert sum(gap.records for gap in gaps) > 100
    outcome = replayed(log_files(tmp_path))
    assert outcome.differences == []
    assert outcome.tally.unknowable <= 1
    assert outcome.tally.decisions > 15
    assert any("not written" in note for note in outcome.notes)


async def test_nothing_waits_for_a_disk_that_fails(tmp_path: Path, disk: FullDisk) -> None:
    desk = Desk(tmp_path)
    garage = RecordedGarage(site(), desk.log)
    disk.is_full = True
    await desk.write()
    live(garage, seed=1, steps=3)
    assert not desk.log._waiting
    assert desk.log._missing > 50


async def test_what_waits_is_bounded_and_what_is_lost_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_log, "MOST_WAITING", 200)
    desk = Desk(tmp_path)
    garage = RecordedGarage(site(), desk.log)
    live(garage, seed=1, steps=20)
    assert len(desk.log._waiting) <= 200
    lost = desk.log._missing
    assert lost > 100
    await desk.write()
    monkeypatch.setattr(decision_log, "MOST_WAITING", 10_000)
    live(garage, seed=2, steps=3)
    await desk.write()
    await desk.close()
    (gap,) = [record for record in records(tmp_path) if isinstance(record, Missing)]
    assert gap.records == lost
    outcome = replayed(log_files(tmp_path))
    assert (outcome.differences, outcome.tally.unknowable) == ([], 1)


async def test_a_folder_that_cannot_be_made_is_trouble_and_no_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    desk = Desk(tmp_path / "file" / "loadmgr")
    garage = RecordedGarage(site(), desk.log)
    await desk.write()
    assert [alarm.active for alarm in desk.alarms] == [True]
    assert "PARKADE_DATA_DIR" in desk.alarms[0].text
    live(garage, seed=1, steps=1)
    await desk.close()


async def test_a_memory_without_form_does_not_keep_a_decision_from_being_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(tmp_path)
    garage = RecordedGarage(site(), desk.log)
    garage.state.evses["stranger"] = object()  # type: ignore[assignment]
    desk.log._remember(garage.state, garage.now)
    assert any("lacks" in message for message in caplog.messages)


async def test_what_does_not_steer_is_left_out(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.log.fact(LoadmgrTicked(instance="x"), desk.clock.now())
    desk.log.fact(SiteChanged(site=site()), desk.clock.now())
    await desk.write()
    await desk.close()
    assert records(tmp_path) == []


async def test_a_log_runs_until_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_log, "WRITE_EVERY_S", 0.001)
    desk = Desk(tmp_path)
    writing = asyncio.create_task(desk.log.run())
    garage = RecordedGarage(site(), desk.log)
    await eventually(lambda: list(tmp_path.glob("*.jsonl")))
    garage.run(3)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    (file,) = log_files(tmp_path)
    assert file.name.endswith(".jsonl.gz")
    assert replayed([file]).differences == []


async def test_the_file_of_an_instance_that_only_waits_is_closed(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.log.site(site(), desk.clock.now())
    await desk.write()
    assert list(tmp_path.glob("*.jsonl"))
    desk.clock.advance(decision_log.IDLE_S)
    await desk.write()
    (file,) = log_files(tmp_path)
    assert file.suffix == ".gz"


async def test_files_are_private_and_hold_no_secrets(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    garage = RecordedGarage(site(), desk.log)
    live(garage, seed=1, steps=2)
    await desk.write()
    (open_file,) = tmp_path.glob("*.jsonl")
    assert open_file.stat().st_mode & 0o077 == 0
    await desk.close()
    (file,) = log_files(tmp_path)
    assert file.stat().st_mode & 0o077 == 0
    text = gzip.decompress(file.read_bytes()).decode()
    assert not any(s in text for s in (TOKEN, PASSWORD, "key-of-the-box", "backend-secret"))


NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def folder_with(path: Path, *ages_h: int, size: int = 100, keeping: Keeping) -> LogFolder:
    for age_h in ages_h:
        at = NOW - timedelta(hours=age_h)
        (path / f"decisions-{at:%Y%m%dT%H%M%SZ}-x.jsonl.gz").write_bytes(b"\0" * size)
    return LogFolder(path, instance="loadmgr/x", keeping=keeping)


def hours_kept(path: Path) -> list[int]:
    begun = [begun_at(file) for file in log_files(path)]
    return sorted(round((NOW - at).total_seconds() / 3_600) for at in begun if at is not None)


def test_what_is_too_old_is_removed(tmp_path: Path) -> None:
    keeping = Keeping(days=2, mib=1)
    folder_with(tmp_path, 1, 47, 49, 200, keeping=keeping).tidy(NOW)
    assert hours_kept(tmp_path) == [1, 47]


def test_the_oldest_go_when_it_is_too_much(tmp_path: Path) -> None:
    keeping = Keeping(days=30, mib=1)
    folder_with(tmp_path, 1, 2, 3, 4, size=400_000, keeping=keeping).tidy(NOW)
    assert hours_kept(tmp_path) == [1, 2]


def test_what_a_crash_left_behind_is_compressed_but_not_what_another_instance_writes(
    tmp_path: Path,
) -> None:
    crashed = tmp_path / "decisions-20260310T100000Z-y.jsonl"
    living = tmp_path / "decisions-20260310T110000Z-z.jsonl"
    part = tmp_path / "decisions-20260310T090000Z-y.jsonl.part"
    for path in (crashed, living, part):
        path.write_text("{}\n")
    for path, minutes in ((crashed, 60), (part, 60), (living, 1)):
        at = (NOW - timedelta(minutes=minutes)).timestamp()
        os.utime(path, (at, at))
    LogFolder(tmp_path, instance="loadmgr/x", keeping=Keeping(days=30, mib=1)).tidy(NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "decisions-20260310T100000Z-y.jsonl.gz",
        "decisions-20260310T110000Z-z.jsonl",
    ]


def test_a_long_file_ends_before_its_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = LogFolder(tmp_path, instance="x", keeping=Keeping(days=1, mib=1))
    folder.write([Missing(at=NOW, records=1)])
    assert not folder.is_over(NOW + timedelta(minutes=59))
    assert folder.is_over(NOW + timedelta(minutes=60))
    monkeypatch.setattr(log_folder, "MOST_BYTES", 10)
    assert folder.is_over(NOW)
    folder.close()


def test_two_files_of_one_second_have_two_names(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path, instance="x", keeping=Keeping(days=1, mib=1))
    for _ in range(3):
        folder.write([Missing(at=NOW, records=1)])
        folder.close()
    assert len(log_files(tmp_path)) == 3


def test_a_file_that_cannot_be_compressed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(log_folder.shutil, "copyfileobj", no_room)
    folder = LogFolder(tmp_path, instance="x", keeping=Keeping(days=1, mib=1))
    folder.write([Missing(at=NOW, records=1)])
    folder.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".jsonl"]


def test_a_name_that_is_not_ours_tells_no_time() -> None:
    assert begun_at(Path("decisions.jsonl")) is None
    assert begun_at(Path("decisions-today-x.jsonl")) is None


def test_facts_keep_their_order(tmp_path: Path) -> None:
    from tests.unit.loadmgr.test_log_form import sample

    folder = LogFolder(tmp_path, instance="x", keeping=Keeping(days=1, mib=1))
    folder.write(Heard(at=NOW, fact=sample(float(n))) for n in range(5))
    folder.close()
    heard = [record.fact for record in records(tmp_path) if isinstance(record, Heard)]
    assert heard == [sample(float(n)) for n in range(5)]
