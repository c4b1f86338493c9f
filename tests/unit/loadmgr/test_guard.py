"""How much of a guard is kept, and when all of it."""

from typing import Any

import pytest

from loadmgr.domain.guard import AFTER_RISE_S, guard_now
from loadmgr.domain.meter_record import LOST_S
from loadmgr.domain.site_model import compile_site
from loadmgr.domain.state import State
from loadmgr.domain.uncontrolled import uncontrolled_rows
from shared.contracts.meter import MeterSampled
from shared.units import PhaseAmps
from tests.unit.loadmgr.garage import START
from tests.unit.loadmgr.test_scenarios import site_of

MAIN = {"id": "main", "limit_a": 40, "guard_a": 8, "uncontrolled_a": 20}
SITE = {
    "circuits": [MAIN],
    "meters": {"shop": {"circuit": "main", "role": "consumption"}},
    "evses": {"a": {}},
}
CALM_S = 2 * AFTER_RISE_S


def kept(site: dict[str, Any], *drawn_a: float, then_s: float = CALM_S) -> float:
    """Return the guard of L1 ``then_s`` after the last of these readings, a second apart."""
    model, state = compile_site(site_of(site)), State()
    state.fit(model, START.timestamp())
    for second, amps in enumerate(drawn_a):
        now_s = START.timestamp() + second
        sample = MeterSampled(
            meter_id="shop",
            sampled_at=START.fromtimestamp(now_s, START.tzinfo),
            current_a=PhaseAmps(l1=amps, l2=0.0, l3=0.0),
        )
        state.hear(model, sample, now_s)
    now_s = START.timestamp() + len(drawn_a) - 1 + then_s
    beside_a, is_lost = uncontrolled_rows(model, state.meters, now_s)
    return float(guard_now(model, state.meters, beside_a, is_lost, now_s=now_s)[0])


@pytest.mark.parametrize(("drawn_a", "guard_a"), [(0, 8), (12, 8), (15, 5), (20, 0)])
def test_no_more_is_kept_than_what_may_still_come(drawn_a: float, guard_a: float) -> None:
    assert kept(SITE, drawn_a) == guard_a


def test_whoever_draws_more_than_was_said_has_refuted_it() -> None:
    assert kept(SITE, 20.1) == 8


def test_after_a_rise_all_of_it_is_kept_until_the_cars_have_followed() -> None:
    assert kept(SITE, 5, 18, then_s=AFTER_RISE_S - 0.1) == 8
    assert kept(SITE, 5, 18, then_s=AFTER_RISE_S) == 2
    assert kept(SITE, 18, 5, 18, then_s=0.0) == 2  # it was reckoned with all the time


def test_what_a_lost_meter_hides_proves_nothing() -> None:
    assert kept(SITE, 18, then_s=LOST_S + 1) == 8


@pytest.mark.parametrize(
    "change",
    [
        {"circuits": [MAIN | {"uncontrolled_a": 0}]},
        {"meters": {"shop": {"circuit": "main", "role": "generation"}}},
    ],
    ids=["nobody has said", "nobody measures"],
)
def test_without_a_word_or_a_measurement_all_of_it_is_kept(change: dict[str, Any]) -> None:
    assert kept(SITE | change, 18) == 8


def test_what_hangs_below_may_come_on_top() -> None:
    floor = {"id": "floor", "parent": "main", "limit_a": 40, "uncontrolled_a": 7}
    assert kept(SITE | {"circuits": [MAIN, floor]}, 15) == 5  # of 20 + 7, 15 + 7 are drawn


def test_a_guard_is_never_more_than_the_fuse() -> None:
    assert kept(SITE | {"circuits": [MAIN | {"limit_a": 5, "uncontrolled_a": 0}]}, 0) == 5
