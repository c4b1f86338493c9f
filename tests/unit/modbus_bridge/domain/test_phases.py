"""The rule of changing phases as a table of moments: what is seen, and what is to be done."""

from typing import Any

import pytest

from modbus_bridge.domain.phases import (
    LEAST_PAUSE_S,
    RETRY_S,
    Asked,
    Change,
    Failure,
    Progress,
    Ruling,
    Seen,
    Stage,
    Verdict,
    asked,
    failed,
    judge,
    seen,
)
from modbus_bridge.domain.template import Condition, PhaseSwitch
from shared.contracts.site import Evse
from shared.units import PhaseAmps

SWITCH = PhaseSwitch(
    write="select", one=1, three=0, pause_before_s=10, pause_after_s=20, confirm_s=60
)
ABLE = Evse(id="e", station="s", circuit="c", switches_phases=True)
UNABLE = Evse(id="e", station="s", circuit="c")
IDLE = PhaseAmps(l1=0, l2=0.4, l3=0)
FULL = PhaseAmps(l1=10, l2=10, l3=10)
STOPPING = Progress(change=Change(to=1, stage=Stage.STOPPING, since_s=100))
CHANGING = Progress(change=Change(to=1, stage=Stage.CHANGING, since_s=100))
FAILURE = Progress(failure=Failure(to=1, detail="why", retry_at_s=400))


def shows(phases: int | None, current_a: PhaseAmps | None = IDLE) -> Seen:
    return Seen(is_shown=True, phases=phases, current_a=current_a)


def rule(
    wanted: int | None, shown: Seen, progress: Progress, *, at: float, **switch: Any
) -> Verdict:
    changed = SWITCH.model_copy(update=switch)
    return judge(wanted, shown, progress, switch=changed, now_s=at)


@pytest.mark.parametrize("wanted", [None, 3])
def test_what_is_so_already_is_left_alone(wanted: int | None) -> None:
    assert rule(wanted, shows(3, FULL), Progress(), at=0) == Verdict(
        ruling=Ruling.FREE, progress=Progress()
    )


def test_a_change_begins_with_a_pause() -> None:
    verdict = rule(1, shows(3, FULL), Progress(), at=100)
    assert verdict == Verdict(ruling=Ruling.UNDER_WAY, progress=STOPPING)


@pytest.mark.parametrize(
    ("at", "current_a", "is_written", "because"),
    [
        (100 + LEAST_PAUSE_S / 2, IDLE, False, "it was measured before the pause"),
        (100 + LEAST_PAUSE_S, IDLE, True, "nothing flows"),
        (105, FULL, False, "current flows"),
        (105, None, False, "nobody knows whether current flows"),
        (105, PhaseAmps(), False, "nor here"),
        (110, None, True, "the time of the template is over"),
    ],
)
def test_nothing_is_switched_under_load(
    at: float, current_a: PhaseAmps | None, is_written: bool, because: str
) -> None:
    verdict = rule(1, shows(3, current_a), STOPPING, at=at)
    assert verdict.ruling is Ruling.UNDER_WAY
    assert (verdict.write == 1) is is_written, because
    stage = Stage.CHANGING if is_written else Stage.STOPPING
    assert verdict.progress.change == Change(to=1, stage=stage, since_s=at if is_written else 100)


def test_a_car_that_does_not_stop_makes_the_change_fail() -> None:
    verdict = rule(1, shows(3, FULL), STOPPING, at=110)
    assert verdict.ruling is Ruling.FAILED
    assert "current still flows 10 s" in verdict.detail
    assert verdict.progress.failure == Failure(
        to=1, detail=verdict.detail, retry_at_s=110 + RETRY_S
    )


def test_a_box_that_sees_to_it_by_itself_is_told_at_once() -> None:
    verdict = rule(1, shows(3, FULL), Progress(), at=100, pauses=False)
    assert (verdict.write, verdict.ruling) == (1, Ruling.UNDER_WAY)
    assert verdict.progress == CHANGING


@pytest.mark.parametrize("wanted", [3, None])
def test_a_newer_order_takes_back_what_is_not_written(wanted: int | None) -> None:
    verdict = rule(wanted, shows(3, FULL), STOPPING, at=105)
    assert verdict == Verdict(ruling=Ruling.FREE, progress=Progress())


def test_a_newer_order_for_the_other_number_begins_anew() -> None:
    verdict = rule(3, shows(None, FULL), STOPPING, at=105)
    assert verdict.progress.change == Change(to=3, stage=Stage.STOPPING, since_s=105)


@pytest.mark.parametrize("wanted", [1, 3, None])
def test_what_is_written_is_waited_for_whatever_is_ordered(wanted: int | None) -> None:
    assert rule(wanted, shows(1), CHANGING, at=119) == Verdict(
        ruling=Ruling.UNDER_WAY, progress=CHANGING
    )


def test_after_the_change_the_limit_counts() -> None:
    verdict = rule(1, shows(1), CHANGING, at=120)
    assert verdict == Verdict(ruling=Ruling.FREE, progress=Progress(believed=1))


def test_after_the_change_the_way_back_begins_if_that_is_wanted_now() -> None:
    verdict = rule(3, shows(1), CHANGING, at=120)
    assert verdict.progress.change == Change(to=3, stage=Stage.STOPPING, since_s=120)


@pytest.mark.parametrize(
    ("shown", "text"), [(3, "shows 3 phase(s)"), (None, "shows no number of phases")]
)
def test_a_box_that_does_not_change_is_given_some_time(shown: int | None, text: str) -> None:
    assert rule(1, shows(shown), CHANGING, at=159).ruling is Ruling.UNDER_WAY
    verdict = rule(1, shows(shown), CHANGING, at=160)
    assert verdict.ruling is Ruling.FAILED
    assert text in verdict.detail


def test_a_box_that_shows_nothing_is_believed() -> None:
    def hidden(current_a: PhaseAmps | None) -> Seen:
        return Seen(is_shown=False, phases=None, current_a=current_a)

    assert rule(1, hidden(IDLE), Progress(), at=100).progress == STOPPING, "nothing is known"
    done = rule(1, hidden(IDLE), CHANGING, at=120)
    assert done == Verdict(ruling=Ruling.FREE, progress=Progress(believed=1))
    assert rule(1, hidden(IDLE), done.progress, at=200).ruling is Ruling.FREE
    assert rule(3, hidden(IDLE), done.progress, at=200).ruling is Ruling.UNDER_WAY


def test_one_phase_on_which_three_carry_current_is_a_failure() -> None:
    verdict = rule(1, shows(1, FULL), Progress(), at=0)
    assert verdict.ruling is Ruling.FAILED
    assert "current flows on more" in verdict.detail
    assert rule(1, shows(1, PhaseAmps(l1=0, l2=16, l3=0)), Progress(), at=0).ruling is Ruling.FREE


def test_after_a_failure_there_is_a_pause_before_the_next_try() -> None:
    assert rule(1, shows(3), FAILURE, at=399) == Verdict(
        ruling=Ruling.FAILED, progress=FAILURE, detail="why"
    )
    assert rule(1, shows(3), FAILURE, at=400).ruling is Ruling.UNDER_WAY


@pytest.mark.parametrize("wanted", [3, None])
def test_a_failure_is_forgotten_when_something_else_is_ordered(wanted: int | None) -> None:
    verdict = rule(wanted, shows(3, FULL), FAILURE, at=200)
    assert verdict == Verdict(ruling=Ruling.FREE, progress=Progress())


def test_a_lost_box_goes_on_changing_and_nothing_else_is_remembered() -> None:
    assert CHANGING.disconnected() == CHANGING
    assert STOPPING.disconnected() == Progress()
    assert FAILURE.disconnected() == Progress()
    assert Progress(believed=1).disconnected() == Progress()


def test_a_refusal_by_the_box_is_a_failure() -> None:
    verdict = failed(3, "exception 3", 50)
    assert (verdict.ruling, verdict.detail) == (Ruling.FAILED, "exception 3")
    assert rule(3, shows(1), verdict.progress, at=51).ruling is Ruling.FAILED


FLAG = SWITCH.model_copy(update={"when": (Condition(point="flags", op="bit_set", value=8),)})


@pytest.mark.parametrize(
    ("evse", "switch", "flags", "because"),
    [
        (UNABLE, SWITCH, None, "the site does not say"),
        (ABLE, None, None, "its template does not say"),
        (ABLE, FLAG, 0, "the box does not say"),
        (ABLE, FLAG, None, "the box does not say"),
    ],
)
def test_who_cannot_switch_refuses_fewer_phases_and_nothing_else(
    evse: Evse, switch: PhaseSwitch | None, flags: int | None, because: str
) -> None:
    values = {"flags": flags}
    refused = asked(1, switch, values, evse=evse)
    assert refused.phases is None
    assert because in (refused.refusal or "")
    assert asked(3, switch, values, evse=evse) == Asked()
    assert asked(None, switch, values, evse=evse) == Asked()


@pytest.mark.parametrize("wanted", [None, 1, 3])
def test_who_can_does_as_ordered(wanted: int | None) -> None:
    assert asked(wanted, SWITCH, {}, evse=ABLE) == Asked(phases=wanted)
    assert asked(wanted, FLAG, {"flags": 256}, evse=ABLE) == Asked(phases=wanted)


def test_two_phases_are_no_order() -> None:
    assert "1 or 3 phases, not on 2" in (asked(2, SWITCH, {}, evse=ABLE).refusal or "")


def test_an_evse_of_one_phase_has_nothing_to_switch() -> None:
    single = Evse(id="e", station="s", circuit="c", phases=1)
    assert asked(1, SWITCH, {}, evse=single) == Asked()


@pytest.mark.parametrize(("held", "phases"), [(1, 1), (0, 3), (7, None), (None, None)])
def test_the_written_point_shows_the_phases(held: int | None, phases: int | None) -> None:
    values = {"select": held, "current": (1.0, 2.0, 3.0)}
    found = seen(SWITCH, values, is_shown=True)
    assert found == Seen(is_shown=True, phases=phases, current_a=PhaseAmps(l1=1, l2=2, l3=3))


@pytest.mark.parametrize(("held", "phases"), [(1, 1), (3, 3), (0, None)])
def test_a_point_of_its_own_shows_them_in_its_own_numbers(held: int, phases: int | None) -> None:
    """The register 5001 of a Heidelberg: 0 = changing (facts, ``modbus_registers.yaml``)."""
    switch = PhaseSwitch(write="select", one=1, three=2, state="state", state_one=1, state_three=3)
    assert seen(switch, {"select": 2, "state": held}, is_shown=True).phases == phases
