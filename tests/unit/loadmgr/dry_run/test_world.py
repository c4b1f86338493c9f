"""The virtual garage: what it tells, what it does with setpoints, what it counts."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pytest

from loadmgr.domain.site_model import compile_site
from loadmgr.dry_run.base_load import BaseLoad, LoadStep
from loadmgr.dry_run.boxes import Manner
from loadmgr.dry_run.control import LoadManagement
from loadmgr.dry_run.visits import Visit
from loadmgr.dry_run.world import Conditions, World
from shared.contracts.charging import (
    ApplySetpoint,
    PermissionChanged,
    Reason,
    ReasonCode,
    SetpointApplied,
    SetpointOutcome,
)
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.message import Event
from shared.contracts.meter import MeterSampled
from shared.contracts.plan import ChargingPlan, PlanChanged
from shared.contracts.site import (
    Backend,
    Circuit,
    Evse,
    Meter,
    MeterRole,
    ModbusAccess,
    Mode,
    SiteConfig,
    Station,
)

BEGINS = datetime(2026, 3, 2, 8, tzinfo=UTC)
BEGINS_S = BEGINS.timestamp()


class Script:
    """Sends what stands in it, and keeps what it hears."""

    def __init__(self, *orders: tuple[float, str, float], hurries: bool = False) -> None:
        self.orders = list(orders)
        self.heard: list[tuple[float, Event]] = []
        self.decided: list[float] = []
        self.hurries = hurries

    def hear(self, event: Event, now_s: float) -> bool:
        self.heard.append((now_s - BEGINS_S, event))
        return self.hurries and isinstance(event, EvseObserved)

    def decide(self, now: datetime) -> Sequence[ApplySetpoint]:
        at_s = now.timestamp() - BEGINS_S
        self.decided.append(at_s)
        due = [order for order in self.orders if order[0] <= at_s]
        self.orders = [order for order in self.orders if order[0] > at_s]
        return [_setpoint(evse_id, limit_a, round(at_s) + 1) for _, evse_id, limit_a in due]

    def told(self, kind: type[Event]) -> list[tuple[float, Event]]:
        return [(at_s, event) for at_s, event in self.heard if isinstance(event, kind)]


def _setpoint(evse_id: str, limit_a: float, revision: int) -> ApplySetpoint:
    return ApplySetpoint(
        station_id=f"s-{evse_id}",
        evse_id=evse_id,
        connector=1,
        revision=revision,
        limit_a=limit_a,
        lease_s=60,
        reason=Reason(code=ReasonCode.CIRCUIT),
    )


def meter(name: str, circuit: str, role: MeterRole) -> Meter:
    return Meter(
        id=name, circuit=circuit, role=role, modbus=ModbusAccess(template="t", host="m.invalid")
    )


def site(
    *evses: str, limit_a: float = 40.0, meters: Iterable[Meter] = (), **more: object
) -> SiteConfig:
    return SiteConfig(
        circuits=(
            Circuit(id="main", limit_a=limit_a),
            Circuit(id="floor", parent="main", limit_a=limit_a),
        ),
        stations=tuple(Station(id=f"s-{evse}", protocol="ocpp") for evse in evses),
        evses=tuple(
            Evse.model_validate({"id": e, "station": f"s-{e}", "circuit": "floor"} | more)
            for e in evses
        ),
        meters=tuple(meters),
    )


def visit(evse_id: str = "a", **kind: object) -> Visit:
    facts = {"arrives_s": 0.0, "leaves_s": 7_200.0, "energy_wh": 40_000.0} | kind
    return Visit(evse_id=evse_id, **facts)  # type: ignore[arg-type]


def world(
    script: Script, config: SiteConfig, *visits: Visit, step_s: float = 1.0, **conditions: object
) -> World:
    return World(
        compile_site(config),
        visits,
        control=script,
        conditions=Conditions(begins=BEGINS, step_s=step_s, **conditions),  # type: ignore[arg-type]
    )


def test_a_setpoint_is_taken_after_its_lag_and_answered_then() -> None:
    script = Script((10.0, "a", 16.0))
    one = world(script, site("a"), visit(), manners={"a": Manner(lag_s=3.5)})
    one.run_until(13.4)
    assert one.boxes[0].drawn_a == 0.0
    one.run_until(20.0)
    assert one.boxes[0].drawn_a == 16.0
    (at_s, applied) = script.told(SetpointApplied)[0]
    assert isinstance(applied, SetpointApplied)
    assert (at_s, applied.outcome, applied.limit_a) == (13.5, SetpointOutcome.ACCEPTED, 16.0)


def test_an_older_setpoint_that_comes_late_is_not_taken() -> None:
    script = Script((1.0, "a", 16.0), (4.0, "a", 8.0))
    one = world(script, site("a"), visit())
    one._take(0, _setpoint("a", 6.0, 50), 0.0)
    one.run_until(10.0)
    assert one.boxes[0].limit_a == 6.0


def test_without_renewal_a_box_falls_back_and_says_so() -> None:
    script = Script((0.0, "a", 16.0))
    one = world(script, site("a", fallback_a=6.0), visit())
    one.run_until(80.0)
    last = script.told(SetpointApplied)[-1][1]
    assert isinstance(last, SetpointApplied)
    assert (last.outcome, last.revision) == (SetpointOutcome.LEASE_EXPIRED, 1)
    assert one.boxes[0].drawn_a == 6.0


def test_energy_is_what_flowed() -> None:
    """Half an hour at 16 A and three phases, then 8 A once the car has followed."""
    script = Script((0.0, "a", 16.0), *((40.0 * n, "a", 16.0) for n in range(1, 45)))
    script.orders += [(1_800.0 + 40 * n, "a", 8.0) for n in range(45)]
    for step_s in (1.0, 10.0, 30.0):
        one = world(Script(*script.orders), site("a"), visit(), step_s=step_s)
        one.run_until(3_600.0)
        late_s = -1_800 % step_s
        at_16_s, at_8_s = 1_800 + late_s + 5.0, 1_800 - late_s - 5.0 - 0.5
        wanted_wh = 690 * (16 * at_16_s + 8 * at_8_s) / 3_600
        assert one.stays[0].delivered_wh == pytest.approx(wanted_wh, rel=1e-6)


def test_a_full_car_stops_within_a_step() -> None:
    script = Script(*((40.0 * n, "a", 16.0) for n in range(90)))
    one = world(script, site("a"), visit(energy_wh=1_000.0), step_s=10.0)
    one.run_until(3_600.0)
    assert one.stays[0].delivered_wh == pytest.approx(1_000.0)
    states = [e.state for _, e in script.told(EvseObserved) if isinstance(e, EvseObserved)]
    assert states[-1] is EvseState.B


def test_meters_show_what_their_role_says() -> None:
    roles = {
        "grid": meter("grid", "main", MeterRole.GRID),
        "own": meter("own", "main", MeterRole.CONSUMPTION),
        "sun": meter("sun", "main", MeterRole.GENERATION),
        "floor": meter("floor", "floor", MeterRole.GRID),
        "shop": meter("shop", "floor", MeterRole.CONSUMPTION),
    }
    load = BaseLoad(
        steps={
            "main": (LoadStep(0.0, (3.0, 2.0, 1.0), (5.0, 5.0, 5.0)),),
            "floor": (LoadStep(0.0, (1.0, 1.0, 1.0)), LoadStep(8.5, (4.0, 4.0, 4.0))),
        }
    )
    script = Script((0.0, "a", 10.0))
    world(script, site("a", meters=roles.values()), visit(phases=1), base_load=load).run_until(9.5)
    shown = {
        e.meter_id: (e.current_a.l1, e.current_a.l2, e.current_a.l3)
        for at_s, e in script.told(MeterSampled)
        if isinstance(e, MeterSampled) and at_s == 9.0
    }
    assert shown == {
        "grid": (3 - 5 + 4 + 10, 2 - 5 + 4, 1 - 5 + 4),
        "own": (3.0, 2.0, 1.0),
        "sun": (-5.0, -5.0, -5.0),
        "floor": (14.0, 4.0, 4.0),
        "shop": (4.0, 4.0, 4.0),
    }


def test_overload_lasts_as_long_as_it_lasts_whatever_the_step() -> None:
    load = BaseLoad(
        steps={"main": (LoadStep(12.25, (99.0, 0.0, 0.0)), LoadStep(15.0, (0.0, 0.0, 0.0)))}
    )
    for step_s in (1.0, 10.0):
        one = world(Script(), site("a"), step_s=step_s, base_load=load)
        one.run_until(60.0)
        assert one.fuses.overload_s[one.model.circuit_index("main")] == 2.75


def test_a_new_state_is_told_at_once_and_an_unchanged_one_now_and_then() -> None:
    script = Script((0.0, "a", 10.0))
    one = world(script, site("a"), visit(arrives_s=33.3, leaves_s=99.0), step_s=10.0)
    one.run_until(100.0)
    told = [
        (round(at_s, 3), event.state)
        for at_s, event in script.told(EvseObserved)
        if isinstance(event, EvseObserved)
    ]
    assert told == [
        (0.0, EvseState.A),
        (33.3, EvseState.C),
        (60.0, EvseState.C),
        (75.0, EvseState.B),  # its lease is over, which the step at 70 s saw, and it followed
        (99.0, EvseState.A),
    ]


def test_urgent_news_are_answered_at_once_and_together() -> None:
    script = Script(hurries=True)
    arrivals = [visit(name, arrives_s=13.2 + number / 20) for number, name in enumerate("abc")]
    world(script, site("a", "b", "c"), *arrivals, step_s=10.0).run_until(25.0)
    assert script.decided == pytest.approx([0.0, 10.0, 13.2, 13.4, 20.0])


def test_a_vehicle_that_was_there_before_is_there_at_the_begin() -> None:
    script = Script()
    one = world(
        script, site("a"), visit(arrives_s=-600.0), visit(arrives_s=-900.0, leaves_s=-600.0)
    )
    one.run_until(1.0)
    assert len(one.stays) == 1
    first = script.told(EvseObserved)[0]
    assert isinstance(first[1], EvseObserved)
    assert (first[0], first[1].state) == (0.0, EvseState.B)


def test_one_leaves_and_the_next_comes_in_the_same_second() -> None:
    script = Script(*((30.0 * n, "a", 10.0) for n in range(9)))
    one = world(script, site("a"), visit(leaves_s=60.0), visit(arrives_s=60.0, leaves_s=120.0))
    one.run_until(130.0)
    assert [stay.delivered_wh for stay in one.stays] == pytest.approx(
        [690 * 10 * 59.5 / 3_600, 690 * 10 * 60 / 3_600]
    )


def test_the_backend_of_an_evse_permits_while_a_vehicle_is_there() -> None:
    script = Script()
    backend = Backend(url="wss://backend.invalid", client_id="a")
    config = site("a", "b").model_copy(
        update={"evses": (site("a", backend=backend).evses[0], site("b").evses[0])}
    )
    stays = [visit(name, arrives_s=5.0, leaves_s=40.0) for name in "ab"]
    world(script, config, *stays).run_until(90.0)
    told = script.told(PermissionChanged)
    assert [(at_s, getattr(e, "evse_id", "")) for at_s, e in told] == [
        (5.0, "a"),
        (20.0, "a"),
        (35.0, "a"),
    ]


def test_a_plan_is_told_with_its_vehicle() -> None:
    script = Script()
    plan = ChargingPlan(energy_wh=9_000.0)
    stays = [visit("a", arrives_s=5.0, plan=plan), visit("b", arrives_s=6.0)]
    world(script, site("a", "b"), *stays).run_until(10.0)
    ((at_s, told),) = script.told(PlanChanged)
    assert isinstance(told, PlanChanged)
    assert (at_s, told.evse_id, told.plan) == (5.0, "a", plan)


def test_a_visit_where_no_evse_is_counts_as_turned_away() -> None:
    one = world(Script(), site("a"), visit("gone"))
    one.run_until(1.0)
    assert ([v.evse_id for v in one.turned_away], one.stays) == (["gone"], [])


def test_only_changed_limits_count_as_setpoints() -> None:
    script = Script(*((40.0 * n, "a", amps) for n, amps in enumerate((10, 10, 12, 12, 10))))
    one = world(script, site("a"), visit())
    one.run_until(300.0)
    assert one.setpoints == 3


def test_a_box_that_ignores_lowerings_says_yes_and_draws_on() -> None:
    script = Script((0.0, "a", 16.0), (20.0, "a", 6.0))
    one = world(script, site("a"), visit(), manners={"a": Manner(ignores=1.0)})
    one.run_until(50.0)
    assert one.boxes[0].drawn_a == 16.0
    assert len(script.told(SetpointApplied)) == 2


def test_about_as_many_lowerings_are_ignored_as_was_said() -> None:
    names = [f"e{number:03}" for number in range(200)]
    orders = [(at_s, name, amps) for at_s, amps in ((0.0, 16.0), (20.0, 6.0)) for name in names]
    one = world(
        Script(*orders),
        site(*names),
        *(visit(name) for name in names),
        manners=dict.fromkeys(names, Manner(ignores=0.25)),
    )
    one.run_until(40.0)
    assert 30 < sum(box.drawn_a == 16.0 for box in one.boxes) < 70


def test_unsteered_boxes_charge_as_they_can() -> None:
    one = world(Script(), site("a").model_copy(update={"mode": Mode.MONITOR}), visit(most_a=20.0))
    one.run_until(10.0)
    assert one.boxes[0].drawn_a == 20.0


def test_lag_alone_never_overloads_a_fuse_and_all_of_it_is_used() -> None:
    """Twelve boxes for ten minutes; some take their setpoints 8 to 25 s late."""
    names = [f"e{number:02}" for number in range(12)]
    config = site(*names, limit_a=64.0, meters=[meter("grid", "main", MeterRole.GRID)])
    stays = [
        visit(
            name, arrives_s=20.0 * number - 100, leaves_s=300.0 + 40 * number, phases=number % 3 + 1
        )
        for number, name in enumerate(names)
    ]
    lags = {
        name: Manner(lag_s=8.0 + number) for number, name in enumerate(names) if number % 4 == 0
    }
    model = compile_site(config)
    one = World(
        model,
        stays,
        control=LoadManagement(model, BEGINS_S),
        conditions=Conditions(begins=BEGINS, step_s=1.0, manners=lags),
    )
    one.run_until(600.0)
    assert one.fuses.overload_s.tolist() == [0.0, 0.0]
    assert one.fuses.peak_a.max() > 55.0
    assert all(stay.delivered_wh > 0 for stay in one.stays)


def test_other_consumers_are_made_room_for() -> None:
    load = BaseLoad(steps={"main": (LoadStep(0.0, (0, 0, 0)), LoadStep(120.0, (24.0, 24.0, 24.0)))})
    config = site("a", "b", meters=[meter("grid", "main", MeterRole.GRID)])
    model = compile_site(config)
    one = World(
        model,
        [visit("a", most_a=20.0), visit("b", most_a=20.0)],
        control=LoadManagement(model, BEGINS_S),
        conditions=Conditions(begins=BEGINS, step_s=1.0, base_load=load),
    )
    one.run_until(119.0)
    assert one.fuses.flows_a.max() == pytest.approx(40.0)
    one.run_until(300.0)
    assert 0 < one.fuses.overload_s.max() < 8.0
    assert one.fuses.flows_a.max() <= 40.0 + 1e-6
