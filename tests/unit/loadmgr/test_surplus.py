"""What the sun gives: from meters and boxes, and smoothed over a minute."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loadmgr.domain.evse_record import EvseRecord
from loadmgr.domain.meter_record import MeterRecord
from loadmgr.domain.site_model import SiteModel, compile_site
from loadmgr.domain.surplus import Look, Span, SurplusRecord, beside, drawn, generation_w
from shared.contracts.evse import EvseState
from shared.contracts.meter import MeterSampled
from shared.contracts.site import SiteConfig
from shared.units import PhaseAmps

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW_S = START.timestamp()
LONG_AGO_S = NOW_S - 1_000


def site(
    meters: dict[str, tuple[str, str]], *, uncontrolled_a: float = 0.0, floor_a: float = 0.0
) -> SiteModel:
    """``sun`` (surplus only) and ``other`` at ``floor`` below ``main``; meters: circuit, role."""
    evses = [
        {"id": id_, "station": id_, "circuit": "floor", "surplus_only": id_ == "sun"}
        for id_ in ("sun", "other")
    ]
    parts: dict[str, Any] = {
        "circuits": [
            {"id": "main", "limit_a": 63, "uncontrolled_a": uncontrolled_a},
            {"id": "floor", "parent": "main", "limit_a": 63, "uncontrolled_a": floor_a},
        ],
        "stations": [{"id": id_, "protocol": "ocpp"} for id_ in ("sun", "other")],
        "evses": evses,
        "meters": [
            {"id": id_, "circuit": at, "role": role, "modbus": {"template": "any", "host": id_}}
            for id_, (at, role) in meters.items()
        ],
    }
    return compile_site(SiteConfig.model_validate(parts))


def box(
    amps: float | None = 0.0,
    *,
    upper_a: float = 32.0,
    moved_s: float = LONG_AGO_S,
    online: bool = True,
) -> EvseRecord:
    """A box with a car on three phases; ``amps`` None = it does not tell its current."""
    record = EvseRecord(online=online, state=EvseState.C, moved_s=moved_s)
    record.retake(upper_a)
    if amps is not None:
        record.line_a, record.measured_s = (amps, amps, amps), NOW_S
    return record


def look(
    model: SiteModel,
    shown_w: dict[str, float | None],
    *,
    sun: EvseRecord | None = None,
    other: EvseRecord | None = None,
) -> Look:
    """Meters with what they show in W; None = it was silent for long."""
    meters = {id_: MeterRecord() for id_ in model.meters}
    for meter_id, power_w in shown_w.items():
        meters[meter_id].last_power_w = power_w
        meters[meter_id].power_s = LONG_AGO_S if power_w is None else NOW_S
    return Look(
        model=model,
        records={"sun": sun or box(), "other": other or box()},
        meters=meters,
        now_s=NOW_S,
        solar={"sun"},
    )


GRID = {"grid": ("main", "grid")}
BOTH = {"house": ("main", "consumption"), "roof": ("main", "generation")}


@pytest.mark.parametrize(
    ("meters", "shown_w", "expected_w", "because"),
    [
        (GRID, {"grid": -4_000.0}, -4_000.0 - 6_900, "what is exported, and what it draws itself"),
        (GRID, {"grid": 2_000.0}, 2_000.0 - 6_900, "its own draw may come from the grid"),
        (GRID, {"grid": None}, None, "a silent meter tells nothing"),
        (GRID, {}, None, "nor does one that was never heard"),
        (GRID | {"second": ("main", "grid")}, {"grid": -4_000.0}, None, "all are needed"),
        (
            GRID | {"second": ("main", "grid")},
            {"grid": -4_000.0, "second": -3_000.0},
            -3_000.0 - 6_900,
            "of two the one that shows less counts",
        ),
        (BOTH, {"house": 1_000.0, "roof": -9_000.0}, -8_000.0 + 4_140, "others' cars are others"),
        (BOTH, {"house": 1_000.0, "roof": None}, None, "without the sun's meter nothing is known"),
        (BOTH, {"house": None, "roof": -9_000.0}, None, "nor without that of the house"),
        (
            GRID | BOTH,
            {"grid": -500.0, "house": 1_000.0, "roof": -9_000.0},
            -500.0 - 6_900,
            "the grid's meter goes before all others",
        ),
        (
            {"roof": ("main", "generation"), "floor": ("floor", "grid")},
            {"roof": -9_000.0, "floor": 12_000.0},
            -9_000.0 + 12_000 - 6_900,
            "a floor's meter shows both cars",
        ),
        (
            {"roof": ("floor", "generation")},
            {"roof": -9_000.0},
            -9_000.0 + 4_140,
            "the sun may come in anywhere",
        ),
    ],
)
def test_beside(
    meters: dict[str, tuple[str, str]],
    shown_w: dict[str, float | None],
    expected_w: float | None,
    because: str,
) -> None:
    found = beside(look(site(meters), shown_w, sun=box(10.0), other=box(6.0)))
    expected = None if expected_w is None else pytest.approx((expected_w, expected_w))
    assert found == expected, because


def test_what_no_meter_tells_counts_at_its_worst() -> None:
    model = site({"roof": ("main", "generation")}, uncontrolled_a=10.0, floor_a=2.0)
    found = beside(look(model, {"roof": -20_000.0}))
    assert found is not None
    assert found.most_w == pytest.approx(-20_000 + 12 * 690)


def test_without_any_meter_there_is_no_surplus() -> None:
    assert beside(look(site({}), {})) == Span(0.0, 0.0)


def test_a_car_that_changes_makes_it_a_span() -> None:
    sun = box(6.0, upper_a=10.0, moved_s=NOW_S - 5)
    found = beside(look(site(GRID), {"grid": -1_000.0}, sun=sun))
    assert found == pytest.approx((-1_000 - 6_900, -1_000.0))


@pytest.mark.parametrize(
    ("record", "expected", "because"),
    [
        (box(10.0), (6_900.0, 6_900.0), "measured and at rest"),
        (box(10.0, upper_a=16.0, moved_s=NOW_S - 14), (0.0, 11_040.0), "it changes"),
        (box(10.0, upper_a=6.0, moved_s=NOW_S - 14), (0.0, 6_900.0), "it has not followed yet"),
        (box(None, upper_a=16.0), (0.0, 11_040.0), "it does not tell"),
        (box(None, upper_a=16.0, online=False), (0.0, 0.0), "its fallback is nothing"),
    ],
)
def test_what_a_box_draws(record: EvseRecord, expected: tuple[float, float], because: str) -> None:
    evse = site(GRID).evse_by_id["sun"]
    assert drawn(evse, record, NOW_S) == pytest.approx(expected), because


def test_a_box_of_which_one_line_is_unknown_is_a_span() -> None:
    record = box(10.0, upper_a=16.0)
    record.line_a = (10.0, None, 10.0)
    assert drawn(site(GRID).evse_by_id["sun"], record, NOW_S) == pytest.approx((0.0, 11_040.0))


@pytest.mark.parametrize(
    ("meters", "shown_w", "expected_w"),
    [
        (BOTH, {"house": 1_000.0, "roof": -9_000.0}, 9_000.0),
        (BOTH, {"house": 1_000.0, "roof": 20.0}, 0.0),
        (BOTH, {"house": 1_000.0, "roof": None}, 0.0),
        (GRID, {"grid": -4_000.0}, 4_000.0 + 6_900 + 4_140),
        (GRID, {"grid": 20_000.0}, 0.0),
        (GRID, {"grid": None}, 0.0),
    ],
)
def test_generation(
    meters: dict[str, tuple[str, str]], shown_w: dict[str, float | None], expected_w: float
) -> None:
    seen = look(site(meters), shown_w, sun=box(10.0), other=box(6.0))
    assert generation_w(seen) == pytest.approx(expected_w)


def told(record: SurplusRecord, surplus_w: float, begins_s: int, seconds: int) -> None:
    for second in range(begins_s, begins_s + seconds):
        record.add(Span(-surplus_w, -surplus_w), float(second))


def test_it_begins_after_a_minute_with_the_least_of_it() -> None:
    record = SurplusRecord()
    assert record.power_w(0.0) == 0.0
    told(record, 4_000, 0, 30)
    told(record, 5_000, 30, 30)
    assert record.power_w(59.0) == 0.0
    told(record, 5_000, 60, 1)
    assert record.power_w(60.0) == 4_000


def test_less_counts_after_five_seconds_and_more_after_a_minute() -> None:
    record = SurplusRecord()
    told(record, 8_000, 0, 100)
    told(record, 3_000, 100, 4)
    assert record.power_w(103.0) == 8_000
    told(record, 3_000, 104, 6)
    assert record.power_w(104.0) == 3_000
    told(record, 8_000, 110, 60)
    assert record.power_w(169.0) == 3_000
    told(record, 8_000, 170, 1)
    assert record.power_w(170.0) == 8_000


def test_a_cloud_of_a_few_seconds_changes_nothing() -> None:
    record = SurplusRecord()
    told(record, 8_000, 0, 100)
    told(record, 1_000, 100, 4)
    told(record, 8_000, 104, 5)
    assert record.power_w(108.0) == 8_000


def test_import_is_no_surplus() -> None:
    record = SurplusRecord()
    told(record, -2_000, 0, 100)
    assert record.power_w(99.0) == 0.0


def test_silence_ends_it_and_begins_it_anew() -> None:
    record = SurplusRecord()
    told(record, 8_000, 0, 100)
    assert record.power_w(109.0) == 8_000
    assert record.power_w(110.0) == 0.0
    told(record, 8_000, 120, 60)
    assert record.power_w(179.0) == 0.0
    told(record, 8_000, 180, 1)
    assert record.power_w(180.0) == 8_000
    record.add(None, 181.0)
    assert record.power_w(181.0) == 0.0


def test_while_a_car_changes_the_last_certain_value_holds_as_long_as_it_can_be_true() -> None:
    record = SurplusRecord()
    record.add(Span(-9_000.0, -1_000.0), 0.0)
    assert record.beside_w == -1_000.0, "the first time the least surplus"
    record.add(Span(-5_000.0, -5_000.0), 1.0)
    record.add(Span(-9_000.0, -3_000.0), 2.0)
    assert record.beside_w == -5_000.0
    record.add(Span(-4_000.0, -3_000.0), 3.0)
    assert record.beside_w == -4_000.0


def test_a_sample_tells_power_or_currents() -> None:
    record = MeterRecord()

    def sample(amps: PhaseAmps, power_w: float | None, at_s: float = 0.0) -> None:
        at = START + timedelta(seconds=at_s)
        record.note_power(
            MeterSampled(meter_id="m", sampled_at=at, current_a=amps, power_w=power_w),
            at.timestamp(),
        )

    sample(PhaseAmps(l1=-1.0, l2=-2.0), None)
    assert record.power_w(NOW_S) is None
    sample(PhaseAmps(l1=-1.0, l2=-2.0, l3=5.0), None)
    assert record.power_w(NOW_S) == pytest.approx(460.0)
    sample(PhaseAmps(l1=9.0, l2=9.0, l3=9.0), -5_000.0, 1.0)
    assert record.power_w(NOW_S + 11) == -5_000.0
    assert record.power_w(NOW_S + 11.1) is None
    sample(PhaseAmps(), 7_000.0, 0.5)
    sample(PhaseAmps(), float("nan"), 2.0)
    assert record.power_w(NOW_S + 2) == -5_000.0
