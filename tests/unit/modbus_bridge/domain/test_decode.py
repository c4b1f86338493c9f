import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modbus_bridge.domain.decode import Value, decode, encode, writable
from modbus_bridge.domain.template import Point


def words_of(kind: str, value: float) -> tuple[int, ...]:
    raw = struct.pack(">" + kind, value)
    return struct.unpack(f">{len(raw) // 2}H", raw)


@pytest.mark.parametrize(
    ("fields", "words", "value"),
    [
        ({"type": "u16"}, (0xFFFF,), 65535),
        ({"type": "s16"}, (0xFFFF,), -1),
        ({"type": "u32"}, (1, 2), 65538),
        ({"type": "s32"}, (0xFFFF, 0xFFFF), -1),
        ({"type": "u64"}, (0, 0, 1, 0), 65536),
        ({"type": "f32"}, words_of("f", 1.5), 1.5),
        ({"type": "f64"}, words_of("d", -2.25), -2.25),
        ({"type": "bool"}, (2,), True),
        ({"type": "u16", "scale": 0.1}, (63,), 6.3),
        ({"type": "u16", "mask": 0x00FF}, (0xA102,), 2),
        ({"type": "u32", "word_order": "little"}, (2, 1), 65538),
        ({"type": "f32", "unit": "kWh"}, words_of("f", 2.5), 2500),
        ({"type": "u32", "unit": "kWh", "scale": 0.1}, (0, 25), 2500),
        ({"type": "u32", "invalid": (0xFFFFFFFF,)}, (0xFFFF, 0xFFFF), None),
        ({"type": "f32"}, words_of("f", float("nan")), None),
        ({"type": "f32"}, words_of("f", float("inf")), None),
        ({"type": "u16", "n": 3, "scale": 0.1, "invalid": (0xFFFF,)}, (160, 0xFFFF, 0),
         (16.0, None, 0.0)),
        ({"type": "str:4"}, (0x3034, 0x4132, 0, 0x4141), "04A2"),
        ({"type": "str:2"}, (0, 0), None),
        ({"type": "str:1"}, (0xFF41,), "\ufffdA"),
    ],
)  # fmt: skip
def test_registers_mean(fields: dict[str, Any], words: tuple[int, ...], value: Value) -> None:
    assert decode(Point(addr=0, **fields), words) == value


def test_scale_of_a_variant_replaces_the_scale_and_keeps_the_unit() -> None:
    point = Point(addr=0, unit="kWh", scale=1.0)
    assert decode(point, (5,), scale=0.1) == 500


def test_wrong_number_of_registers_is_refused() -> None:
    with pytest.raises(ValueError, match="2 registers expected, got 1"):
        decode(Point(addr=0, type="u32"), (1,))


@pytest.mark.parametrize(
    ("fields", "value", "words"),
    [
        ({"scale": 0.1}, 16.0, (160,)),
        ({"scale": 0.1}, 10.07, (100,)),
        ({}, 15.99, (15,)),
        ({"type": "u32"}, 60, (0, 60)),
        ({"type": "u32", "word_order": "little"}, 60, (60, 0)),
        ({"type": "f32"}, 7.5, words_of("f", 7.5)),
        ({"type": "bool"}, 1, (1,)),
    ],
)
def test_values_are_written_rounded_down(
    fields: dict[str, Any], value: float, words: tuple[int, ...]
) -> None:
    assert encode(Point(addr=0, write_fc=16, **fields), value) == words


@pytest.mark.parametrize("value", [-1.0, 65536.0])
def test_what_the_register_cannot_hold_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="does not fit into u16"):
        encode(Point(addr=0, write_fc=6), value)


@given(
    limit_a=st.floats(min_value=0, max_value=6_000, allow_nan=False),
    scale=st.sampled_from([1.0, 0.1, 0.01, 0.001, 0.25]),
    kind=st.sampled_from(["u16", "u32", "f64"]),
)
def test_register_never_holds_more_than_was_granted(
    limit_a: float, scale: float, kind: str
) -> None:
    point = Point(addr=0, write_fc=16, type=kind, scale=scale)
    if kind == "u16" and limit_a / scale > 65535:
        return
    held = writable(point, limit_a)
    assert held <= limit_a + 1e-6
    assert limit_a - held <= scale + 1e-6
    assert writable(point, held) == held
