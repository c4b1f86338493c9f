"""Framing: what is understood, what is refused, and what stays byte for byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.domain.frames import (
    Call,
    CallError,
    CallResult,
    ErrorCode,
    Malformed,
    encode_error,
    encode_result,
    parse,
)


def test_a_call_has_id_action_and_payload() -> None:
    frame = parse('[2,"1","Heartbeat",{}]')
    assert isinstance(frame, Call)
    assert (frame.message_id, frame.action, frame.payload) == ("1", "Heartbeat", {})


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ('["2","1","Heartbeat",{}]', "the type is text"),
        ('[2,"1","Heartbeat"]', "the payload is missing"),
        ('[2,"1","Heartbeat",null]', "the payload is null"),
        ('[2,"1","Heartbeat",{},"more"]', "there is one element too many"),
        ('\ufeff[2,"1","Heartbeat",{}]'.lstrip("\ufeff") + "\r\n", "a line end follows"),
    ],
)
def test_odd_calls_are_understood(text: str, because: str) -> None:
    frame = parse(text)
    assert isinstance(frame, Call), because
    assert frame.payload == {}
    assert frame.payload_text == "{}"


def test_a_numeric_id_is_echoed_as_a_number() -> None:
    frame = parse('[2,42,"Heartbeat",{}]')
    assert isinstance(frame, Call)
    assert encode_result(frame.message_id, {}) == "[3,42,{}]"
    assert encode_result(frame.message_id, "{ }") == "[3,42,{ }]"


@pytest.mark.parametrize(
    ("text", "message_id"),
    [
        ('[2,"7","Heartbeat",[]]', "7"),
        ('[2,"7",5,{}]', "7"),
        ('[2,"7"]', "7"),
        ('[2,"7","MeterValues",{"connectorId":', "7"),
        ('[2,7,"MeterValues",{"connectorId":NaN}]', 7),
        ('["2" , "a\\"b","X",{', 'a"b'),
    ],
)
def test_a_frame_with_an_id_can_be_answered(text: str, message_id: str | int) -> None:
    frame = parse(text)
    assert frame == Malformed(message_id, ErrorCode.FORMATION_VIOLATION, frame.description)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    ["", "hello", "{}", "[]", "[2]", '[2,null,"X",{}]', '[9,"1",{}]', "[2,[1],{}]", '[2,true,"X"]'],
)
def test_a_frame_without_an_id_is_malformed(text: str) -> None:
    frame = parse(text)
    assert isinstance(frame, Malformed)
    assert frame.message_id is None


@pytest.mark.parametrize("code", ["FormationViolation", "FormatViolation"])
def test_both_spellings_of_the_formation_error_are_understood(code: str) -> None:
    assert parse(f'[4,"1","{code}","why",{{}}]') == CallError("1", code, "why")


@pytest.mark.parametrize("text", ['[4,"1","E"]', '[4,"1","E",""]', '[4,"1","E","",[]]'])
def test_errors_with_missing_or_odd_details_are_understood(text: str) -> None:
    assert parse(text) == CallError("1", "E", "")


def test_an_answer_keeps_its_text() -> None:
    text = '[ 3 , "1" , { "status" :  "Accepted", "x": 1.50 } ]'
    frame = parse(text)
    assert isinstance(frame, CallResult)
    assert frame.payload_text == '{ "status" :  "Accepted", "x": 1.50 }'
    assert frame.payload == {"status": "Accepted", "x": 1.5}


def test_the_payload_text_of_a_call_is_what_the_station_wrote() -> None:
    payload = '{"b" : "\\u00e4/\\/", "a":[1,2.0 , {}]}'
    frame = parse(f'[2, "1",  "DataTransfer" ,\n {payload}\t]')
    assert isinstance(frame, Call)
    assert frame.payload_text == payload


def test_an_error_carries_a_short_text_and_no_details() -> None:
    assert json.loads(encode_error("1", "X", "y" * 300)) == [4, "1", "X", "y" * 255, {}]


def test_a_deeply_nested_frame_harms_nobody() -> None:
    assert isinstance(parse('[2,"1","X",' + "[" * 100_000), Malformed)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.text() | _json.map(json.dumps))
def test_no_text_makes_parsing_raise(text: str) -> None:
    frame = parse(text)
    if isinstance(frame, Call):
        assert isinstance(json.loads(frame.payload_text), dict)


@given(st.dictionaries(st.text(), _json), st.sampled_from([None, 1]))
def test_the_payload_text_means_the_payload(payload: dict[str, object], indent: int | None) -> None:
    text = json.dumps([2, "1", "DataTransfer", payload], indent=indent)
    frame = parse(text)
    if isinstance(frame, Call):
        assert json.loads(frame.payload_text) == payload
        assert frame.payload_text in text
