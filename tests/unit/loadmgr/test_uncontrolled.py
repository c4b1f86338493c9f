"""What flows beside the EVSEs: roles of meters, and jumps soon after a raise."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loadmgr.domain.evse_record import EvseRecord
from loadmgr.domain.meter_record import MeterRecord
from loadmgr.domain.site_model import SiteModel, compile_site
from loadmgr.domain.uncontrolled import silent_meters, take_sample, uncontrolled_rows
from shared.contracts.evse import EvseState
from shared.contracts.meter import MeterSampled
from shared.contracts.site import SiteConfig
from shared.units import PhaseAmps

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW_S = START.timestamp()


class Site:
    """``main`` 63 A with ``floor`` below it; two boxes at ``floor``; readings are of all phases."""

    def __init__(self, meters: dict[str, tuple[str, str]], **uncontrolled_a: float) -> None:
        self.model = _model(meters, uncontrolled_a)
        self.meters = {id_: MeterRecord() for id_ in self.model.meters}
        self.boxes = {id_: EvseRecord() for id_ in ("e1", "e2")}

    def shows(self, at_s: float = 0.0, **amps: float) -> None:
        """Let meters tell a current."""
        for meter_id, shown_a in amps.items():
            sample = MeterSampled(
                meter_id=meter_id,
                sampled_at=START + timedelta(seconds=at_s),
                current_a=PhaseAmps(l1=shown_a, l2=shown_a, l3=shown_a),
            )
            take_sample(self.model, self.boxes, self.meters[meter_id], sample, now_s=NOW_S + at_s)

    def boxes_draw(self, amps: float, at_s: float) -> None:
        """Let both boxes tell what they draw."""
        for record in self.boxes.values():
            record.online, record.state = True, EvseState.C
            record.line_a, record.measured_s = (amps, amps, amps), NOW_S + at_s

    def boxes_are_raised(self, to_a: float, at_s: float) -> None:
        """From now on they may draw so much."""
        for record in self.boxes.values():
            record.retake(to_a)
            record.moved_s = NOW_S + at_s

    def beside(self, at_s: float = 0.0) -> dict[str, float]:
        """What flows beside the EVSEs on L1 of each circuit."""
        amps, _ = uncontrolled_rows(self.model, self.meters, NOW_S + at_s)
        return {c.id: float(amps[3 * i]) for i, c in enumerate(self.model.circuits)}

    def lost(self, at_s: float = 0.0) -> dict[str, bool]:
        """On which circuits the worst case of a lost meter counts."""
        _, lost = uncontrolled_rows(self.model, self.meters, NOW_S + at_s)
        return {c.id: bool(lost[3 * i]) for i, c in enumerate(self.model.circuits)}


def _model(meters: dict[str, tuple[str, str]], uncontrolled_a: dict[str, float]) -> SiteModel:
    parts: dict[str, Any] = {
        "circuits": [
            {"id": "main", "limit_a": 63, "uncontrolled_a": uncontrolled_a.get("main", 0.0)},
            {
                "id": "floor",
                "parent": "main",
                "limit_a": 63,
                "uncontrolled_a": uncontrolled_a.get("floor", 0.0),
            },
        ],
        "stations": [{"id": id_, "protocol": "ocpp"} for id_ in ("e1", "e2")],
        "evses": [{"id": id_, "station": id_, "circuit": "floor"} for id_ in ("e1", "e2")],
        "meters": [
            {"id": id_, "circuit": at, "role": role, "modbus": {"template": "any", "host": id_}}
            for id_, (at, role) in meters.items()
        ],
    }
    return compile_site(SiteConfig.model_validate(parts))


HOUSE = {"house": ("main", "consumption")}
ROOF = {"roof": ("main", "generation")}
GRID = {"grid": ("main", "grid")}


@pytest.mark.parametrize(
    ("meters", "uncontrolled_a", "shown_a", "expected", "because"),
    [
        ({}, {"main": 7, "floor": 2}, {}, (9, 2), "without meters the worst cases add up"),
        (HOUSE, {"main": 7, "floor": 2}, {"house": 5}, (7, 2), "a consumption meter tells its own"),
        (HOUSE | ROOF, {"main": 7}, {"house": 5, "roof": -20}, (5, 0), "the sun is no room"),
        (ROOF, {"main": 7}, {"roof": -20}, (7, 0), "nor does its meter tell of consumers"),
        (ROOF, {"main": 7}, {"roof": 3}, (10, 0), "a storage that is charged is a load"),
        (HOUSE | ROOF, {}, {"house": 5, "roof": 3}, (8, 0), "beside all others"),
        (
            {"roof": ("floor", "generation")},
            {"floor": 2},
            {"roof": 3},
            (5, 5),
            "on its circuit and above",
        ),
        (
            GRID | ROOF,
            {"main": 7},
            {"grid": 12, "roof": -20},
            (12, 0),
            "a grid meter shows the rest",
        ),
        (GRID | ROOF, {"main": 7}, {"grid": 12, "roof": 3}, (12, 0), "and what the storage takes"),
        (GRID | ROOF, {"main": 7}, {"grid": -15, "roof": -20}, (0, 0), "export is no room"),
        (
            GRID | {"floor": ("floor", "consumption")},
            {},
            {"grid": 12, "floor": 4},
            (12, 4),
            "each circuit by its own",
        ),
    ],
)
def test_roles(
    meters: dict[str, tuple[str, str]],
    uncontrolled_a: dict[str, float],
    shown_a: dict[str, float],
    expected: tuple[float, float],
    because: str,
) -> None:
    site = Site(meters, **uncontrolled_a)
    site.shows(**shown_a)
    found = site.beside()
    assert (found["main"], found["floor"]) == pytest.approx(expected), because


def test_a_meter_of_the_sun_that_is_lost_counts_no_worst_case_but_is_told() -> None:
    site = Site(HOUSE | ROOF, main=7)
    site.shows(house=5.0)
    assert site.lost() == {"main": False, "floor": False}
    assert site.beside()["main"] == 5.0
    assert {m.id for m in silent_meters(site.model, site.meters, NOW_S)} == {"roof"}


def test_a_storage_whose_meter_is_lost_goes_on_drawing_what_it_was_seen_to() -> None:
    site = Site(HOUSE | ROOF)
    site.shows(house=5.0, roof=8.0)
    site.shows(at_s=61, house=5.0)
    assert site.beside(61)["main"] == pytest.approx(13.0)


def test_a_lost_meter_of_consumption_is_its_worst_case() -> None:
    site = Site(HOUSE | ROOF, main=7)
    site.shows(roof=-20.0)
    assert site.lost() == {"main": True, "floor": False}
    assert site.beside()["main"] == 7.0


def test_a_raise_that_cars_take_up_is_not_taken_for_others() -> None:
    """The boxes tell their current every 10 s only, so theirs is still that from before."""
    site = Site(GRID)
    site.boxes_draw(10.0, at_s=0)
    site.shows(at_s=0, grid=25.0)
    site.boxes_are_raised(20.0, at_s=0)
    site.shows(at_s=1, grid=45.0)
    assert site.beside(1)["main"] == pytest.approx(5.0)
    site.shows(at_s=5, grid=55.0)
    assert site.beside(5)["main"] == pytest.approx(15.0)


def test_on_an_overloaded_phase_a_raise_explains_nothing() -> None:
    """Cars that did not take it up would leave the fuse overloaded until they tell."""
    site = Site(GRID)
    site.boxes_draw(10.0, at_s=0)
    site.shows(at_s=0, grid=25.0)
    site.boxes_are_raised(20.0, at_s=0)
    site.shows(at_s=1, grid=45.0)
    site.shows(at_s=5, grid=65.0)
    assert site.beside(5)["main"] == pytest.approx(45.0)


def test_without_a_vehicle_or_with_a_placed_and_measured_one_nothing_is_blind() -> None:
    site = Site(GRID)
    site.shows(at_s=0, grid=25.0)
    site.shows(at_s=100, grid=5.0)
    assert site.beside(100)["main"] == 5.0
    site.boxes["e1"].online, site.boxes["e1"].state = True, EvseState.C
    site.shows(at_s=101, grid=5.0)
    assert site.beside(101)["main"] == 25.0, "a car whose current nobody tells hides in it"


def test_an_older_reading_and_one_that_cannot_be_read_change_nothing() -> None:
    site = Site(GRID)
    site.shows(at_s=10, grid=5.0)
    site.shows(at_s=5, grid=50.0)
    site.shows(at_s=11, grid=float("nan"))
    assert site.beside(11)["main"] == 5.0
