"""S11: the deletion of profiles is judged by what the station says afterwards."""

from typing import Any

import pytest

from ocpp_server.domain.clearing import judge_clearing

ACCEPTED = {"status": "Accepted"}


def composite(*limits: float, unit: str = "A", **period: Any) -> dict[str, Any]:
    periods = [{"startPeriod": n, "limit": limit} | period for n, limit in enumerate(limits)]
    schedule = {"chargingRateUnit": unit, "chargingSchedulePeriod": periods}
    return {"status": "Accepted", "chargingSchedule": schedule}


@pytest.mark.parametrize(
    ("cleared", "left", "because"),
    [
        (ACCEPTED, {"status": "Rejected"}, "no schedule is left"),
        (ACCEPTED, {"status": "Accepted"}, "an empty answer is no limit"),
        (ACCEPTED, composite(32), "the box's own maximum is no limit"),
        (ACCEPTED, composite(22080, unit="W"), "the same in watt"),
        (ACCEPTED, composite(7360, unit="W", numberPhases=1), "and for one phase"),
        ({"status": "Unknown"}, {"status": "Rejected"}, "there was nothing to clear"),
    ],
)
def test_gone(cleared: Any, left: Any, because: str) -> None:
    assert judge_clearing(cleared, left, max_a=32, phases=3).gone, because


@pytest.mark.parametrize(
    ("cleared", "left", "detail"),
    [
        (None, None, "answered with nothing"),
        ({"status": "Rejected"}, {"status": "Rejected"}, "answered Rejected"),
        (ACCEPTED, None, "not verified"),
        (ACCEPTED, composite(32, 0), "still limits to 0 A"),
        (ACCEPTED, composite(11040, unit="W"), "still limits to 16 A"),
        ({"status": "Unknown"}, composite(6), "still limits to 6 A"),
    ],
)
def test_not_gone_and_said_why(cleared: Any, left: Any, detail: str) -> None:
    verdict = judge_clearing(cleared, left, max_a=32, phases=3)
    assert not verdict.gone
    assert detail in verdict.detail


@pytest.mark.parametrize(
    "odd",
    [{"chargingSchedule": 5}, {"chargingSchedule": {}}, composite(), composite(-1)],
)
def test_odd_schedules_are_no_limits(odd: Any) -> None:
    assert judge_clearing(ACCEPTED, ACCEPTED | odd, max_a=32, phases=3).gone
