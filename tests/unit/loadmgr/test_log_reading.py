"""Decision logs are read whole, and as far as they go when a crash has cut them off."""

import gzip
from pathlib import Path

import pytest

from loadmgr import log_reading
from loadmgr.domain.log_record import Begun
from loadmgr.log_reading import LogFile, UnreadableLog, in_order
from loadmgr.replaying import replayed
from tests.unit.loadmgr.recording import live, recorded


@pytest.fixture
async def log(tmp_path: Path) -> Path:
    (file,) = await recorded(tmp_path / "log", lambda garage: live(garage, seed=1, steps=5))
    return file


def count(path: Path) -> int:
    return len(list(LogFile(path).records()))


def test_plain_and_packed_files_hold_the_same(log: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.jsonl"
    plain.write_bytes(gzip.decompress(log.read_bytes()))
    assert list(LogFile(plain).records()) == list(LogFile(log).records())


def test_a_last_line_that_is_cut_off_is_told_and_the_rest_is_used(
    log: Path, tmp_path: Path
) -> None:
    text = gzip.decompress(log.read_bytes())
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(text[:-30])
    outcome = replayed([cut])
    assert outcome.differences == []
    assert any("cut off" in note for note in outcome.notes)
    assert count(cut) == count(log) - 1


def test_a_gzip_without_its_end_is_told_and_the_rest_is_used(log: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(log.read_bytes()[:-200])
    outcome = replayed([cut])
    assert outcome.differences == []
    assert any("cut off" in note for note in outcome.notes)
    assert 1 < count(cut) < count(log)


def test_a_file_of_which_nothing_was_written_is_told(tmp_path: Path, log: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    outcome = replayed([log, empty])
    assert any(str(empty) in note for note in outcome.notes)
    with pytest.raises(UnreadableLog, match="no decision"):
        replayed([empty])


def test_gzips_in_a_row_are_one_file(log: Path, tmp_path: Path) -> None:
    text = gzip.decompress(log.read_bytes())
    middle = text.index(b"\n", len(text) // 2) + 1
    joined = tmp_path / "joined.gz"
    joined.write_bytes(gzip.compress(text[:middle]) + gzip.compress(text[middle:]))
    assert count(joined) == count(log)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"hello\n", "no decision log"),
        (b"hello", "no decision log"),
        (b'{"a": 1}\n', "no decision log"),
        (b'{"record":"cold","at":"2026-03-01T08:00:00+00:00"}\n', "does not begin"),
        (b"\x1f\x8b\x08\x00 this is no gzip", "damaged"),
    ],
)
def test_what_is_no_decision_log_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "foreign"
    file.write_bytes(content)
    with pytest.raises(UnreadableLog, match=told) as caught:
        replayed([file])
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableLog, match="No such file"):
        replayed([tmp_path / "nowhere.jsonl"])


def test_a_line_in_the_middle_that_is_damaged_is_named(log: Path, tmp_path: Path) -> None:
    lines = gzip.decompress(log.read_bytes()).splitlines(keepends=True)
    lines[4] = b"?????\n"
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_bytes(b"".join(lines))
    with pytest.raises(UnreadableLog, match="line 5"):
        replayed([damaged])
    with pytest.raises(UnreadableLog, match="line 5"):
        list(LogFile(damaged).scan())


def test_a_file_without_lines_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reading, "MOST_LINE_BYTES", 1_000)
    file = tmp_path / "long"
    file.write_bytes(b"x" * 100_000)
    with pytest.raises(UnreadableLog, match="no lines"):
        list(LogFile(file).records())


def test_files_are_taken_in_the_order_in_which_they_were_begun(log: Path, tmp_path: Path) -> None:
    text = gzip.decompress(log.read_bytes())
    later = tmp_path / "a-later.jsonl"
    later.write_bytes(text.replace(b"2026-03-01T", b"2026-03-02T"))
    assert [file.path for file in in_order([later, log])] == [log, later]
    assert isinstance(next(iter(LogFile(later).records())), Begun)
