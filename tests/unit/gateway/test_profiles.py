"""What one charging profile says at a moment."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.domain.profiles import Profile, parse_profile

MONDAY = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
A_DAY = timedelta(days=1)


def raw(**fields: Any) -> dict[str, Any]:
    """An absolute TxDefaultProfile of 16 A from Monday on; ``schedule`` fields are merged in."""
    schedule = {
        "chargingRateUnit": "A",
        "startSchedule": "2026-01-05T08:00:00Z",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}],
    } | fields.pop("schedule", {})
    base = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule,
    }
    return base | fields


def profile(connector: int = 1, **fields: Any) -> Profile:
    return parse_profile(connector, raw(**fields))


def limit(what: Profile, after: timedelta, started: datetime | None = None) -> float | None:
    return what.limit_a(MONDAY + after, started, phases=3)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


STEPS = [
    {"startPeriod": 0, "limit": 16},
    {"startPeriod": 3_600, "limit": 6.5},
    {"startPeriod": 7_200, "limit": 0},
]


@pytest.mark.parametrize(
    ("after_h", "expected"), [(-0.1, None), (0, 16), (0.99, 16), (1, 6.5), (2, 0), (500, 0)]
)
def test_absolute_schedule_steps_from_its_start(after_h: float, expected: float | None) -> None:
    stepped = profile(schedule={"chargingSchedulePeriod": STEPS})
    assert limit(stepped, hours(after_h)) == expected


def test_schedule_says_nothing_after_its_duration() -> None:
    short = profile(schedule={"duration": 3_600})
    assert limit(short, hours(0.99)) == 16
    assert limit(short, hours(1)) is None


def test_relative_schedule_counts_from_the_start_of_the_transaction() -> None:
    relative = profile(
        chargingProfileKind="Relative",
        schedule={"startSchedule": None, "chargingSchedulePeriod": STEPS},
    )
    started = MONDAY + hours(5)
    assert limit(relative, hours(5.5), started) == 16
    assert limit(relative, hours(6), started) == 6.5
    assert limit(relative, hours(6), None) is None


@pytest.mark.parametrize(
    ("recurrence", "period", "other"),
    [("Daily", A_DAY, hours(12)), ("Weekly", 7 * A_DAY, A_DAY)],
)
def test_recurring_schedule_comes_again(
    recurrence: str, period: timedelta, other: timedelta
) -> None:
    recurring = profile(
        chargingProfileKind="Recurring", recurrencyKind=recurrence, schedule={"duration": 3_600}
    )
    for times in (0, 1, 5):
        assert limit(recurring, times * period + hours(0.5)) == 16
        assert limit(recurring, times * period + other) is None
    assert limit(recurring, -hours(1)) is None


def test_validity_bounds_what_it_says() -> None:
    valid = profile(validFrom="2026-01-05T09:00:00Z", validTo="2026-01-05T10:00:00+00:00")
    assert [limit(valid, hours(h)) for h in (0.5, 1, 1.99, 2)] == [None, 16, 16, None]


@pytest.mark.parametrize(
    ("phases", "number_phases", "expected"),
    [(3, None, 16), (1, None, 48), (3, 3, 16), (3, 1, 16), (1, 3, 16)],
)
def test_watts_are_divided_among_all_phases_the_box_may_use(
    phases: int, number_phases: int | None, expected: float
) -> None:
    period = {"startPeriod": 0, "limit": 11_040.0}
    if number_phases:
        period["numberPhases"] = number_phases
    in_watt = profile(schedule={"chargingRateUnit": "W", "chargingSchedulePeriod": [period]})
    assert in_watt.limit_a(MONDAY, None, phases=phases) == pytest.approx(expected)


def test_time_without_a_zone_is_utc_and_other_zones_are_understood() -> None:
    for text in ("2026-01-05T08:00:00", "2026-01-05T09:00:00+01:00", "2026-01-05T08:00:00.000Z"):
        assert profile(schedule={"startSchedule": text}).start == MONDAY


def test_limit_with_two_decimals_is_taken() -> None:
    period = {"startPeriod": 0, "limit": 10.25}
    assert limit(profile(schedule={"chargingSchedulePeriod": [period]}), hours(0)) == 10.25


@pytest.mark.parametrize(
    ("connector", "fields"),
    [
        pytest.param(1, {"stackLevel": -1}, id="negative stack level"),
        pytest.param(1, {"stackLevel": "high"}, id="stack level in words"),
        pytest.param(1, {"chargingProfilePurpose": "Nonsense"}, id="unknown purpose"),
        pytest.param(1, {"chargingProfileKind": "Nonsense"}, id="unknown kind"),
        pytest.param(1, {"chargingProfileKind": "Recurring"}, id="recurring how?"),
        pytest.param(
            1,
            {
                "chargingProfileKind": "Recurring",
                "recurrencyKind": "Daily",
                "schedule": {"startSchedule": None},
            },
            id="recurring from when?",
        ),
        pytest.param(1, {"chargingProfilePurpose": "ChargePointMaxProfile"}, id="max for one"),
        pytest.param(0, {"chargingProfilePurpose": "TxProfile"}, id="transaction of the station"),
        pytest.param(1, {"schedule": {"chargingSchedulePeriod": []}}, id="no period"),
        pytest.param(
            1,
            {"schedule": {"chargingSchedulePeriod": [{"startPeriod": 5, "limit": 6}]}},
            id="gap at the start",
        ),
        pytest.param(
            1, {"schedule": {"chargingSchedulePeriod": STEPS[::-1]}}, id="periods out of order"
        ),
        pytest.param(
            1,
            {"schedule": {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": -1}]}},
            id="negative limit",
        ),
        pytest.param(
            1,
            {"schedule": {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": float("nan")}]}},
            id="limit is not a number",
        ),
        pytest.param(1, {"schedule": {"chargingRateUnit": "kW"}}, id="unknown unit"),
        pytest.param(1, {"validTo": "tomorrow"}, id="no timestamp"),
        pytest.param(1, {"chargingSchedule": None}, id="no schedule"),
        pytest.param(1, {"chargingProfileId": None}, id="no id"),
    ],
)
def test_profile_without_meaning_is_refused(connector: int, fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        profile(connector, **fields)


def test_changes_are_the_moments_at_which_something_else_may_be_said() -> None:
    stepped = profile(
        validTo="2026-01-05T09:30:00Z", schedule={"chargingSchedulePeriod": STEPS[:2]}
    )
    found = sorted(stepped.changes(MONDAY - hours(1), MONDAY + hours(5), None))
    assert found == [MONDAY, MONDAY + hours(1), MONDAY + hours(1.5)]


def test_changes_of_a_daily_schedule_come_every_day() -> None:
    daily = profile(
        chargingProfileKind="Recurring", recurrencyKind="Daily", schedule={"duration": 3_600}
    )
    found = sorted(daily.changes(MONDAY + hours(2), MONDAY + 2 * A_DAY + hours(2), None))
    assert found == [MONDAY + n * A_DAY + hours(h) for n in (1, 2) for h in (0, 1)]
