"""A stop with a useless id ends the one transaction that it can end, or none."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ocpp_server.domain.stop_matching import (
    EarlyStop,
    OpenTransaction,
    Stop,
    match_start,
    match_stop,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def running(transaction_id: int, **changes: Any) -> OpenTransaction:
    values: dict[str, Any] = {
        "transaction_id": transaction_id,
        "connector": 1,
        "id_tag": "A",
        "started_at": NOW - timedelta(hours=1),
        "meter_start": 100.0,
    }
    return OpenTransaction(**(values | changes))


def stop(**changes: Any) -> Stop:
    values: dict[str, Any] = {"stopped_at": NOW, "meter_stop": 500.0, "id_tag": None}
    return Stop(**(values | changes))


def test_the_only_running_transaction_is_meant() -> None:
    assert match_stop(stop(), [running(1)]) == running(1)


def test_without_a_running_transaction_none_is_meant() -> None:
    assert match_stop(stop(), []) is None


def test_of_two_none_is_guessed() -> None:
    assert match_stop(stop(), [running(1), running(2)]) is None


def test_of_two_the_tag_decides() -> None:
    found = match_stop(stop(id_tag="b"), [running(1), running(2, id_tag="B")])
    assert found == running(2, id_tag="B")


def test_of_two_the_meter_decides() -> None:
    assert match_stop(stop(), [running(1), running(2, meter_start=900.0)]) == running(1)


def test_a_stop_before_the_start_belongs_to_another_transaction() -> None:
    assert match_stop(stop(stopped_at=NOW - timedelta(hours=2)), [running(1)]) is None


def test_without_clock_and_meter_the_only_one_is_meant() -> None:
    assert match_stop(stop(stopped_at=None, meter_stop=None), [running(1)]) == running(1)


def early(id_: int = 1, **changes: Any) -> EarlyStop:
    return EarlyStop(id=id_, stop=stop(**({"id_tag": "A"} | changes)), frame="{}")


def test_a_start_that_comes_late_finds_its_stop() -> None:
    assert match_start(running(1), [early()], others=[]) == early()


@pytest.mark.parametrize(
    "same",
    [
        {"id_tag": "a"},
        {"meter_stop": 100.0},
        {"stopped_at": NOW - timedelta(hours=1)},
    ],
    ids=["upper and lower case", "no energy", "no time"],
)
def test_it_finds_it_at_the_edge_of_what_can_be(same: dict[str, Any]) -> None:
    assert match_start(running(1), [early(**same)], others=[]) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"id_tag": "B"},
        {"id_tag": None},
        {"id_tag": ""},
        {"meter_stop": 99.9},
        {"meter_stop": None},
        {"stopped_at": NOW - timedelta(hours=1, seconds=1)},
        {"stopped_at": None},
    ],
)
def test_a_stop_that_does_not_prove_it_ends_nothing(changes: dict[str, Any]) -> None:
    assert match_start(running(1), [early(**changes)], others=[]) is None


@pytest.mark.parametrize(
    "changes", [{"started_at": None}, {"meter_start": None}, {"id_tag": ""}, {"id_tag": "B"}]
)
def test_a_start_that_does_not_prove_it_is_not_ended(changes: dict[str, Any]) -> None:
    assert match_start(running(1, **changes), [early()], others=[]) is None


def test_of_two_early_stops_that_fit_none_is_taken() -> None:
    later = early(2, stopped_at=NOW + timedelta(hours=1))
    assert match_start(running(1), [early(), later], others=[]) is None
    assert match_start(running(1), [early(), early(2, id_tag="B")], others=[]) == early()


def test_a_stop_that_may_end_another_running_transaction_is_not_taken() -> None:
    assert match_start(running(1), [early()], others=[running(2, connector=2)]) is None
    assert match_start(running(1), [early()], others=[running(2, id_tag="B")]) == early()
    later = running(2, started_at=NOW + timedelta(hours=1))
    assert match_start(running(1), [early()], others=[later]) == early()
