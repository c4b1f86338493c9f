"""OCPP-J frames: cut apart, put together, payload text untouched."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.frames import Call, CallError, CallResult, answer_text, call_text, parse_frame
from shared.errors import ProtocolViolation

ODD = '{ "a" :1.50 , "ä":"\\u00e4\\/", "n":123456789012345678901234567890,\n"b" : [ ] }'


@pytest.mark.parametrize("blank", ["", " ", "\r\n\t "])
def test_call_keeps_every_byte_of_its_payload(blank: str) -> None:
    text = f'{blank}[{blank}2{blank},"1",{blank}"DataTransfer"{blank},{blank}{ODD}{blank}]'
    assert parse_frame(text) == Call("1", "DataTransfer", ODD)


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('[3,"x",{}]', CallResult("x", "{}")),
        ("[3,7,{}]", CallResult(7, "{}")),
        ('[4,"x","InternalError","why",{}]', CallError("x", "InternalError", "why")),
        ('[4,"x","InternalError"]', CallError("x", "InternalError", "")),
        ('[4,"x",null,5,"odd"]', CallError("x", "GenericError", "")),
    ],
)
def test_answers_are_recognised(text: str, frame: object) -> None:
    assert parse_frame(text) == frame


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[",
        "[]",
        '[2,"1","A"]',
        '[2,"1","A",[]]',
        '[2 "1","A",{}]',
        '[5,"1",{}]',
        '["2","1","A",{}]',
        "nonsense",
        "[" * 100_000,
    ],
)
def test_what_is_no_frame_is_a_violation(text: str) -> None:
    with pytest.raises(ProtocolViolation):
        parse_frame(text)


@given(st.text(), st.text(min_size=1), st.dictionaries(st.text(), st.integers() | st.text()))
def test_what_is_written_is_read_again(message_id: str, action: str, payload: object) -> None:
    call = Call(message_id, action, json.dumps(payload))
    assert parse_frame(call_text(call)) == call
    result = CallResult(message_id, json.dumps(payload))
    assert parse_frame(answer_text(result)) == result


def test_description_of_an_error_is_kept_short() -> None:
    error = parse_frame(answer_text(CallError("1", "InternalError", "x" * 1_000)))
    assert isinstance(error, CallError)
    assert len(error.description) == 255
