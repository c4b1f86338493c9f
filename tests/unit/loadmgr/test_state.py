"""Single facts and what they change, where a scenario would say it less clearly."""

from datetime import timedelta
from typing import Any

import pytest

from loadmgr.domain.commit import reserved_now
from loadmgr.domain.evse_record import EvseRecord
from loadmgr.domain.plan import plan
from loadmgr.domain.rhythm import Haste
from loadmgr.domain.site_model import SiteModel, compile_site
from loadmgr.domain.state import State
from shared.contracts.charging import (
    ApplySetpoint,
    LimitChanged,
    LimitScope,
    LoadmgrTicked,
    PermissionChanged,
    Reason,
    ReasonCode,
    SetpointApplied,
    SetpointOutcome,
)
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.message import Event
from shared.contracts.meter import MeterSampled
from shared.contracts.plan import ChargingPlan, Override, PlanChanged
from shared.contracts.station import StationDisconnected
from shared.units import PhaseAmps
from tests.unit.loadmgr.garage import START
from tests.unit.loadmgr.test_scenarios import site_of

SITE = {
    "circuits": [{"id": "main", "limit_a": 40, "uncontrolled_a": 7}],
    "meters": {"grid": {"circuit": "main"}},
    "evses": {"a": {"max_a": 32, "fallback_a": 6}, "b": {"phases": 1}},
}
NAN = float("nan")


class Known:
    """A state at a site, told facts at given seconds."""

    def __init__(self, site: dict[str, Any] = SITE) -> None:
        self.model: SiteModel = compile_site(site_of(site))
        self.state = State()
        self.state.fit(self.model, START.timestamp())

    def hear(self, event: Event, at: float = 0.0) -> bool:
        return self.state.hear(self.model, event, START.timestamp() + at)

    def observe(self, evse_id: str = "a", at: float = 0.0, **seen: Any) -> bool:
        event = EvseObserved(
            **{
                "evse_id": evse_id,
                "station_id": f"st-{evse_id}",
                "connector": 1,
                "epoch": 1,
                "observed_at": START + timedelta(seconds=at),
                "online": True,
                "state": EvseState.C,
            }
            | seen
        )
        return self.hear(event, at)

    def send(self, revision: int, limit_a: float, at: float = 0.0) -> None:
        setpoint = ApplySetpoint(
            station_id="st-a",
            evse_id="a",
            connector=1,
            revision=revision,
            limit_a=limit_a,
            lease_s=120,
            reason=Reason(code=ReasonCode.MAXIMUM),
        )
        self.state.note_setpoints(self.model, (setpoint,), START.timestamp() + at)

    def applied(self, outcome: SetpointOutcome, revision: int, at: float = 0.0) -> bool:
        event = SetpointApplied(
            evse_id="a",
            station_id="st-a",
            revision=revision,
            limit_a=6.0,
            outcome=outcome,
            applied_at=START,
        )
        return self.hear(event, at)

    def sample(self, at: float = 0.0, **amps: float | None) -> bool:
        current = PhaseAmps(**{"l1": 5.0, "l2": 5.0, "l3": 5.0} | amps)
        when = START + timedelta(seconds=at)
        return self.hear(MeterSampled(meter_id="grid", sampled_at=when, current_a=current), at)

    def permit(self, at: float = 0.0, evse_id: str = "a", **word: Any) -> bool:
        event = PermissionChanged(
            **{"evse_id": evse_id, "source": "x", "permitted": True, "changed_at": START} | word
        )
        return self.hear(event, at)

    def load(self, site: dict[str, Any], at: float = 0.0) -> None:
        before, self.model = self.model, compile_site(site_of(site))
        self.state.fit(self.model, START.timestamp() + at, before=before)

    def out_of_reach_a(self, at: float, evse_id: str = "a") -> float:
        evse = self.model.evse_by_id[evse_id].config
        now_s = START.timestamp() + at
        return self.state.evses[evse_id].upper_out_of_reach_a(evse.fallback_a, now_s)

    def reserved_a(self, at: float, evse_id: str = "a") -> float:
        demands = self.state.demands(self.model, START.timestamp() + at)
        reserved = reserved_now(demands, demands.upper_a)
        return float(reserved[self.model.evse_by_id[evse_id].index].max())

    @property
    def a(self) -> EvseRecord:
        return self.state.evses["a"]


def test_news_hurries_and_repetition_does_not() -> None:
    known = Known()
    assert known.observe(state=EvseState.B)
    assert not known.observe(at=1.0, state=EvseState.B)
    assert known.observe(at=2.0, state=EvseState.C)
    assert known.permit()
    assert not known.permit(at=15.0)
    assert known.permit(at=16.0, limit_a=10.0)
    assert known.sample()
    assert not known.sample(at=1.0, l1=5.9)
    assert known.sample(at=2.0, l1=9.0)
    assert known.applied(SetpointOutcome.ACCEPTED, 1)


def test_what_is_not_of_this_site_is_ignored() -> None:
    known = Known()
    assert not known.observe("stranger")
    assert not known.permit(evse_id="stranger")
    assert not known.hear(LoadmgrTicked(instance="x"))
    meter = MeterSampled(meter_id="stranger", sampled_at=START, current_a=PhaseAmps(l1=90.0))
    assert not known.hear(meter)
    applied = SetpointApplied(
        evse_id="stranger",
        station_id="s",
        revision=1,
        limit_a=0.0,
        outcome=SetpointOutcome.ACCEPTED,
        applied_at=START,
    )
    assert not known.hear(applied)


def test_an_old_connection_is_not_believed() -> None:
    known = Known()
    known.observe(epoch=5)
    known.observe(epoch=4, state=EvseState.A)
    assert known.a.state is EvseState.C
    gone = StationDisconnected(station_id="ST-A", epoch=4, disconnected_at=START)
    assert not known.hear(gone)
    assert known.hear(gone.model_copy(update={"epoch": 5}))
    assert not known.a.online


def test_a_station_that_nobody_holds_is_lost_once() -> None:
    known = Known()
    known.observe()
    assert known.state.lose_station(known.model, "st-a", START.timestamp())
    assert not known.state.lose_station(known.model, "st-a", START.timestamp())


@pytest.mark.parametrize("amps", [NAN, float("inf"), -5.0, 16_000.0])
def test_an_impossible_current_is_unknown(amps: float) -> None:
    known = Known()
    known.observe(current_a=PhaseAmps(l1=amps, l2=0.0, l3=-0.2))
    assert known.a.line_a == (None, 0.0, 0.0)


def test_a_line_that_the_box_does_not_have_is_zero_unless_it_shows_something() -> None:
    known = Known()
    known.observe("b", current_a=PhaseAmps(l1=10.0, l3=2.0))
    assert known.state.evses["b"].line_a == (10.0, 0.0, 2.0)


def test_a_current_that_is_not_told_any_more_is_unknown() -> None:
    known = Known()
    known.observe(current_a=PhaseAmps(l1=10.0))
    known.observe(at=1.0, current_a=None)
    assert known.a.most_drawn_a is None


def test_a_limit_that_cannot_be_read_is_the_strictest() -> None:
    known = Known()
    known.permit(limit_a=NAN)
    assert known.a.permission is not None
    assert known.a.permission.limit_a == 0.0


def test_a_phase_that_the_meter_does_not_tell_grows_old() -> None:
    known = Known()
    known.sample(l2=None, l3=NAN)
    phases = known.state.meters["grid"].phases
    assert [phase.is_lost(START.timestamp() + 1) for phase in phases] == [False, True, True]


def test_a_running_lease_is_reserved_and_then_the_fallback() -> None:
    known = Known()
    known.observe(offered_a=16.0)
    known.observe(at=1.0, online=False)
    now_s = START.timestamp()
    assert known.a.upper_out_of_reach_a(6.0, now_s + 100) == 16.0
    assert known.a.upper_out_of_reach_a(6.0, now_s + 137) == 6.0


@pytest.mark.parametrize("offered_a", [None, NAN, 99.0])
def test_whatever_a_box_had_before_may_be_all_it_can(offered_a: float | None) -> None:
    known = Known()
    known.observe(offered_a=offered_a)
    assert known.a.upper_a(START.timestamp()) == 32.0


def test_a_box_seen_to_defy_its_limit_counts_on_when_it_vanishes() -> None:
    known = Known()
    known.observe(offered_a=10.0, current_a=PhaseAmps(l1=20.0, l2=20.0, l3=20.0))
    known.observe(at=1.0, online=False)
    assert known.a.upper_out_of_reach_a(6.0, START.timestamp() + 3_600) == 20.5
    known.observe(at=2.0)
    known.observe(at=3.0, online=False)
    assert known.a.out_of_reach_a == 0.0


def test_an_expired_lease_is_answered_at_once() -> None:
    known = Known()
    known.observe()
    known.send(7, 16.0)
    known.applied(SetpointOutcome.ACCEPTED, 7)
    known.applied(SetpointOutcome.LEASE_EXPIRED, 7, at=60.0)
    assert known.a.must_resend
    assert known.a.upper_a(START.timestamp() + 66) == 6.0
    decision = plan(known.model, known.state, START + timedelta(seconds=60.5))
    assert [s.evse_id for s in decision.setpoints] == ["a"]


def test_a_state_that_is_not_known_is_a_vehicle_only_if_current_flows() -> None:
    known = Known()
    known.observe(state=None)
    assert not known.a.may_have_vehicle
    known.observe(at=1.0, state=None, current_a=PhaseAmps(l1=8.0, l2=8.0, l3=8.0))
    assert known.a.may_have_vehicle


def test_a_permission_does_not_wait_for_ever_for_a_vehicle() -> None:
    known = Known()
    known.observe(state=EvseState.A)
    known.permit(at=1.0)
    known.observe(at=40.0, state=EvseState.A)
    assert known.a.permission is not None
    known.observe(at=50.0, state=EvseState.A)
    assert known.a.permission is None


def test_what_leaves_the_site_is_forgotten() -> None:
    known = Known()
    smaller = compile_site(site_of(SITE | {"evses": {"b": None}, "meters": {}}))
    known.state.fit(smaller, START.timestamp(), before=known.model)
    assert list(known.state.evses) == ["b"]
    assert known.state.meters == {}


def test_after_monitoring_any_limit_may_be_in_force() -> None:
    known = Known(SITE | {"mode": "monitor"})
    known.observe(offered_a=10.0)
    known.load(SITE)
    assert known.a.upper_a(START.timestamp()) == 32.0
    assert known.out_of_reach_a(10.0, "b") == 32.0, "never seen: as after a start"
    assert known.out_of_reach_a(140.0, "b") == 0.0


def test_what_monitoring_left_at_a_box_ends_with_no_lease() -> None:
    known = Known(SITE | {"mode": "monitor"})
    known.observe()
    known.load(SITE, at=1.0)
    known.send(1, 0.0, at=2.0)
    known.observe(at=3.0, online=False)
    assert known.out_of_reach_a(3_600.0) == 32.0
    known.observe(at=3_601.0)
    known.send(2, 0.0, at=3_602.0)
    known.applied(SetpointOutcome.ACCEPTED, 2, at=3_602.0)
    known.observe(at=3_603.0, online=False)
    assert known.out_of_reach_a(7_200.0) == 6.0


def test_monitoring_for_a_moment_does_not_free_what_a_box_out_of_reach_may_hold() -> None:
    known = Known()
    known.observe()
    known.send(1, 16.0)
    known.applied(SetpointOutcome.ACCEPTED, 1)
    known.observe(at=1.0, online=False)
    known.load(SITE | {"mode": "monitor"}, at=2.0)
    known.load(SITE, at=4.0)
    assert known.out_of_reach_a(5.0) >= 16.0


def test_revisions_grow_whatever_the_clock_does() -> None:
    known = Known()
    known.observe()
    first = plan(known.model, known.state, START)
    known.state.note_setpoints(known.model, first.setpoints, START.timestamp())
    known.applied(SetpointOutcome.LEASE_EXPIRED, first.setpoints[0].revision)
    second = plan(known.model, known.state, START - timedelta(seconds=30))
    assert second.setpoints[0].revision == first.setpoints[0].revision + 1


def test_the_same_facts_lead_to_the_same_decision_in_any_order() -> None:
    reversed_site = SITE | {"evses": dict(reversed(list(SITE["evses"].items())))}  # type: ignore[attr-defined]
    decisions = []
    for site in (SITE, reversed_site):
        known = Known(site)
        for evse_id in ("a", "b"):
            known.observe(evse_id)
        known.sample()
        decisions.append(plan(known.model, known.state, START))
    assert decisions[0] == decisions[1]
    assert decisions[0].decided == decisions[1].decided


def test_a_decision_is_told_as_it_was_whatever_is_heard_since() -> None:
    told = []
    for is_told_late in (False, True):
        known = Known()
        known.observe("a")
        known.observe("b", state=EvseState.A)
        decision = plan(known.model, known.state, START)
        if is_told_late:
            known.observe("a", at=1.0, current_a=PhaseAmps(l1=9.0, l2=9.0, l3=9.0))
            known.state.prepare(START.timestamp() + 1.0)
        told.append(decision.decided)
    assert told[0] == told[1]
    assert plan(known.model, known.state, START + timedelta(seconds=1)).decided != told[1]


def test_a_memory_without_a_site_has_nothing_to_prepare() -> None:
    State().prepare(START.timestamp())


def planned(evse_id: str = "a", at: float = 0.0, **word: Any) -> PlanChanged:
    return PlanChanged(evse_id=evse_id, changed_at=START + timedelta(seconds=at), **word)


def test_a_plan_is_news_and_its_repetition_is_not() -> None:
    known = Known()
    known.observe(state=EvseState.B)
    word = planned(at=1.0, plan=ChargingPlan(energy_wh=5_000))
    assert known.hear(word, at=1.0) is Haste.SOON
    assert known.hear(word, at=16.0) is Haste.NONE
    assert known.hear(planned(at=20.0), at=20.0) is Haste.SOON
    assert known.a.wish is None
    assert known.hear(planned("stranger")) is Haste.NONE


def test_a_plan_told_late_does_not_replace_a_newer_one() -> None:
    known = Known()
    known.observe(state=EvseState.B)
    known.hear(planned(at=10.0, override=Override(charge=False)))
    assert known.hear(planned(at=5.0, override=Override(charge=True))) is Haste.NONE
    assert known.a.wish is not None
    assert known.a.wish.charge is False


def test_a_plan_of_the_vehicle_that_has_left_is_not_taken() -> None:
    known = Known()
    known.observe(state=EvseState.B)
    known.observe(at=10.0, state=EvseState.A)
    assert known.hear(planned(at=9.0, override=Override(charge=False)), at=12.0) is Haste.NONE
    assert known.hear(planned(at=11.0, override=Override(charge=False)), at=12.0) is Haste.SOON


def test_an_override_that_cannot_be_read_is_the_strictest() -> None:
    known = Known()
    known.observe(state=EvseState.B)
    known.hear(planned(at=1.0, override=Override(charge=True, limit_a=NAN)))
    assert known.a.wish is not None
    assert known.a.wish.limit_a == 0.0


def limited(target: str, limit_w: float | None = 1_000.0) -> LimitChanged:
    return LimitChanged(
        scope=LimitScope.CIRCUIT, target=target, source="x", limit_w=limit_w, changed_at=START
    )


def test_a_limit_is_answered_at_once_and_its_end_soon() -> None:
    known = Known()
    assert known.hear(limited("main")) is Haste.NOW
    assert known.hear(limited("main")) is Haste.NONE
    assert known.hear(limited("nowhere")) is Haste.NONE
    assert known.hear(limited("main", limit_w=None)) is Haste.SOON


def test_a_limit_of_what_the_site_has_no_more_binds_nothing() -> None:
    known = Known()
    known.hear(limited("main"))
    renamed = SITE | {"circuits": [{"id": "other", "limit_a": 40}], "meters": {}}
    known.model = compile_site(site_of(renamed))
    known.state.fit(known.model, START.timestamp(), before=known.model)
    assert plan(known.model, known.state, START).decided.circuits[0].limit_a.l1 == 40


def test_a_dimming_word_is_news_only_where_the_site_takes_part() -> None:
    word = LimitChanged(
        scope=LimitScope.DIMMING, target="grid", source="box", limit_w=5_000, changed_at=START
    )
    assert Known().hear(word) is Haste.NONE
    known = Known(SITE | {"dimming": {}})
    assert known.hear(word) is Haste.NOW
    assert known.hear(word) is Haste.NONE


def test_another_box_at_an_evse_begins_anew() -> None:
    known = Known()
    known.observe(epoch=500, state=EvseState.A)
    swapped = SITE | {"evses": {"a": {"max_a": 32, "station": "new"}, "b": {"phases": 1}}}
    known.load(swapped, at=1.0)
    assert known.out_of_reach_a(2.0) == 32.0, "the old one may still hold a limit"
    known.observe(at=3.0, epoch=3, station_id="new")
    assert known.a.online


def test_a_new_name_does_not_free_what_its_box_may_hold() -> None:
    known = Known()
    known.observe()
    renamed = {"c": {"max_a": 32, "station": "st-a"}, "d": {"max_a": 32}}
    known.load(SITE | {"evses": renamed}, at=1.0)
    assert known.out_of_reach_a(2.0, "c") == 32.0
    assert known.out_of_reach_a(2.0, "d") == 0.0, "its station was given nothing"


def test_a_box_that_is_away_keeps_its_fallback_whatever_is_configured() -> None:
    known = Known()
    known.observe()
    known.observe(at=1.0, online=False)
    lower = {"a": {"max_a": 32, "fallback_a": 0}, "b": {"phases": 1}}
    known.load(SITE | {"evses": lower}, at=200.0)
    assert known.out_of_reach_a(3_600.0) == 6.0
    known.observe(at=3_601.0)
    assert known.a.out_of_reach_a == 0.0


def test_out_of_reach_another_car_may_use_all_lines() -> None:
    known = Known()
    for at in (0.0, 11.0):
        known.observe(at=at, current_a=PhaseAmps(l1=10.0, l2=0.0, l3=0.0))
    evse = known.model.evse_by_id["a"]
    assert known.a.usage(evse) == (1.0, 0.0, 0.0)
    known.observe(at=12.0, online=False)
    assert known.a.usage(evse) == (1.0, 1.0, 1.0)


def test_a_fallback_holds_on_all_phases() -> None:
    known = Known()
    known.observe()
    known.a.switch.sent(1, 7, START.timestamp())
    known.send(7, 16.0)
    known.applied(SetpointOutcome.ACCEPTED, 7)
    evse = known.model.evse_by_id["a"]
    assert known.a.usage(evse) == (1.0, 0.0, 0.0)
    known.applied(SetpointOutcome.LEASE_EXPIRED, 7, at=130.0)
    assert known.a.usage(evse) == (1.0, 1.0, 1.0)


def test_a_box_that_takes_no_renewal_may_have_fallen_back() -> None:
    known = Known()
    known.observe()
    known.send(1, 0.0)
    known.applied(SetpointOutcome.ACCEPTED, 1)
    assert known.reserved_a(119.0) == 0.0
    known.send(2, 0.0, at=80.0)
    known.applied(SetpointOutcome.FAILED, 2, at=81.0)
    assert known.reserved_a(121.0) == 6.5
    demands = known.state.demands(known.model, START.timestamp() + 121.0)
    assert demands.measured_a.max() == 0.0, "it is no current that others could balance"
    known.send(3, 0.0, at=130.0)
    known.applied(SetpointOutcome.ACCEPTED, 3, at=131.0)
    assert known.reserved_a(140.0) == 0.0


def test_a_box_that_came_has_time_to_take_its_first_lease() -> None:
    known = Known()
    known.observe(offered_a=0.0)
    assert known.reserved_a(119.0) == 0.0
    assert known.reserved_a(121.0) == 6.5


def test_a_lease_that_ends_while_its_renewal_is_on_its_way() -> None:
    known = Known()
    known.observe()
    known.send(1, 16.0)
    known.applied(SetpointOutcome.ACCEPTED, 1)
    known.send(2, 16.0, at=119.9)
    known.applied(SetpointOutcome.LEASE_EXPIRED, 1, at=120.0)
    known.applied(SetpointOutcome.ACCEPTED, 2, at=120.1)
    assert known.a.upper_a(START.timestamp() + 200) == 16.0


def test_a_box_that_defies_its_limit_is_counted_until_it_is_measured_again() -> None:
    known = Known()
    known.observe()
    known.send(1, 10.0)
    known.applied(SetpointOutcome.ACCEPTED, 1)
    known.observe(at=20.0, current_a=PhaseAmps(l1=20.0, l2=20.0, l3=20.0))
    assert known.reserved_a(100.0) == 20.5
    known.observe(at=101.0, current_a=PhaseAmps(l1=9.0, l2=9.0, l3=9.0))
    assert known.reserved_a(102.0) == 10.0


def test_a_silent_box_is_not_believed_for_what_it_drew_before() -> None:
    known = Known()
    known.observe(offered_a=32.0)
    known.send(1, 16.0, at=1.0)
    drawn = PhaseAmps(l1=16.0, l2=16.0, l3=16.0)
    known.observe(at=40.0, observed_at=START, current_a=drawn)
    assert known.a.upper_a(START.timestamp() + 50) == 32.0
    known.observe(at=41.0, current_a=drawn)
    assert known.a.upper_a(START.timestamp() + 50) == 16.0


@pytest.mark.parametrize("state", [None, EvseState.E, EvseState.F])
def test_a_vehicle_stays_the_same_while_its_state_is_not_known(state: EvseState | None) -> None:
    known = Known()
    known.observe(energy_wh=1_000.0)
    known.observe(at=60.0, energy_wh=1_200.0)
    known.observe(at=61.0, state=state, energy_wh=1_200.0)
    known.observe(at=120.0, energy_wh=1_300.0)
    assert known.a.vehicle.delivered.wh == 300.0
    assert known.a.vehicle.plugged_s == START.timestamp()


@pytest.mark.parametrize("state", [None, EvseState.E, EvseState.F])
def test_what_was_said_for_a_vehicle_ends_however_it_left(state: EvseState | None) -> None:
    known = Known()
    known.observe()
    known.hear(planned(at=1.0, override=Override(charge=False)), at=1.0)
    known.observe(at=2.0, state=state)
    known.observe(at=3.0, state=EvseState.A)
    assert known.a.wish is None
    assert known.a.left_s == START.timestamp() + 3.0


@pytest.mark.parametrize("between_wh", [0.0, 2_000_000.0])
def test_a_counter_that_jumps_was_not_this_vehicle(between_wh: float) -> None:
    known = Known()
    for at, energy_wh in ((0.0, 1_234_560.0), (60.0, between_wh), (120.0, 1_234_600.0)):
        known.observe(at=at, energy_wh=energy_wh)
    assert known.a.vehicle.delivered.wh == 0.0


def limit_told(at: float, amps: float | None, **values: Any) -> LimitChanged:
    limit = None if amps is None else PhaseAmps(l1=amps, l2=amps, l3=amps)
    told = {"scope": LimitScope.CIRCUIT, "target": "main", "source": "ems", "limit_a": limit}
    return LimitChanged(**(told | values), changed_at=START + timedelta(seconds=at))


@pytest.mark.parametrize("late_a", [None, 20.0])
def test_an_older_word_does_not_loosen_a_limit_from_outside(late_a: float | None) -> None:
    known = Known()
    assert known.hear(limit_told(10.0, 8.0), at=10.0) is Haste.NOW
    assert known.hear(limit_told(5.0, late_a), at=11.0) is Haste.NONE
    (limit,) = known.state.external.values()
    assert limit.amounts.l1_a == 8.0
    assert known.hear(limit_told(5.0, 6.0), at=12.0) is Haste.NOW, "less is believed at once"
