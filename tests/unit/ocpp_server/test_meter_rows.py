"""Rows that meter values are recorded in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ocpp_server.domain.meter_rows import rows_of
from ocpp_server.domain.sampled_values import read_samples
from shared.contracts.session import MeterRow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def payload_of(*values: str, timestamp: str | None = "2026-03-01T11:59:58Z") -> dict[str, Any]:
    entries = [
        {"timestamp": timestamp, "sampledValue": [{"value": value, "context": "Sample.Periodic"}]}
        for value in values
    ]
    return {"connectorId": 2, "transactionId": 7, "meterValue": entries}


def rows(payload: dict[str, Any], *, text: str, at: datetime = NOON) -> list[MeterRow]:
    sampled = read_samples(payload["meterValue"])
    return rows_of(payload, sampled, text=text, station_id="CP1", evse_id="bay", received_at=at)


def test_a_row_says_what_when_where_and_for_which_transaction() -> None:
    (row,) = rows(payload_of("1500"), text='[2,"1","MeterValues",{}]')
    assert row.energy_wh == 1500
    assert row.sampled_at == (NOON - timedelta(seconds=2)).timestamp()
    assert row.received_at == NOON.timestamp()
    assert (row.station_id, row.connector, row.evse_id, row.transaction_id) == ("CP1", 2, "bay", 7)
    assert row.context == "Sample.Periodic"


def test_values_sent_again_under_another_message_id_are_the_same_values() -> None:
    payload = payload_of("1500")
    (first,) = rows(payload, text='[2,"1","MeterValues",{"a":1}]')
    (again,) = rows(payload, text='[2,"2","MeterValues",{"a":1}]', at=NOON + timedelta(seconds=9))
    (other,) = rows(payload, text='[2,"3","MeterValues",{"a":2}]')
    assert first.value_id == again.value_id != other.value_id


@pytest.mark.parametrize("head", ['[2,"{}","MeterValues",', '[ 2 , "{}" , "MeterValues" , '])
def test_values_are_told_apart_however_the_frame_is_written(head: str) -> None:
    payload = payload_of("1500")
    (first,) = rows(payload, text=head.format(1) + '{"a":1}]')
    (again,) = rows(payload, text=head.format(2) + '{"a":1}]')
    (other,) = rows(payload, text=head.format(3) + '{"a":2}]')
    assert first.value_id == again.value_id != other.value_id


def test_an_action_written_with_escapes_is_told_apart_too() -> None:
    head = '[2,"1","\\u004deterValues",'
    payload = payload_of("1500")
    (first,), (other,) = (rows(payload, text=head + f'{{"a":{n}}}]') for n in (1, 2))
    assert first.value_id != other.value_id


def test_entries_of_one_message_are_rows_of_their_own() -> None:
    ids = {row.value_id for row in rows(payload_of("1", "1"), text='[2,"1","MeterValues",{}]')}
    assert len(ids) == 2


def test_without_a_time_of_their_own_equal_values_are_told_apart_by_arrival() -> None:
    payload = payload_of("1500", timestamp=None)
    (first,) = rows(payload, text='[2,"1","MeterValues",{}]')
    (later,) = rows(payload, text='[2,"1","MeterValues",{}]', at=NOON + timedelta(seconds=10))
    assert first.sampled_at is None
    assert first.value_id != later.value_id


def test_a_transaction_id_that_can_be_none_of_ours_is_left_out() -> None:
    for told in (0, -1, 2**40, None):
        (row,) = rows(payload_of("1") | {"transactionId": told}, text='[2,"1","MeterValues",{}]')
        assert row.transaction_id is None
