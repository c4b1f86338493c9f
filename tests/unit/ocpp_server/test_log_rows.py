"""Frames as they stand in the message log."""

import json

from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.domain.frames import Call, parse
from ocpp_server.domain.log_rows import TEXT_LIMIT, described, logged_text


def hide(token: str) -> str:
    return f"<{len(token)}>"


def test_id_tags_and_parents_are_replaced_and_nothing_else() -> None:
    text = '[2,"1","Authorize",{ "idTag" : "ABC" ,"x":{"parentIdTag":"DEFG"},"other":"ABC"}]'
    expected = '[2,"1","Authorize",{ "idTag" : "<3>" ,"x":{"parentIdTag":"<4>"},"other":"ABC"}]'
    assert logged_text(text, pseudonym=hide) == expected


def test_without_a_pseudonym_the_text_is_the_frame() -> None:
    text = '[2,"1","Authorize",{"idTag":"ABC"}]'
    assert logged_text(text, pseudonym=None) == text


@given(st.text(), st.text())
def test_signed_values_are_not_touched_whatever_is_in_them(key: str, value: str) -> None:
    signed = json.dumps({"idTag": value, key: value})
    text = json.dumps([2, "1", "MeterValues", {"value": signed}])
    assert logged_text(text, pseudonym=hide) == text[:TEXT_LIMIT]


def test_what_is_too_long_is_cut() -> None:
    assert len(logged_text("x" * (TEXT_LIMIT + 1), pseudonym=None)) == TEXT_LIMIT


def test_a_call_tells_its_action_and_repairs() -> None:
    frame = parse('[2,7,"Heartbeat",{}]')
    assert isinstance(frame, Call)
    frame.repairs = "null"
    assert described(frame) == (2, "7", "Heartbeat", "null")


def test_answers_and_nonsense_are_told_apart() -> None:
    assert described(parse('[3,"7",{}]'))[0] == 3
    assert described(parse('[4,"7","GenericError","",{}]'))[0] == 4
    assert described(parse("nonsense"))[0] == 0
