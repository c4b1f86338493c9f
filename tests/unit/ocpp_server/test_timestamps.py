"""Timestamps of real stations."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.domain.timestamps import format_timestamp, parse_timestamp

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00z",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00Z",
        "2026-03-01 12:00:00Z",
        "2026-03-01T14:00:00+02",
        "2026-03-01T14:00:00+0200",
        "2026-03-01T14:00:00+02:00",
        "2026-03-01T06:30:00-05:30",
        "2026-03-01T12:00:00.000000000Z",
        " 2026-03-01T12:00:00Z ",
        "2026-3-1T12:00:00Z",
    ],
)
def test_spellings_of_the_same_moment(text: str) -> None:
    assert parse_timestamp(text) == NOON


def test_more_digits_than_microseconds_are_cut() -> None:
    assert parse_timestamp("2026-03-01T12:00:00.123456789Z") == NOON.replace(microsecond=123456)


def test_a_leap_second_is_the_last_second() -> None:
    assert parse_timestamp("2026-03-01T12:00:60Z") == NOON.replace(second=59)


@pytest.mark.parametrize(
    "text",
    [
        "1970-01-01T00:00:00Z",
        "222222017-01-01T00:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-02-30T12:00:00Z",
        "nope",
        "",
        None,
        12,
        {},
    ],
)
def test_what_cannot_be_true_tells_nothing(text: object) -> None:
    assert parse_timestamp(text) is None


@given(st.text())
def test_no_text_makes_it_raise(text: str) -> None:
    parse_timestamp(text)


@given(st.datetimes(min_value=datetime(2016, 1, 1), max_value=datetime(2099, 1, 1)))
def test_what_is_written_is_read_again(moment: datetime) -> None:
    whole = moment.replace(microsecond=0, tzinfo=UTC)
    assert parse_timestamp(format_timestamp(whole)) == whole
