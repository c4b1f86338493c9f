"""JSON that costs more than any message of a station is refused before it is parsed."""

import json
import time

import orjson
import pytest

from ocpp_server.domain import frames
from ocpp_server.domain.frames import Call, Malformed, parse
from ocpp_server.domain.json_bounds import DEPTH_LIMIT, ELEMENTS_LIMIT, FREE_CHARACTERS

SAMPLE = {
    "value": "12.34",
    "context": "Sample.Periodic",
    "measurand": "Energy.Active.Import.Register",
    "phase": "L1",
    "unit": "Wh",
}


def call(payload: str, message_id: str = "7") -> str:
    return f'[2,"{message_id}","DataTransfer",{{"vendorId":"v","data":{payload}}}]'


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("because", "payload"),
    [
        ("numbers", "[" + "1," * ELEMENTS_LIMIT + "1]"),
        ("empty objects", "[" + "{}," * ELEMENTS_LIMIT + "1]"),
        ("keys", "{" + ",".join(f'"{n:x}":1' for n in range(ELEMENTS_LIMIT + 1)) + "}"),
        ("open brackets", "[" * (ELEMENTS_LIMIT + 1)),
        ("open objects", '{"a":' * (ELEMENTS_LIMIT + 1)),
    ],
)
def test_too_many_values_are_never_parsed(
    because: str, payload: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[int] = []

    class Watched:
        @staticmethod
        def loads(text: str) -> object:
            parsed.append(len(text))
            return orjson.loads(text)

        dumps = staticmethod(orjson.dumps)

    monkeypatch.setattr(frames, "orjson", Watched)
    frame = parse(call(payload))
    assert isinstance(frame, Malformed), because
    assert frame.message_id == "7", "it is answered, because its id can be read"
    assert all(length < 300 for length in parsed), "only the id was parsed"


def test_refusing_the_worst_frame_takes_less_than_parsing_a_usual_one() -> None:
    worst = "[" + "1," * (4 << 20) + "1]"
    usual = json.dumps(
        [2, "1", "MeterValues", {"meterValue": [{"sampledValue": [SAMPLE] * 50_000}]}]
    )

    def least_s(text: str) -> float:
        taken = []
        for _ in range(3):
            start = time.perf_counter()
            parse(text)
            taken.append(time.perf_counter() - start)
        return min(taken)

    assert least_s(worst) < least_s(usual)


def test_a_day_of_samples_in_one_message_is_taken() -> None:
    value = {"timestamp": "2026-01-01T00:00:00Z", "sampledValue": [SAMPLE] * 6}
    text = json.dumps([2, "1", "StopTransaction", {"transactionData": [value] * 8640}])
    assert len(text) > 5 << 20
    assert isinstance(parse(text), Call)


@pytest.mark.parametrize("padding", [0, FREE_CHARACTERS])
def test_nesting_is_bounded_whatever_the_length(padding: int) -> None:
    blank = " " * padding
    assert isinstance(parse(call(nested(DEPTH_LIMIT - 3) + blank)), Call)
    frame = parse(call(nested(DEPTH_LIMIT + 1) + blank))
    assert isinstance(frame, Malformed)
    assert frame.message_id == "7"


def test_many_values_side_by_side_are_not_deep() -> None:
    assert isinstance(parse(call("[" + ",".join(["[{}]"] * 200) + "]")), Call)


def test_brackets_in_texts_are_texts() -> None:
    assert isinstance(parse(call(json.dumps("[{" * 5_000))), Call)


@pytest.mark.parametrize("length", [200, 201, 100_000])
def test_an_id_that_nobody_needs_is_not_sent_back(length: int) -> None:
    frame = parse(call("1", message_id="x" * length))
    assert isinstance(frame, Call) is (length == 200)
    if isinstance(frame, Malformed):
        assert frame.message_id is None


def test_a_deep_answer_is_dropped() -> None:
    frame = parse(f'[3,"1",{{"a":{nested(DEPTH_LIMIT)}}}]')
    assert isinstance(frame, Malformed)
    assert frame.message_id is None


def test_the_text_of_the_deepest_payload_that_is_taken_can_be_read() -> None:
    frame = parse(call(nested(DEPTH_LIMIT - 3)))
    assert isinstance(frame, Call)
    assert json.loads(frame.payload_text) == frame.payload
