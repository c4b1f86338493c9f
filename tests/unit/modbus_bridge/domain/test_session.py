from datetime import UTC, datetime, timedelta

import pytest

from modbus_bridge.domain.session import Ended, EnergyRegister, SessionTracker, Started
from shared.contracts.evse import EvseState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_energy_that_falls_is_unknown_until_it_has_lasted() -> None:
    register = EnergyRegister().seen(5_000, NOW).seen(10, after(1))
    assert register.believed_wh is None
    assert register.last_wh == 5_000
    assert register.seen(11, after(60)).believed_wh is None
    assert register.seen(12, after(61)).believed_wh == 12


def test_energy_that_comes_back_is_believed_at_once() -> None:
    register = EnergyRegister().seen(5_000, NOW).seen(0, after(1)).seen(5_001, after(2))
    assert register.believed_wh == 5_001


def test_first_zero_is_believed_only_when_it_stays() -> None:
    register = EnergyRegister().seen(0, NOW)
    assert register.believed_wh is None
    assert register.seen(0, after(60)).believed_wh == 0
    assert register.seen(7_000, after(3)).believed_wh == 7_000


def test_energy_that_is_not_read_leaves_everything_as_it_was() -> None:
    register = EnergyRegister().seen(5_000, NOW)
    assert register.seen(None, after(1)) == register


def test_session_lasts_from_plug_in_to_unplug() -> None:
    tracker = SessionTracker().with_energy(5_000, NOW)
    tracker, started = tracker.with_state(EvseState.B, NOW, new_id="s1")
    assert isinstance(started, Started)
    assert started.session.energy_start_wh == 5_000
    tracker, nothing = tracker.with_energy(6_000, after(9)).with_state(
        EvseState.C, after(9), new_id="s2"
    )
    assert nothing is None
    tracker, ended = tracker.with_state(EvseState.A, after(20), new_id="s3")
    assert isinstance(ended, Ended)
    assert (ended.session.session_id, ended.energy_stop_wh) == ("s1", 6_000)
    assert tracker.open is None


@pytest.mark.parametrize("state", [None, EvseState.E, EvseState.F])
def test_unknown_state_or_fault_neither_starts_nor_ends_a_session(
    state: EvseState | None,
) -> None:
    idle, change = SessionTracker().with_state(state, NOW, new_id="x")
    assert (idle.open, change) == (None, None)
    busy, _ = SessionTracker().with_state(EvseState.C, NOW, new_id="s1")
    still, change = busy.with_state(state, after(1), new_id="x")
    assert still.open is not None
    assert change is None


def test_energy_zero_at_unplug_does_not_enter_the_bill() -> None:
    tracker, _ = SessionTracker().with_energy(5_000, NOW).with_state(EvseState.C, NOW, new_id="s1")
    tracker = tracker.with_energy(6_000, after(1)).with_energy(0, after(2))
    _, ended = tracker.with_state(EvseState.A, after(2), new_id="x")
    assert isinstance(ended, Ended)
    assert ended.energy_stop_wh == 6_000


def test_card_that_was_in_the_register_at_start_is_nobody_s() -> None:
    tracker = SessionTracker().with_card("OLD", 7)
    _, started = tracker.with_state(EvseState.B, NOW, new_id="s1")
    assert isinstance(started, Started)
    assert started.session.token is None


def test_card_shown_before_or_after_plug_in_belongs_to_the_session() -> None:
    shown = SessionTracker().with_card(None, 0).with_card("AB", 1)
    _, started = shown.with_state(EvseState.B, NOW, new_id="s1")
    assert isinstance(started, Started)
    assert started.session.token == "AB"
    plugged, _ = SessionTracker().with_card(None, 0).with_state(EvseState.B, NOW, new_id="s2")
    late = plugged.with_card("CD", 1)
    assert late.open is not None
    assert late.open.token == "CD"


def test_session_keeps_its_first_card_and_the_next_one_starts_without() -> None:
    tracker = SessionTracker().with_card(None, 0).with_card("AB", 1)
    tracker, _ = tracker.with_state(EvseState.B, NOW, new_id="s1")
    tracker = tracker.with_card("CD", 2)
    assert tracker.open is not None
    assert tracker.open.token == "AB"
    tracker, _ = tracker.with_state(EvseState.A, after(1), new_id="x")
    assert tracker.with_card("CD", 2).token is None


def test_same_card_again_is_a_new_card() -> None:
    tracker = SessionTracker().with_card("AB", 1).with_card("AB", 2)
    assert tracker.token == "AB"


def test_counter_that_starts_again_with_its_box_is_no_card() -> None:
    tracker = SessionTracker().with_card("AB", 5).with_card("AB", 0)
    assert tracker.token is None
    assert tracker.with_card("CD", 1).token == "CD"


def test_box_without_a_reader_has_no_cards() -> None:
    assert SessionTracker().with_card(None, None) == SessionTracker()
