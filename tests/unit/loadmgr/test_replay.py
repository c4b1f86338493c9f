"""A recorded garage is decided again: exactly alike, or the first difference is told."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from loadmgr.domain.log_record import (
    Begun,
    Decided,
    Forgotten,
    Missing,
    OfferWord,
    Remembered,
    SetpointWord,
    SiteLoaded,
)
from loadmgr.domain.plan import decide
from loadmgr.domain.replay import Replay, differences, shown_reason
from loadmgr.log_reading import UnreadableLog
from loadmgr.replaying import MOST_SHOWN, replayed
from shared.contracts.charging import Reason, ReasonCode
from shared.contracts.site import Mode
from tests.unit.loadmgr.garage import START
from tests.unit.loadmgr.recording import RecordedGarage, live, recorded, site


def a_morning(garage: RecordedGarage) -> None:
    """Cars come and go, the site changes, a station is lost, another instance was active."""
    live(garage, seed=1, steps=8)
    garage.load(site(revision=2, circuits=[{"id": "main", "limit_a": 25}, ROW]))
    live(garage, seed=2, steps=8)
    garage.lose_station("box")
    garage.run(5)
    garage.t += 30
    garage.forget()
    live(garage, seed=3, steps=8)
    garage.limit("circuit", "main", "ems", {"amps": 12, "for_s": 20})
    garage.run(10)
    garage.vanish("c")
    garage.run(30)
    garage.come_back("c")
    garage.run(10)
    garage.load(site(revision=3, mode=Mode.MONITOR))
    garage.run(5)
    garage.load(site(revision=4, evses=[]))
    garage.run(5)


ROW = {"id": "row", "parent": "main", "limit_a": 16}


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def tampered(path: Path, change: Callable[[dict[str, object]], bool]) -> Path:
    """Return a copy of a log in which the first record that ``change`` accepts is changed."""
    lines = text_of(path).splitlines()
    for number, line in enumerate(lines):
        words = json.loads(line)
        if change(words):
            lines[number] = json.dumps(words)
            break
    else:
        raise AssertionError("nothing to tamper with")
    other = path.with_name("tampered.jsonl")
    other.write_text("\n".join(lines) + "\n")
    return other


async def test_what_was_recorded_is_decided_alike(tmp_path: Path) -> None:
    outcome = replayed(await recorded(tmp_path, a_morning))
    assert outcome.differences == []
    assert outcome.notes == []
    assert outcome.tally.decisions > 150
    assert outcome.tally.differing == outcome.tally.unknowable == 0


async def test_decisions_are_alike_beyond_the_end_of_a_file(tmp_path: Path) -> None:
    def an_hour_later(garage: RecordedGarage) -> None:
        garage.t += 3_600  # as on a machine that sleeps
        live(garage, seed=5, steps=5)

    files = await recorded(
        tmp_path, lambda garage: live(garage, seed=4, steps=5), an_hour_later, an_hour_later
    )
    assert len(files) == 3
    whole = replayed(list(reversed(files)))
    assert (whole.differences, whole.tally.unknowable) == ([], 0)
    each = [replayed([file]).tally.decisions for file in files]
    assert min(each) > 10
    assert sum(each) == whole.tally.decisions


async def test_a_fact_that_was_another_one_makes_a_difference(tmp_path: Path) -> None:
    (file,) = await recorded(tmp_path, a_morning)

    def more_load(words: dict[str, object]) -> bool:
        if words.get("of") != "grid" or "current_a" not in words["differs"]:  # type: ignore[operator]
            return False
        words["differs"]["current_a"]["l1"] = 49.0  # type: ignore[index]
        return True

    outcome = replayed([tampered(file, more_load)])
    assert outcome.tally.differing > 0
    first = outcome.differences[0]
    assert first.evse_id in "abcde"
    assert first.recorded != first.now
    assert len(outcome.differences) <= MOST_SHOWN


async def test_a_setpoint_that_was_another_one_is_named(tmp_path: Path) -> None:
    (file,) = await recorded(tmp_path, a_morning)

    def less(words: dict[str, object]) -> bool:
        for word in words.get("setpoints", ()):  # type: ignore[attr-defined]
            if word["limit_a"] > 6:
                word["limit_a"] = 6.0
                return True
        return False

    outcome = replayed([tampered(file, less)])
    assert outcome.tally.differing == 1
    (found,) = outcome.differences
    assert (found.what, found.recorded) == ("limit_a", "6")


async def test_only_the_time_that_is_asked_for_is_compared(tmp_path: Path) -> None:
    files = await recorded(tmp_path, lambda garage: live(garage, seed=1, steps=10))
    begins, ends = START + timedelta(seconds=10), START + timedelta(seconds=20)
    outcome = replayed(files, begins=begins, ends=ends)
    whole = replayed(files)
    assert 9 <= outcome.tally.decisions <= 20 < whole.tally.decisions
    assert outcome.differences == []


async def test_a_time_without_decisions_is_told(tmp_path: Path) -> None:
    files = await recorded(tmp_path, lambda garage: live(garage, seed=1, steps=2))
    with pytest.raises(UnreadableLog, match="no decision"):
        replayed(files, begins=START + timedelta(days=1))


def known_garage() -> tuple[Replay, RecordedGarage]:
    garage = RecordedGarage(site())
    replay = Replay()
    assert replay.take(Begun(at=garage.now, program="1", instance="x")) == []
    assert replay.take(SiteLoaded(at=garage.now, site=garage.site)) == []
    return replay, garage


def decision(garage: RecordedGarage) -> Decided:
    made = decide(garage.model, garage.state, garage.now)
    return Decided.of(garage.now, made.setpoints, made.decided)


def test_after_a_gap_nothing_is_compared_until_what_was_known_follows() -> None:
    replay, garage = known_garage()
    replay.take(Forgotten(at=garage.now))
    assert replay.take(decision(garage)) == []
    replay.take(Missing(at=garage.now, records=7))
    replay.take(decision(garage))
    tally = replay.tally
    assert (tally.decisions, tally.unknowable, tally.missing_records) == (1, 1, 7)
    replay.take(Forgotten(at=garage.now))
    garage.forget()
    assert replay.take(decision(garage)) == []
    assert replay.tally.decisions == 2


def test_a_memory_of_another_version_is_not_used() -> None:
    replay, garage = known_garage()
    replay.take(Remembered(at=garage.now, form={"~": "loadmgr.domain.state:Statue"}))
    replay.take(decision(garage))
    assert (replay.tally.foreign_memories, replay.tally.unknowable) == (1, 1)


WAITING = Reason(code=ReasonCode.WAITING)
RED = Reason(code=ReasonCode.CIRCUIT, circuit="uv3", phase="L2")
WORD = OfferWord(6.0, 3, WAITING)


def offered(**words: OfferWord) -> Decided:
    return Decided(at=START, setpoints=(), offers=words)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (offered(a=WORD), []),
        (offered(a=WORD._replace(limit_a=6.0 + 1e-9)), []),
        (offered(a=WORD._replace(limit_a=6.1)), [("limit_a", "6", "6.1")]),
        (offered(a=WORD._replace(phases=1)), [("phases", "3", "1")]),
        (offered(a=WORD._replace(reason=RED)), [("reason", "waiting", "circuit uv3 L2")]),
        (offered(), [("offer", "6 A (waiting)", "none")]),
        (offered(a=WORD, b=WORD), [("offer", "none", "6 A (waiting)")]),
    ],
)
def test_offers_are_compared(now: Decided, told: list[tuple[str, str, str]]) -> None:
    assert [d[2:] for d in differences(offered(a=WORD), now)] == told


def test_a_setpoint_that_is_not_sent_any_more_is_a_difference() -> None:
    sent = SetpointWord("a", 1, 6.0, None, WAITING)
    before = replace(offered(a=WORD), setpoints=(sent,))
    (gone,) = differences(before, offered(a=WORD))
    assert gone[2:] == ("setpoint", "6 A (waiting)", "none")
    (new,) = differences(offered(a=WORD), before)
    assert new[2:] == ("setpoint", "none", "6 A (waiting)")


def test_a_reason_is_shown_in_one_line() -> None:
    assert shown_reason(Reason(code=ReasonCode.EXTERNAL, group="t", source="ems")) == (
        "external t ems"
    )
