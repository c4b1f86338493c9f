"""Timestamps of real stations."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.domain.timestamps import (
    format_timestamp,
    parse_local_timestamp,
    parse_timestamp,
)

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


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
        "2026-3-1T14:00:00+2",
        "2026-3-1T14:00:00+02:00",
        "2026-3-1T6:30:00-0530",
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
        "1970-1-1T0:0:0Z",
        "2026-13-01T12:00:00Z",
        "2026-3-1T12:00:00+99",
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


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T13:00:00", "2026-03-01T12:00:00Z"),
        ("2026-03-01 13:00:00", "2026-03-01T12:00:00Z"),
        ("2026-3-1T13:00", "2026-03-01T12:00:00Z"),
        ("2026-07-01T14:00:00", "2026-07-01T12:00:00Z"),
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
        ("2026-03-01T12:00:00+00:00", "2026-03-01T12:00:00Z"),
        ("2026-03-01T14:00:00+02", "2026-03-01T12:00:00Z"),
    ],
)
def test_local_time_is_what_names_no_zone(text: str, moment: str) -> None:
    found = parse_local_timestamp(text, BERLIN, near=NOON)
    assert found is not None
    assert format_timestamp(found) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T13:00:00Z", "2026-03-01T12:00:00Z"),
        ("2026-3-1T13:00:00Z", "2026-03-01T12:00:00Z"),
        ("2026-03-01T13:00:00+00:00", "2026-03-01T12:00:00Z"),
        ("2026-03-01T13:00:00", "2026-03-01T12:00:00Z"),
        ("2026-03-01T14:00:00+02:00", "2026-03-01T12:00:00Z"),
    ],
)
def test_local_time_may_even_be_called_utc(text: str, moment: str) -> None:
    found = parse_local_timestamp(text, BERLIN, near=NOON, trusts_utc=False)
    assert found is not None
    assert format_timestamp(found) == moment


@pytest.mark.parametrize(
    ("received", "moment"),
    [
        ("2026-10-25T00:31:00Z", "2026-10-25T00:30:00Z"),
        ("2026-10-25T00:59:00Z", "2026-10-25T00:30:00Z"),
        ("2026-10-25T01:01:00Z", "2026-10-25T01:30:00Z"),
        ("2026-10-26T12:00:00Z", "2026-10-25T01:30:00Z"),
    ],
)
def test_of_an_hour_that_comes_twice_the_one_nearer_to_the_receipt_is_meant(
    received: str, moment: str
) -> None:
    near = parse_timestamp(received)
    assert near is not None
    found = parse_local_timestamp("2026-10-25T02:30:00", BERLIN, near=near)
    assert found is not None
    assert format_timestamp(found) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59Z"),
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),
        ("2026-03-29T03:00:00", "2026-03-29T01:00:00Z"),
    ],
)
@pytest.mark.parametrize("later", [0, 30])
def test_a_skipped_time_is_of_a_clock_that_was_not_put_forward(
    text: str, moment: str, later: int
) -> None:
    near = datetime(2026, 3, 29, 1, 0, tzinfo=UTC) + timedelta(days=later)
    found = parse_local_timestamp(text, BERLIN, near=near)
    assert found is not None
    assert format_timestamp(found) == moment


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00", "2026-02-30T12:00:00", "nope", "", None])
def test_local_time_that_cannot_be_true_tells_nothing(text: object) -> None:
    assert parse_local_timestamp(text, BERLIN, near=NOON) is None


@given(st.text())
def test_no_text_makes_local_time_raise(text: str) -> None:
    parse_local_timestamp(text, BERLIN, near=NOON, trusts_utc=False)


@given(st.datetimes(min_value=datetime(2016, 1, 1), max_value=datetime(2099, 1, 1)))
def test_what_a_local_clock_shows_at_the_receipt_is_that_moment(moment: datetime) -> None:
    whole = moment.replace(microsecond=0, tzinfo=UTC)
    shown = whole.astimezone(BERLIN).isoformat()[:19]
    assert parse_local_timestamp(shown, BERLIN, near=whole) == whole
