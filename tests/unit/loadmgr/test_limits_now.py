"""Which scheduled limit holds when, by the clock of the place."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from loadmgr.domain.limits import External, holds_at
from shared.contracts.charging import LimitChanged, LimitScope
from shared.contracts.site import ScheduledLimit
from shared.units import PhaseAmps

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = ScheduledLimit.model_validate(
    {"days": ["fri", "sat"], "begins": "22:00", "ends": "06:00", "limit_a": 6}
)
NOON = ScheduledLimit.model_validate({"begins": "11:30", "ends": "12:30", "limit_w": 5_000})
SUNDAY = ScheduledLimit.model_validate({"days": ["sun"], "limit_a": 6})


@pytest.mark.parametrize(
    ("scheduled", "moment", "holds"),
    [
        (NIGHT, "2026-11-27T21:59", False),  # a Friday
        (NIGHT, "2026-11-27T22:00", True),
        (NIGHT, "2026-11-29T05:59", True),  # the night that began on Saturday
        (NIGHT, "2026-11-29T06:00", False),
        (NIGHT, "2026-11-29T22:00", False),  # Sunday
        (NIGHT, "2026-11-27T05:00", False),  # the night that began on Thursday
        (NOON, "2026-11-25T11:30", True),
        (NOON, "2026-11-25T12:30", False),
        (SUNDAY, "2026-11-29T00:00", True),
        (SUNDAY, "2026-11-29T23:59", True),
        (SUNDAY, "2026-11-30T00:00", False),
        (NIGHT, "2026-10-25T02:30", True),  # told twice that night
    ],
)
def test_a_scheduled_limit_holds_in_its_hours(
    scheduled: ScheduledLimit, moment: str, *, holds: bool
) -> None:
    local = datetime.fromisoformat(moment).replace(tzinfo=BERLIN)
    assert holds_at(scheduled, local) is holds


@pytest.mark.parametrize(
    "wrong",
    [
        {"begins": "09:00", "ends": "10:00"},
        {"begins": "09:00+01:00", "ends": "10:00", "limit_a": 6},
        {"begins": "25:00", "limit_a": 6},
        {"days": ["someday"], "limit_a": 6},
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"limit_a|zone|begins|days"):
        ScheduledLimit.model_validate(wrong)


def test_a_limit_that_cannot_be_read_is_the_strictest() -> None:
    told = LimitChanged(
        scope=LimitScope.CIRCUIT,
        target="main",
        source="grid",
        limit_a=PhaseAmps(l1=float("nan"), l2=-4.0),
        limit_w=float("inf"),
        changed_at=datetime(2026, 3, 1, tzinfo=BERLIN),
    )
    assert External.of(told).amounts == (0.0, 0.0, float("inf"), 0.0)
