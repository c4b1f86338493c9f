"""The promises of load management over random garages: boxes lag, ignore, refuse and vanish."""

from random import Random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.domain.commit import reserved_now
from loadmgr.domain.demand import Board, Column, Demands
from loadmgr.domain.guard import guard_now
from loadmgr.domain.uncontrolled import uncontrolled_rows
from shared.contracts.site import SiteConfig
from tests.unit.loadmgr.garage import Car, Garage

ROTATIONS = [["L1", "L2", "L3"], ["L2", "L3", "L1"], ["L3", "L1", "L2"], ["L2", "L1", "L3"]]
MANNERS = ["obeys"] * 6 + ["ignores", "refuses", "silent"]


def random_site(rng: Random) -> SiteConfig:
    """A tree of up to five circuits, up to two groups and up to eight EVSEs of all kinds."""
    root = {"id": "c0", "limit_a": rng.choice([16, 32, 40, 63])}
    root |= {"guard_a": rng.choice([0, 0, 4]), "uncontrolled_a": rng.choice([0, 0, 5, 9])}
    circuits: list[dict[str, Any]] = [root]
    for number in range(1, rng.randint(1, 5)):
        parent = rng.choice(circuits)["id"]
        limits = {phase: rng.randint(10, 63) for phase in ("L1", "L2", "L3")}
        circuits.append(
            {
                "id": f"c{number}",
                "parent": parent,
                "limit_a": limits,
                "guard_a": rng.choice([0, 0, 3]),
                "limit_w": rng.choice([None, None, 5_000, 14_000]),
            }
        )
    groups = [
        {
            "id": f"g{number}",
            "limit_a": rng.choice([None, 12, 25]),
            "limit_w": rng.choice([None, None, 9_000]),
            "priority": rng.choice([None, None, 3]),
        }
        for number in range(rng.randint(0, 2))
    ]
    evses, stations = [], []
    for number in range(rng.randint(2, 8)):
        stations.append({"id": f"s{number}", "protocol": "ocpp"})
        evses.append(
            {
                "id": f"e{number}",
                "station": f"s{number}",
                "circuit": rng.choice(circuits)["id"],
                "phases": rng.choice([1, 3, 3]),
                "rotation": rng.choice([*ROTATIONS, None]),
                "min_a": rng.choice([6, 6, 8]),
                "max_a": rng.choice([16, 32]),
                "step_a": rng.choice([0.1, 1, 2]),
                "priority": rng.choice([1, 1, 2]),
                "weight": rng.choice([1, 1, 2]),
                "group": rng.choice([None, None, *(group["id"] for group in groups)]),
            }
        )
    meter = {
        "id": "m",
        "circuit": "c0",
        "role": rng.choice(["grid", "consumption"]),
        "modbus": {"template": "any", "host": "meter"},
    }
    return SiteConfig.model_validate(
        {
            "circuits": circuits,
            "groups": groups,
            "stations": stations,
            "evses": evses,
            "lease_s": 20,
        }
        | ({"meters": [meter]} if rng.random() < 0.6 else {})
    )


def random_garage(rng: Random) -> Garage:
    site = random_site(rng)
    garage = Garage(site)
    if site.meters:
        garage.base_a["c0"] = [rng.uniform(0, 8) for _ in range(3)]
    for box in garage.boxes.values():
        box.answers_after_s = rng.choice([0.5, 1.0, 4.0, 9.0])
        box.follows_after_s = rng.choice([1.0, 3.0, 5.0])
        box.measures_every_s = rng.choice([1.0, 2.0, 10.0])
    garage.run(3)
    return garage


def live(garage: Garage, rng: Random, seconds: int) -> None:
    """Let cars come and go, boxes change their manner, and stations vanish and come back."""
    fixed: set[str] = set()  # a box that ignores has a car that does not change its mind
    for _ in range(seconds // 3):
        evse_id = rng.choice(sorted(garage.boxes))
        box = garage.boxes[evse_id]
        what = rng.choice(["plug", "plug", "want", "unplug", "manner", "vanish", "back"])
        if what == "manner":
            box.manner = rng.choice(MANNERS)
            fixed |= {evse_id} if box.manner == "ignores" else set()
        elif what == "vanish" and box.online:
            garage.vanish(evse_id)
        elif what == "back" and not box.online:
            garage.come_back(evse_id)
        elif evse_id not in fixed:
            change_car(garage, evse_id, what, rng)
        garage.run(3)


def change_car(garage: Garage, evse_id: str, what: str, rng: Random) -> None:
    box = garage.boxes[evse_id]
    if what == "plug" and box.car is None:
        box.car = Car(phases=rng.choice([1, 3]), wants_a=rng.choice([7.0, 16.0, 32.0]))
    elif what == "want" and box.car is not None:
        box.car.wants_a = rng.choice([0.0, 6.0, 12.0, 32.0])
    elif what == "unplug":
        box.unplug()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_fuse_ever_carries_more_than_its_limit(seed: int) -> None:
    rng = Random(seed)
    garage = random_garage(rng)
    live(garage, rng, 90)
    assert not garage.overloads


def judged_anew(garage: Garage) -> Demands:
    """Judge every EVSE, as if nothing had been kept from before."""
    return Board(garage.model).judge(garage.state.evses, garage.now.timestamp())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_nothing_sent_adds_to_what_may_overflow(seed: int) -> None:
    """The invariant: reserved and uncontrolled stay within every limit, unless facts changed."""
    rng = Random(seed)
    garage = random_garage(rng)
    plain_decide = garage._decide

    def checked_decide() -> None:
        now_s = garage.now.timestamp()
        demands = judged_anew(garage)
        kept = garage.state.demands(garage.model, now_s)
        holds = [column for column in range(len(kept.table)) if column != Column.UNTIL_S]
        assert np.array_equal(kept.table[holds], demands.table[holds], equal_nan=True)
        beside_a, is_lost = uncontrolled_rows(garage.model, garage.state.meters, now_s)
        beside = garage.model.rows.with_circuits(beside_a)
        before = (
            garage.model.rows.sums(reserved_now(demands, demands.upper_a), demands.who) + beside
        )
        plain_decide()
        assert garage.decision is not None
        sent = judged_anew(garage)
        after = garage.model.rows.sums(reserved_now(sent, sent.upper_a), sent.who) + beside
        meters = garage.state.meters
        guard = guard_now(garage.model, meters, beside_a, is_lost, now_s=now_s)
        allowed = np.maximum(before, garage.model.rows.limit - guard)
        assert (after <= allowed + 1e-3).all()
        for setpoint in garage.decision.setpoints:
            evse = garage.model.evse_by_id[setpoint.evse_id].config
            assert setpoint.limit_a == 0 or evse.min_a <= setpoint.limit_a <= evse.max_a

    garage._decide = checked_decide  # type: ignore[method-assign]
    live(garage, rng, 60)
    assert garage.sent


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_garage_left_alone_comes_to_rest(seed: int) -> None:
    rng = Random(seed)
    garage = random_garage(rng)
    for box in garage.boxes.values():
        box.car = Car(phases=rng.choice([1, 3]))
    garage.run(150)
    settled = garage.t
    garage.run(60)
    assert garage.changes_since(settled) == 0
