"""What a decision log has seen becomes visits and base load, and says what is not known."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loadmgr.domain.log_scan import Configured, Said, Sent
from loadmgr.dry_run import comparing
from loadmgr.dry_run.comparing import compared_as_recorded, compared_as_simulated
from loadmgr.dry_run.question import Question, answer, recorded_days
from loadmgr.dry_run.recorded import RecordedVisit
from loadmgr.dry_run.recorded_load import refitted
from loadmgr.dry_run.recording import NothingRecorded, Recording, recording_of
from loadmgr.log_reading import LogFile
from shared.contracts.dry_run import Demand
from shared.contracts.evse import EvseObserved
from shared.contracts.meter import MeterSampled
from shared.contracts.plan import PlanChanged
from shared.contracts.site import SiteConfig
from tests.unit.loadmgr.garage import START, Car
from tests.unit.loadmgr.recording import RecordedGarage, recorded, site

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
Happening = Said | Sent | Configured


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def seen(at_s: float, state: str | None, evse_id: str = "a", **changes: Any) -> Said:
    words: dict[str, Any] = {
        "evse_id": evse_id,
        "state": state,
        "online": True,
        "current_a": None,
        "energy_wh": None,
    }
    return Said(after(at_s), EvseObserved.topic, words | changes)


def amps(*line_a: float) -> dict[str, float]:
    return dict(zip(("l1", "l2", "l3"), line_a, strict=True))


def shown(at_s: float, *phase_a: float, meter: str = "grid") -> Said:
    words = {"meter_id": meter, "current_a": amps(*phase_a)}
    return Said(after(at_s), MeterSampled.topic, words)


def sent(at_s: float, limit_a: float, evse_id: str = "a") -> Sent:
    return Sent(after(at_s), {evse_id: limit_a})


def recording(*happenings: Happening, given: SiteConfig | None = None) -> Recording:
    first = Configured(AT, given or site())
    return recording_of([first, *happenings], begins=AT, ends=after(86_400))


def the_visit(*happenings: Happening) -> RecordedVisit:
    (found,) = recording(*happenings).visits
    return found


def test_a_vehicle_is_there_from_plug_to_unplug() -> None:
    visit = the_visit(seen(0, "A"), seen(100, "B"), seen(160, "C"), seen(3_700, "A")).visit
    assert (visit.evse_id, visit.arrives_s, visit.leaves_s) == ("a", 100, 3_700)


def test_energy_comes_from_the_register() -> None:
    found = the_visit(
        seen(0, "B", energy_wh=1_000.0),
        seen(60, "C", energy_wh=4_000.0),
        seen(120, "A", energy_wh=5_500.0),
    )
    assert found.delivered_wh == 3_000.0
    assert found.visit.energy_wh == 3_000.0


def test_energy_is_integrated_where_there_is_no_register() -> None:
    draws = [seen(60 * n, "C", current_a=amps(10, 10, 10)) for n in range(1, 61)]
    found = the_visit(seen(0, "B"), *draws, seen(3_660, "A"))
    assert found.delivered_wh == pytest.approx(3 * 10 * 230, rel=1e-6)


def test_silence_is_not_counted_as_energy() -> None:
    found = the_visit(seen(0, "C", current_a=amps(10, 0, 0)), seen(36_000, "A"))
    assert found.delivered_wh == pytest.approx(10 * 230 / 60)


def test_an_outlet_that_is_offline_draws_nothing_that_is_known() -> None:
    found = the_visit(
        seen(0, "C", current_a=amps(10, 0, 0)),
        seen(30, "C", online=False),
        seen(90, "C", current_a=amps(10, 0, 0)),
        seen(120, "A"),
    )
    assert found.delivered_wh == pytest.approx(10 * 230 / 60)


def test_a_register_that_was_exchanged_counts_nothing() -> None:
    found = the_visit(
        seen(0, "C", energy_wh=9_000.0),
        seen(60, "C", energy_wh=10_000.0),
        seen(120, "C", energy_wh=0.0),
        seen(180, "C", energy_wh=500.0),
        seen(200, "A"),
    )
    assert found.delivered_wh == 1_500.0


def test_phases_and_current_are_those_that_the_car_has_used() -> None:
    visit = the_visit(
        sent(0, 32.0), seen(1, "B"), seen(60, "C", current_a=amps(15.8, 0.1, 0.0)), seen(99, "A")
    ).visit
    assert (visit.phases, visit.most_a) == (1, 15.8)


def test_a_car_that_never_drew_less_than_its_offer_may_take_what_the_box_carries() -> None:
    visit = the_visit(
        sent(0, 10.0), seen(1, "C", current_a=amps(9.9, 9.9, 9.9)), seen(99, "A")
    ).visit
    assert visit.most_a == 32.0


@pytest.mark.parametrize(
    ("happenings", "claim"),
    [
        ([sent(0, 10), seen(1, "C", current_a=amps(9.8, 0, 0)), seen(60, "A")], True),
        ([sent(0, 32), seen(1, "C", current_a=amps(9.8, 0, 0)), seen(60, "A")], False),
        (
            [
                sent(0, 10),
                seen(1, "C", current_a=amps(9.8, 0, 0)),
                seen(60, "B", current_a=amps(0, 0, 0)),
                seen(900, "A"),
            ],
            False,
        ),
        ([sent(0, 0), seen(1, "B"), seen(60, "A")], True),
    ],
    ids=["drew all", "drew less", "was full", "waited"],
)
def test_who_was_held_down_until_he_left_may_have_wanted_more(
    happenings: list[Happening], claim: bool
) -> None:
    assert the_visit(*happenings).may_have_wanted_more is claim


def test_a_plan_tells_what_was_wanted() -> None:
    plan = {"energy_wh": 20_000.0, "departs_at": after(9_000).isoformat()}
    word = {"evse_id": "a", "plan": plan, "override": None}
    found = the_visit(
        Said(after(0), PlanChanged.topic, word),
        sent(1, 6.0),
        seen(2, "C", current_a=amps(6, 6, 6)),
        seen(60, "A"),
    )
    assert found.visit.energy_wh == 20_000.0
    assert found.visit.plan is not None
    assert found.visit.plan.departs_at == after(9_000)
    assert found.delivered_wh < 100
    assert not found.may_have_wanted_more


def test_who_is_there_at_the_end_leaves_then() -> None:
    found = the_visit(seen(10, "B"), seen(500, "C"))
    assert found.visit.leaves_s == pytest.approx(501)


def test_a_vehicle_at_an_outlet_that_is_taken_away_has_left() -> None:
    less = site(evses=[evse.model_dump(mode="json") for evse in site().evses if evse.id != "a"])
    found = recording(seen(10, "B"), seen(50, "C"), Configured(after(100), less), seen(200, "B"))
    assert [one.visit.evse_id for one in found.visits] == ["a"]
    assert found.visits[0].visit.leaves_s == 50
    assert found.site == less


def test_what_is_not_of_the_site_or_of_the_time_is_left_out() -> None:
    found = recording(
        seen(-50, "B", "b"),
        seen(0, "B"),
        seen(5, "B", "stranger"),
        sent(5, 6.0, "stranger"),
        Said(after(6), PlanChanged.topic, {"evse_id": "stranger", "plan": None}),
        shown(7, 1, 1, 1, meter="stranger"),
        seen(60, "A"),
        seen(90_000, "B"),
    )
    assert [one.visit.evse_id for one in found.visits] == ["a"]
    assert not found.base_load.steps


def test_a_time_without_vehicles_says_what_to_do() -> None:
    with pytest.raises(NothingRecorded) as caught:
        recording(shown(5, 1, 1, 1))
    assert "another time" in str(caught.value)
    assert 'POST /api/v1/what-if with "demand": "simulated"' in str(caught.value), (
        "replay has no such"
    )


def test_base_load_is_what_a_grid_meter_shows_less_what_boxes_draw() -> None:
    found = recording(
        seen(0, "C", current_a=amps(10, 10, 10)),
        *(shown(n, 14, 12, 10) for n in range(1, 60)),
        seen(61, "A", current_a=amps(0, 0, 0)),
        *(shown(n, 4, 2, 0) for n in range(62, 120)),
        *(shown(n, -5, 2, 0) for n in range(120, 180)),
    )
    first, later = found.base_load.steps["main"]
    assert (first.begins_s, first.drawn_a, first.fed_a) == (0, (4, 2, 0), (0, 0, 0))
    assert (later.begins_s, later.drawn_a, later.fed_a) == (120, (0, 2, 0), (5, 0, 0))


def test_boxes_are_taken_off_on_the_phases_that_they_load() -> None:
    turned = [{**e.model_dump(mode="json"), "rotation": ["L2", "L3", "L1"]} for e in site().evses]
    found = recording(
        seen(0, "C", current_a=amps(10, 0, 0)),
        *(shown(n, 3, 15, 3) for n in range(1, 60)),
        given=site(evses=turned),
    )
    assert found.base_load.steps["main"][0].drawn_a == (3, 5, 3)


METERS = [("grid", "main", "grid"), ("floor", "row", "consumption"), ("sun", "main", "generation")]


def test_every_circuit_has_its_own_load_only() -> None:
    modbus = {"template": "sdm630", "host": "10.0.0.9"}
    meters = [{"id": i, "circuit": c, "role": r, "modbus": modbus} for i, c, r in METERS]
    happenings = [
        seen(0, "B"),
        shown(1, 0, 2, 20),
        shown(1, 3, 3, 3, meter="floor"),
        shown(1, -6, -6, -6, meter="sun"),
    ]
    steps = recording(*happenings, given=site(meters=meters)).base_load.steps
    assert (steps["row"][0].drawn_a, steps["row"][0].fed_a) == ((3, 3, 3), (0, 0, 0))
    assert (steps["main"][0].drawn_a, steps["main"][0].fed_a) == ((3, 5, 23), (6, 6, 6))


def loads(**circuits: Iterable[tuple[float, float]]) -> Any:
    from loadmgr.dry_run.base_load import BaseLoad, LoadStep

    return BaseLoad(
        steps={
            key: tuple(LoadStep(at_s, (a, a, a)) for at_s, a in steps)
            for key, steps in circuits.items()
        }
    )


def test_the_load_of_a_circuit_that_is_gone_is_at_the_next_one_above() -> None:
    old, new = site(), site(circuits=[{"id": "main", "limit_a": 50}], evses=[])
    load = loads(main=[(0, 1), (100, 2)], row=[(50, 5)])
    steps = refitted(load, old, new).steps
    assert [(s.begins_s, s.drawn_a[0]) for s in steps["main"]] == [(0, 1), (50, 6), (100, 7)]
    renamed = site(circuits=[{"id": "house", "limit_a": 50}], evses=[])
    assert list(refitted(loads(row=[(0, 5)]), old, renamed).steps) == ["house"]
    assert refitted(load, old, old).steps == load.steps
    assert refitted(load, old, site(circuits=[], evses=[])).steps == {}


def charge_three(garage: RecordedGarage) -> None:
    """Three vehicles come; two of them leave after a quarter of an hour."""
    for evse_id in "abe":
        garage.boxes[evse_id].car = Car(wants_a=16.0)
    garage.permit("a", True, None)
    garage.run(900)
    for evse_id in "ab":
        garage.boxes[evse_id].unplug()
    garage.run(5)


async def a_log(folder: Path) -> list[Path]:
    return await recorded(folder, charge_three)


async def test_a_recorded_log_is_charged_again_at_a_changed_site(tmp_path: Path) -> None:
    files = await a_log(tmp_path)
    happenings = (happening for path in files for happening in LogFile(path).scan())
    found = recording_of(happenings, begins=START, ends=START + timedelta(days=1))
    assert sorted(one.visit.evse_id for one in found.visits) == ["a", "b", "e"]
    smaller = found.site.model_copy(
        update={
            "circuits": tuple(
                c.model_copy(update={"limit_a": c.limit_a.model_copy(update=dict.fromkeys(LS, 10))})
                for c in found.site.circuits
            )
        }
    )
    reports = compared_as_recorded(smaller, found.site, found)
    assert reports.changed.visits == reports.present.visits == 3
    assert reports.changed.requested_wh == reports.present.requested_wh > 1_000
    assert reports.changed.delivered_wh < 0.8 * reports.present.delivered_wh
    assert reports.present.delivered_share > 0.8


LS = ("L1", "L2", "L3")


async def test_a_question_is_answered_from_the_folder(tmp_path: Path) -> None:
    await a_log(tmp_path)
    asked = Question(
        changed=site(),
        present=site(),
        demand=Demand.RECORDED,
        asked_at=START + timedelta(hours=1),
        log_folder=tmp_path,
    )
    reports = answer(asked)
    assert reports.changed == reports.present
    assert reports.present.visits == 3
    with pytest.raises(NothingRecorded, match="no day of that time"):
        answer(asked.model_copy(update={"begins_at": START - timedelta(days=9)}))
    with pytest.raises(NothingRecorded):
        recorded_days(tmp_path / "nowhere", begins=START, ends=START + timedelta(days=1))


def test_simulated_vehicles_come_to_both_sites(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "STEP_S", 60.0)
    given = site()
    present = given.model_copy(update={"evses": given.evses[:2]})
    other = given.evses[0].model_copy(update={"id": "f", "connector": 6})
    changed = given.model_copy(update={"evses": (given.evses[0], other)})
    reports = compared_as_simulated(changed, present, begins=AT, days=1, seed=3)
    assert reports.changed.visits == reports.present.visits > 1
    assert reports.changed.requested_wh == reports.present.requested_wh
