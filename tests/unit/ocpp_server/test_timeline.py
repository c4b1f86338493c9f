"""Replayed facts do not steer; wrong clocks do not silence a station."""

from datetime import UTC, datetime, timedelta

from ocpp_server.domain.timeline import Timeline

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_a_fresh_fact_steers() -> None:
    assert Timeline().is_present(NOW - MINUTE, NOW)


def test_without_a_timestamp_the_arrival_counts() -> None:
    assert Timeline().is_present(None, NOW)


def test_an_old_fact_after_a_reconnect_does_not_steer() -> None:
    assert not Timeline().is_present(NOW - 30 * MINUTE, NOW)


def test_a_whole_backlog_does_not_steer_and_the_present_after_it_does() -> None:
    timeline = Timeline()
    backlog = [NOW - timedelta(hours=h) for h in range(48, 0, -1)]
    arrivals = [NOW + timedelta(seconds=n) for n in range(len(backlog))]
    assert not any(map(timeline.is_present, backlog, arrivals))
    assert timeline.is_present(NOW + MINUTE, NOW + MINUTE)


def test_a_clock_that_is_constantly_late_steers_after_a_minute() -> None:
    timeline = Timeline()
    late = timedelta(hours=5)
    told = [
        timeline.is_present(NOW + n * 10 * MINUTE / 60 - late, NOW + n * 10 * MINUTE / 60)
        for n in range(9)
    ]
    assert told[:6] == [False] * 6
    assert told[6:] == [True] * 3


def test_a_clock_that_is_fast_steers() -> None:
    timeline = Timeline()
    fast = timedelta(hours=2)
    assert timeline.is_present(NOW + fast, NOW)
    assert timeline.is_present(NOW + fast + MINUTE, NOW + MINUTE)


def test_a_replay_from_a_fast_clock_does_not_steer() -> None:
    timeline = Timeline()
    fast = timedelta(hours=2)
    assert timeline.is_present(NOW + fast, NOW)
    assert not timeline.is_present(NOW + fast - 10 * MINUTE, NOW + MINUTE)


def test_a_corrected_clock_steers_at_once() -> None:
    timeline = Timeline()
    assert timeline.is_present(NOW + timedelta(hours=2), NOW)
    assert timeline.is_present(NOW + MINUTE, NOW + MINUTE)
