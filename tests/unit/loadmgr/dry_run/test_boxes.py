"""Physics of boxes and cars."""

from math import inf

import pytest

from loadmgr.dry_run.boxes import SWITCH_S, TAPER_LEAST_A, Box, Manner, limit_at_start_a
from loadmgr.dry_run.visits import Visit
from shared.contracts.charging import ApplySetpoint, Reason, ReasonCode
from shared.contracts.evse import EvseState
from shared.contracts.site import DeactivationPolicy, Evse, Mode, SiteConfig
from shared.units import Phase


def box(*, manner: Manner | None = None, **evse: object) -> Box:
    config = Evse.model_validate({"id": "bay1", "station": "s1", "circuit": "main"} | evse)
    return Box(evse=config, manner=manner or Manner())


def visit(**kind: float) -> Visit:
    facts = {"arrives_s": 0.0, "leaves_s": 36_000.0, "energy_wh": 20_000.0} | kind
    return Visit(evse_id="bay1", **facts)  # type: ignore[arg-type]


def setpoint(
    limit_a: float, *, phases: int | None = None, revision: int = 1, lease_s: float = 60.0
) -> ApplySetpoint:
    return ApplySetpoint(
        station_id="s1",
        evse_id="bay1",
        connector=1,
        revision=revision,
        limit_a=limit_a,
        phases=phases,
        lease_s=lease_s,
        reason=Reason(code=ReasonCode.CIRCUIT),
    )


def charging(limit_a: float = 16.0, *, manner: Manner | None = None, **kind: float) -> Box:
    one = box(manner=manner)
    one.take(setpoint(limit_a), 0.0)
    one.plug(visit(**kind), 0.0)
    return one


def test_an_empty_box_draws_nothing() -> None:
    one = box()
    one.take(setpoint(16.0), 0.0)
    assert (one.state, one.grid_a, one.power_w) == (EvseState.A, (0.0, 0.0, 0.0), 0.0)


def test_a_car_waits_for_a_limit() -> None:
    one = box()
    one.plug(visit(), 0.0)
    assert (one.state, one.drawn_a) == (EvseState.B, 0.0)


def test_a_car_raises_at_once_and_lowers_late() -> None:
    one = charging(10.0)
    one.take(setpoint(14.0), 10.0)
    assert one.drawn_a == 14.0
    one.take(setpoint(8.0), 20.0)
    assert (one.drawn_a, one.next_s()) == (14.0, 25.0)
    one.settle(24.9)
    assert one.drawn_a == 14.0
    one.settle(25.0)
    assert one.drawn_a == 8.0


def test_each_of_two_lowerings_is_followed_in_its_time() -> None:
    one = charging(16.0)
    one.take(setpoint(12.0), 0.0)
    one.take(setpoint(8.0), 3.0)
    drawn_a = []
    for at_s in (4.9, 5.0, 7.9, 8.0):
        one.settle(at_s)
        drawn_a.append(one.drawn_a)
    assert drawn_a == [16.0, 12.0, 12.0, 8.0]


def test_a_raise_takes_back_what_has_not_been_followed_yet() -> None:
    one = charging(16.0)
    one.take(setpoint(6.0), 0.0)
    one.take(setpoint(12.0), 1.0)
    one.settle(5.0)
    assert one.drawn_a == 16.0
    one.settle(6.0)
    assert (one.drawn_a, one.lowerings) == (12.0, [])


def test_it_draws_no_more_than_the_car_takes() -> None:
    assert charging(32.0, most_a=13.0).drawn_a == 13.0


@pytest.mark.parametrize(
    ("phases", "line_a", "grid_a"),
    [
        (1, (10.0, 0.0, 0.0), (0.0, 10.0, 0.0)),
        (2, (10.0, 10.0, 0.0), (0.0, 10.0, 10.0)),
        (3, (10.0, 10.0, 10.0), (10.0, 10.0, 10.0)),
    ],
)
def test_a_car_charges_on_its_lines_as_they_are_wired(
    phases: int, line_a: tuple[float, ...], grid_a: tuple[float, ...]
) -> None:
    one = box(rotation=(Phase.L2, Phase.L3, Phase.L1))
    one.take(setpoint(10.0), 0.0)
    one.plug(visit(phases=phases), 0.0)
    assert (one.line_a, one.grid_a, one.power_w) == (line_a, grid_a, 230 * 10 * phases)


def test_a_box_of_one_phase_uses_one() -> None:
    one = box(phases=1, rotation=(Phase.L3, Phase.L1, Phase.L2))
    one.take(setpoint(10.0), 0.0)
    one.plug(visit(phases=3), 0.0)
    assert one.grid_a == (0.0, 0.0, 10.0)


def test_an_unknown_rotation_is_some_true_one_for_ever() -> None:
    found = {box(id=f"bay{number}", rotation=None).wiring for number in range(30)}
    assert found == {(0, 1, 2), (1, 2, 0), (2, 0, 1)}
    assert box(rotation=None).wiring == box(rotation=None).wiring


def test_energy_is_counted_exactly() -> None:
    one = charging(10.0)
    one.take(setpoint(6.0), 3_600.0)
    one.settle(7_200.0)
    still_s = 5.0  # at 10 A, before the car follows
    wanted_wh = 690 * (10.0 * (3_600 + still_s) + 6.0 * (3_600 - still_s)) / 3_600
    one = charging(10.0)
    one.take(setpoint(6.0), 3_600.0)
    one.settle(one.next_s())
    one.settle(7_200.0)
    assert one.stay is not None
    assert one.stay.delivered_wh == pytest.approx(wanted_wh)
    assert one.counter_wh == one.stay.delivered_wh


def test_the_register_goes_on_with_the_next_vehicle() -> None:
    one = charging(10.0)
    one.unplug(3_600.0)
    one.plug(visit(), 4_000.0)
    one.settle(4_000.0 + 3_600.0)
    assert one.counter_wh == pytest.approx(2 * 6_900)
    assert one.stay is not None
    assert one.stay.delivered_wh == pytest.approx(6_900)


def test_the_last_tenth_goes_ever_slower_and_a_full_car_draws_nothing() -> None:
    one = charging(16.0, energy_wh=10_000.0)
    drawn_a = []
    at_s = 0.0
    while one.drawn_a > 0 and at_s < 7_200:
        drawn_a.append(one.drawn_a)
        at_s = min(at_s + 10.0, one.next_s())
        one.settle(at_s)
    assert drawn_a == sorted(drawn_a, reverse=True)
    assert (drawn_a[0], drawn_a[-1]) == (16.0, TAPER_LEAST_A)
    assert one.stay is not None
    assert one.stay.delivered_wh == pytest.approx(10_000.0)
    assert one.state is EvseState.B
    assert one.next_s() == inf


def test_a_car_never_takes_more_than_it_wants() -> None:
    one = charging(16.0, energy_wh=100.0)
    one.settle(36_000.0)
    assert one.stay is not None
    assert one.stay.delivered_wh == 100.0


def test_a_start_is_counted_each_time_that_current_begins_to_flow() -> None:
    one = charging(16.0)
    one.take(setpoint(0.0), 10.0)
    one.settle(15.0)
    one.take(setpoint(6.0), 20.0)
    one.take(setpoint(8.0), 30.0)
    assert one.stay is not None
    assert one.stay.starts == 2


def test_with_the_vehicle_goes_what_it_has_not_followed() -> None:
    one = charging(16.0)
    one.take(setpoint(6.0), 10.0)
    one.unplug(11.0)
    one.plug(visit(), 12.0)
    assert one.drawn_a == 6.0


def test_a_lease_that_runs_out_leads_to_the_fallback() -> None:
    one = box(fallback_a=6.0)
    one.take(setpoint(16.0, lease_s=30.0), 0.0)
    one.plug(visit(), 0.0)
    assert not one.fall_back(29.9)
    assert one.fall_back(30.0)
    assert (one.limit_a, one.drawn_a) == (6.0, 16.0)
    one.settle(35.0)
    assert one.drawn_a == 6.0
    assert not one.fall_back(99.0)


def test_an_ignored_lowering_changes_nothing_but_the_lease() -> None:
    one = charging(16.0)
    one.take(setpoint(6.0, revision=2), 50.0, is_ignored=True)
    one.settle(60.0)
    assert (one.drawn_a, one.limit_a, one.revision) == (16.0, 16.0, 2)
    assert not one.fall_back(109.0)


def test_raises_are_never_ignored() -> None:
    one = charging(10.0)
    one.take(setpoint(16.0), 5.0, is_ignored=True)
    assert one.drawn_a == 16.0


def test_a_box_that_switches_pauses_and_then_uses_the_phases_it_was_told() -> None:
    one = box(switches_phases=True)
    one.take(setpoint(10.0), 0.0)
    one.plug(visit(), 0.0)
    one.take(setpoint(10.0, phases=1), 60.0)
    assert (one.drawn_a, one.next_s()) == (0.0, 60.0 + SWITCH_S)
    one.settle(60.0 + SWITCH_S)
    assert one.grid_a == (10.0, 0.0, 0.0)
    one.take(setpoint(10.0, phases=1), 100.0)
    assert one.grid_a == (10.0, 0.0, 0.0)
    one.take(setpoint(10.0, phases=3), 200.0)
    one.settle(200.0 + SWITCH_S)
    assert one.grid_a == (10.0, 10.0, 10.0)


def test_without_a_vehicle_it_switches_at_once() -> None:
    one = box(switches_phases=True)
    one.take(setpoint(10.0, phases=1), 0.0)
    one.plug(visit(), 1.0)
    assert one.grid_a == (10.0, 0.0, 0.0)


def test_a_box_that_cannot_switch_keeps_its_phases() -> None:
    one = charging(10.0)
    one.take(setpoint(10.0, phases=1), 60.0)
    assert one.grid_a == (10.0, 10.0, 10.0)


@pytest.mark.parametrize(
    ("mode", "enabled", "policy", "limit_a"),
    [
        (Mode.LOAD_MANAGEMENT, True, DeactivationPolicy.CANCEL_LIMITS, 0.0),
        (Mode.MONITOR, True, DeactivationPolicy.SWITCH_OFF, 20.0),
        (Mode.OFF, False, DeactivationPolicy.SWITCH_OFF, 20.0),
        (Mode.LOAD_MANAGEMENT, False, DeactivationPolicy.SWITCH_OFF, 0.0),
        (Mode.LOAD_MANAGEMENT, False, DeactivationPolicy.MINIMUM, 8.0),
        (Mode.LOAD_MANAGEMENT, False, DeactivationPolicy.CANCEL_LIMITS, 20.0),
    ],
)
def test_what_a_box_allows_before_anybody_steers_it(
    mode: Mode, enabled: bool, policy: DeactivationPolicy, limit_a: float
) -> None:
    evse = Evse(id="e", station="s", circuit="c", enabled=enabled, min_a=8.0, max_a=20.0)
    assert limit_at_start_a(SiteConfig(mode=mode, deactivation=policy), evse) == limit_a
