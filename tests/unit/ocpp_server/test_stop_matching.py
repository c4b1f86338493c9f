"""A stop with a useless id ends the one transaction that it can end, or none."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ocpp_server.domain.stop_matching import OpenTransaction, Stop, match_stop

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
