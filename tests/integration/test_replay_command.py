"""``parkade loadmgr replay``: exit codes and what is printed."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from loadmgr.dry_run import comparing
from parkade.cli import app
from tests.unit.loadmgr.garage import Car
from tests.unit.loadmgr.recording import RecordedGarage, live, recorded, site


@pytest.fixture
async def log(tmp_path: Path) -> Path:
    (file,) = await recorded(tmp_path / "log", lambda garage: live(garage, seed=1, steps=5))
    return file


def replay(*arguments: object) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(app, ["loadmgr", "replay", *map(str, arguments)])
    return outcome.exit_code, outcome.stdout, outcome.stderr


def rewritten(log: Path, **limits: float) -> Path:
    """Return the log with the first setpoint of an EVSE changed."""
    lines = gzip.decompress(log.read_bytes()).decode().splitlines()
    for number, line in enumerate(lines):
        words = json.loads(line)
        sent = [word for word in words.get("setpoints", ()) if word["evse_id"] in limits]
        if sent:
            sent[0]["limit_a"] = limits[sent[0]["evse_id"]]
            lines[number] = json.dumps(words)
            break
    other = log.with_name("other.jsonl")
    other.write_text("\n".join(lines) + "\n")
    return other


def test_what_is_decided_as_it_was_ends_well(log: Path) -> None:
    code, out, _ = replay(log)
    assert code == 0
    assert out.strip().endswith("decisions, all the same")


def test_a_difference_is_told_with_time_and_evse(log: Path) -> None:
    code, out, _ = replay(rewritten(log, e=31.5))
    assert code == 1
    first = out.splitlines()[0]
    assert first.startswith("2026-03-01T08:00:0")
    assert "  e  limit_a: recorded 31.5, now" in first
    assert "1 of them different" in out


def test_machines_get_json(log: Path) -> None:
    code, out, _ = replay(rewritten(log, e=31.5), "--json")
    told = json.loads(out)
    assert code == 1
    assert (told["differing"], told["differences"][0]["evse_id"]) == (1, "e")


def test_a_time_can_be_chosen(log: Path) -> None:
    code, out, _ = replay(log, "--from", "2026-03-01T08:00:05Z", "--to", "2026-03-01T08:00:10")
    assert code == 0
    assert 4 <= int(out.split()[0]) <= 11


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--from", "morning"), "2026-03-01T08:00:00Z"),
        (("--from", "2027-01-01T00:00:00Z"), "no decision"),
        (("--site", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    log: Path, arguments: tuple[str, ...], told: str
) -> None:
    code, out, err = replay(log, *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


def test_a_file_that_is_no_log_is_named(tmp_path: Path) -> None:
    foreign = tmp_path / "site.yaml"
    foreign.write_text("name: garage\n")
    code, _, err = replay(foreign)
    assert code == 2
    assert "no decision log" in err
    assert str(foreign) in err.replace("\n", "")


def test_a_file_that_is_cut_off_is_used(log: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gz"
    cut.write_bytes(log.read_bytes()[:-100])
    code, out, _ = replay(cut)
    assert code == 0
    assert "cut off" in out


def changed_site(folder: Path, **changes: Any) -> Path:
    file = folder / "changed.yaml"
    document = {**site().model_dump(mode="json"), **changes}
    document["ocpp_server"]["password_hash"] = "***"
    file.write_text(yaml.safe_dump(document))
    return file


def charge(garage: RecordedGarage) -> None:
    for evse_id in "be":
        garage.boxes[evse_id].car = Car(wants_a=32.0)
    garage.run(400)
    garage.boxes["b"].unplug()
    garage.boxes["e"].unplug()
    garage.run(3)


async def test_a_changed_site_is_shown_beside_the_present_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "STEP_S", 60.0)
    files = await recorded(tmp_path / "log", charge)
    circuits = [{"id": "main", "limit_a": 16}, {"id": "row", "parent": "main", "limit_a": 16}]
    changed = changed_site(tmp_path, circuits=circuits)
    code, out, err = replay(*files, "--site", changed)
    assert code == 0, err
    lines = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    rows = {line[0]: line[1:] for line in lines if len(line) == 3}
    assert ["present", "changed"] in lines
    assert rows["vehicles"] == ["2", "2"]
    present, less = map(float, rows["delivered, kWh"])
    assert 0 < less < present
    peak, lower = map(float, rows["main: peak, A"])
    assert lower <= 16 < peak
    assert "may have wanted more" in out


def test_a_changed_site_that_cannot_work_is_refused(log: Path, tmp_path: Path) -> None:
    code, _, err = replay(log, "--site", changed_site(tmp_path, circuits=[]))
    assert code == 2
    assert "circuit" in err
