"""What flows through fuses, by hand."""

import pytest

from loadmgr.domain.site_model import compile_site
from loadmgr.dry_run.base_load import LoadStep
from loadmgr.dry_run.fuses import Fuses
from shared.contracts.site import Circuit, Evse, PhaseLimits, SiteConfig, Station

SITE = SiteConfig(
    circuits=(
        Circuit(id="main", limit_a=PhaseLimits(L1=30, L2=20, L3=30), guard_a=5.0, limit_w=12_000),
        Circuit(id="a", parent="main", limit_a=16),
        Circuit(id="b", parent="main", limit_a=16),
    ),
    stations=(Station(id="s1", protocol="ocpp"), Station(id="s2", protocol="ocpp")),
    evses=(
        Evse(id="e1", station="s1", circuit="a"),
        Evse(id="e2", station="s2", circuit="b"),
    ),
)

NOTHING_A = PhaseLimits(L1=0, L2=0, L3=0)


def fuses() -> Fuses:
    one = Fuses(compile_site(SITE))
    one.draw(0, (10.0, 10.0, 10.0))
    one.draw(1, (0.0, 8.0, 0.0))
    return one


def circuit(name: str) -> int:
    return compile_site(SITE).circuit_index(name)


def test_a_circuit_carries_all_below_it_and_its_own_consumers() -> None:
    one = fuses()
    one.load(circuit("a"), LoadStep(0.0, (3.0, 0.0, 0.0)))
    one.load(circuit("main"), LoadStep(0.0, (1.0, 1.0, 1.0), (0.0, 0.0, 5.0)))
    assert one.flows_a[circuit("main")].tolist() == [14.0, 19.0, 6.0]
    assert one.flows_a[circuit("a")].tolist() == [13.0, 10.0, 10.0]
    assert one.flows_a[circuit("b")].tolist() == [0.0, 8.0, 0.0]


def test_only_the_fuse_itself_counts_and_not_its_guard() -> None:
    one = fuses()
    one.draw(1, (0.0, 10.0, 0.0))  # 20 A on L2, which is its limit
    one.elapse(10.0)
    assert one.overload_s.tolist() == [0.0, 0.0, 0.0]
    assert one.peak_a[circuit("main")].tolist() == [10.0, 20.0, 10.0]


def test_overload_counts_by_circuit_its_time_its_longest_run_and_how_far() -> None:
    one = fuses()
    for drawn_a, seconds in ((11.0, 2.0), (10.0, 1.0), (14.0, 3.0), (11.0, 1.5), (0.0, 60.0)):
        one.draw(1, (0.0, drawn_a, 0.0))
        one.elapse(seconds)
    main = circuit("main")
    assert one.overload_s[main] == 6.5
    assert one.far_s[main] == 3.0
    assert one.longest_s[main] == 4.5
    assert one.worst_share[main] == pytest.approx(24 / 20 - 1)
    assert one.overload_s[circuit("b")] == 0.0


def test_power_of_all_phases_counts_too() -> None:
    one = fuses()
    one.draw(0, (0.0, 0.0, 0.0))
    one.draw(1, (26.0, 0.0, 26.5))  # 12.07 kW
    one.elapse(4.0)
    assert one.overload_s[circuit("main")] == 4.0
    assert one.far_s[circuit("main")] == 0.0


def test_no_time_is_no_overload() -> None:
    one = fuses()
    one.draw(0, (99.0, 0.0, 0.0))
    one.elapse(0.0)
    assert (one.overload_s.sum(), one.peak_a.sum()) == (0.0, 0.0)


def test_a_circuit_that_may_carry_nothing_is_overloaded_by_anything() -> None:
    circuits = (SITE.circuits[0], SITE.circuits[1].model_copy(update={"limit_a": NOTHING_A}))
    config = SITE.model_copy(update={"circuits": (*circuits, SITE.circuits[2])})
    one = Fuses(compile_site(config))
    one.draw(0, (1.0, 0.0, 0.0))
    one.elapse(1.0)
    assert one.overload_s[circuit("a")] == 1.0
    assert one.worst_share[circuit("a")] > 1_000
