"""Other consumers and the sun."""

from datetime import UTC, datetime

import pytest

from loadmgr.dry_run.base_load import NO_LOAD, BaseLoad, LoadStep, simulated_load
from shared.contracts.site import Circuit, Meter, MeterRole, ModbusAccess, SiteConfig

MIDNIGHT = datetime(2026, 3, 1, 23, tzinfo=UTC)
NOON_S, NIGHT_S = 12 * 3_600, 3 * 3_600
HOUR_STEPS = 12


def meter(name: str, circuit: str, role: MeterRole) -> Meter:
    return Meter(
        id=name, circuit=circuit, role=role, modbus=ModbusAccess(template="t", host="m.invalid")
    )


SITE = SiteConfig(
    circuits=(
        Circuit(id="main", limit_a=100),
        Circuit(id="shop", parent="main", limit_a=63, uncontrolled_a=30),
        Circuit(id="bare", parent="main", limit_a=63),
    ),
    meters=(
        meter("grid", "main", MeterRole.GRID),
        meter("sun", "main", MeterRole.GENERATION),
    ),
)


def mean(load: BaseLoad, circuit: str, at_s: float, *, fed: bool = False) -> float:
    steps = [load.at(circuit, at_s + 300 * number) for number in range(HOUR_STEPS)]
    return sum((step.fed_a if fed else step.drawn_a)[0] for step in steps) / HOUR_STEPS


def test_a_step_holds_until_the_next() -> None:
    load = BaseLoad(steps={"main": (LoadStep(10, (1, 2, 3)), LoadStep(20, (4, 5, 6)))})
    seen = [load.at("main", at_s).drawn_a for at_s in (9.9, 10, 19.9, 20, 1e6)]
    assert seen == [(0, 0, 0), (1, 2, 3), (1, 2, 3), (4, 5, 6), (4, 5, 6)]
    assert NO_LOAD.at("main", 5).drawn_a == (0, 0, 0)


def test_a_building_draws_more_at_noon_than_at_night_and_never_more_than_it_may() -> None:
    load = simulated_load(SITE, begins=MIDNIGHT, days=1)
    assert mean(load, "shop", NOON_S) > 1.5 * mean(load, "shop", NIGHT_S) > 0
    assert max(max(step.drawn_a) for step in load.steps["shop"]) <= 30
    assert 0 < max(max(step.drawn_a) for step in load.steps["main"]) <= 20


def test_the_sun_shines_by_day_where_it_is_metered() -> None:
    load = simulated_load(SITE, begins=MIDNIGHT, days=1)
    assert mean(load, "main", NIGHT_S, fed=True) == 0
    assert 5 < mean(load, "main", NOON_S, fed=True) <= 30
    assert all(step.fed_a == (0, 0, 0) for step in load.steps["shop"])


def test_a_circuit_without_meter_and_consumers_has_none() -> None:
    assert "bare" not in simulated_load(SITE, begins=MIDNIGHT, days=1).steps


@pytest.mark.parametrize("days", [1, 3])
def test_it_reaches_to_the_end_of_the_day_after(days: int) -> None:
    steps = simulated_load(SITE, begins=MIDNIGHT, days=days).steps["main"]
    assert steps[-1].begins_s == (days + 1) * 86_400 - 300


def test_the_same_seed_gives_the_same_load_at_a_circuit_whatever_else_there_is() -> None:
    first = simulated_load(SITE, begins=MIDNIGHT, days=1, seed=3)
    smaller = SITE.model_copy(update={"circuits": SITE.circuits[:2]})
    assert simulated_load(smaller, begins=MIDNIGHT, days=1, seed=3) == first
    assert simulated_load(SITE, begins=MIDNIGHT, days=1, seed=4) != first
