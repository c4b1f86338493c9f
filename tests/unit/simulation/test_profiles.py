"""Charging profiles mean in the simulated box what OCPP 1.6 says (3.13)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from parkade.simulation.profile_stack import ProfileStack
from parkade.simulation.profiles import Running, parse_profile

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
RUNNING = Running(transaction_id=7, started_at=NOW)


def schedule(*periods: tuple[int, float], unit: str = "A", **more: Any) -> dict[str, Any]:
    listed = [{"startPeriod": start, "limit": limit} for start, limit in periods]
    return {"chargingRateUnit": unit, "chargingSchedulePeriod": listed, **more}


def payload(purpose: str = "TxDefaultProfile", **more: Any) -> dict[str, Any]:
    return {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule((0, 10.0), startSchedule=NOW.isoformat()),
        **more,
    }


def stack_of(*profiles: tuple[int, dict[str, Any]]) -> ProfileStack:
    stack = ProfileStack(max_a=32)
    for connector, profile in profiles:
        stack.install(parse_profile(connector, profile, NOW))
    return stack


def amps(stack: ProfileStack, after_s: float = 0, *, running: Running | None = RUNNING) -> float:
    return stack.limit_at(1, NOW + timedelta(seconds=after_s), running=running).amps


def test_without_a_profile_the_box_offers_its_maximum() -> None:
    assert amps(ProfileStack(max_a=32)) == 32


def test_the_highest_level_that_says_something_wins() -> None:
    low = payload(chargingProfileId=1, stackLevel=0)
    brief = schedule((0, 16.0), duration=60, startSchedule=NOW.isoformat())
    high = payload(chargingProfileId=2, stackLevel=5, chargingSchedule=brief)
    stack = stack_of((1, low), (1, high))
    assert amps(stack, 59) == 16
    assert amps(stack, 60) == 10, "its duration is over, so the lower level counts"


def test_a_transaction_profile_overrules_the_default_while_it_lasts() -> None:
    brief = schedule((0, 20.0), duration=60)
    own = payload("TxProfile", chargingProfileId=2, transactionId=7, chargingSchedule=brief)
    stack = stack_of((1, payload()), (1, own))
    assert amps(stack, 30) == 20
    assert amps(stack, 61) == 10
    assert amps(stack, 30, running=None) == 10
    assert amps(stack, 30, running=Running(transaction_id=8, started_at=NOW)) == 10


def test_a_transaction_profile_ends_with_its_transaction() -> None:
    own = payload("TxProfile", chargingProfileId=2)
    stack = stack_of((1, own))
    stack.end_transaction(1)
    assert stack.installed == ()


def test_the_station_maximum_caps_and_is_shared() -> None:
    cap = payload("ChargePointMaxProfile", chargingProfileId=2)
    stack = stack_of((0, cap))
    assert amps(stack) == 10
    assert stack.limit_at(1, NOW, running=RUNNING, sharing=2).amps == 5


def test_a_default_for_one_connector_beats_the_one_for_all() -> None:
    other = payload(chargingProfileId=2, chargingSchedule=schedule((0, 6.0)))
    stack = stack_of((1, other), (0, payload()))
    assert amps(stack) == 6
    assert stack.limit_at(2, NOW, running=RUNNING).amps == 10


def test_a_relative_schedule_counts_from_the_start_of_charging() -> None:
    relative = payload(chargingProfileKind="Relative", chargingSchedule=schedule((0, 6), (60, 16)))
    stack = stack_of((1, relative))
    late = Running(transaction_id=7, started_at=NOW + timedelta(seconds=100))
    assert amps(stack, 150, running=late) == 6
    assert amps(stack, 161, running=late) == 16


def test_validity_bounds_a_profile() -> None:
    bounded = payload(
        validFrom=(NOW + timedelta(seconds=10)).isoformat(),
        validTo=(NOW + timedelta(seconds=20)).isoformat(),
    )
    stack = stack_of((1, bounded))
    assert [amps(stack, second) for second in (9, 10, 19, 20)] == [32, 10, 10, 32]


def test_a_daily_profile_comes_back() -> None:
    daily = payload(
        chargingProfileKind="Recurring",
        recurrencyKind="Daily",
        chargingSchedule=schedule((0, 6.0), duration=3600, startSchedule=NOW.isoformat()),
    )
    stack = stack_of((1, daily))
    day = 86_400
    assert [amps(stack, s) for s in (0, 3_600, day, day + 3_599)] == [6, 32, 6, 6]


def test_watts_are_divided_by_the_phases_of_the_period() -> None:
    stack = stack_of((1, payload(chargingSchedule=schedule((0, 6_900.0), unit="W"))))
    assert amps(stack) == pytest.approx(10)


def test_the_same_id_and_the_same_place_are_replaced() -> None:
    same_id = payload(stackLevel=3)
    stack = stack_of((1, payload()), (1, same_id))
    assert len(stack.installed) == 1
    stack.install(parse_profile(1, payload(chargingProfileId=9, stackLevel=3), NOW))
    assert [profile.id for profile in stack.installed] == [9]


def test_clear_deletes_what_matches_everything_given() -> None:
    stack = stack_of((1, payload()), (0, payload("ChargePointMaxProfile", chargingProfileId=2)))
    assert not stack.clear(profile_id=99)
    assert not stack.clear(purpose="TxDefaultProfile", connector=0)
    assert stack.clear(purpose="TxDefaultProfile", connector=1)
    assert stack.clear()
    assert stack.installed == ()


def test_the_composite_schedule_tells_every_change() -> None:
    brief = schedule((0, 16.0), (30, 20.0), duration=60, startSchedule=NOW.isoformat())
    high = payload(chargingProfileId=2, stackLevel=1, chargingSchedule=brief)
    stack = stack_of((1, payload()), (1, high))
    stretches = stack.composite(1, NOW, duration_s=300, running=RUNNING)
    assert [(s.start_s, s.limit.amps) for s in stretches] == [(0, 16), (30, 20), (60, 10)]
    assert stretches[0].rate("W") == 16 * 230 * 3


@pytest.mark.parametrize(
    "broken", [{}, payload(chargingProfilePurpose="Mine"), payload(chargingSchedule=schedule())]
)
def test_what_is_no_profile_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError)):
        parse_profile(1, broken, NOW)
