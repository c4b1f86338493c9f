from typing import Any

import pytest

from modbus_bridge.domain.model import DeviceModel, resolve
from modbus_bridge.templates import load_template
from shared.errors import ConfigError
from tests.unit.modbus_bridge.conftest import Build

F32 = {1.0: (0x3F80, 0), -1.0: (0xBF80, 0), 0.0: (0, 0)}


def model(build: Build, extra: dict[str, Any], **changes: Any) -> DeviceModel:
    base = build().model_dump(mode="json")["points"]
    return resolve(build(points={**base, **extra}, **changes), 1)


def test_second_outlet_is_found_a_stride_further(build: Build) -> None:
    template = build(connectors={"max": 2, "base": 100, "stride": 16})
    assert resolve(template, 1).points["pilot"].addr == 100
    assert resolve(template, 2).points["pilot"].addr == 116


@pytest.mark.parametrize("connector", [0, 3])
def test_outlet_that_does_not_exist_is_a_configuration_error(build: Build, connector: int) -> None:
    with pytest.raises(ConfigError, match=f"connector {connector} does not exist"):
        resolve(build(connectors={"max": 2, "stride": 16}), connector)


def test_template_without_connectors_has_one_outlet(build: Build) -> None:
    with pytest.raises(ConfigError, match="1 connector"):
        resolve(build(), 2)


def test_unread_point_is_unknown(build: Build) -> None:
    assert resolve(build(), 1).interpret({}) == {
        "pilot": None,
        "current_limit": None,
        "enable": None,
    }


@pytest.mark.parametrize(
    ("has_meter", "flags", "current"),
    [(1, 1, (1.6, 0.0, 0.0)), (0, 1, None), (1, 0, None), (None, 1, None), (1, None, None)],
)
def test_power_brain_current_is_known_only_with_a_meter_that_measures_phases(
    has_meter: int | None, flags: int | None, current: Any
) -> None:
    words: dict[str, tuple[int, ...]] = {"current": (0, 16, 0, 0, 0, 0)}
    if has_meter is not None:
        words["has_meter"] = (has_meter,)
    if flags is not None:
        words["meter_flags"] = (flags,)
    values = resolve(load_template("cfos_power_brain"), 1).interpret(words)
    assert values["current"] == current


def test_variant_with_another_scale(build: Build) -> None:
    case = {"when": [{"point": "raw", "op": ">=", "value": 60}], "scale": 0.1}
    device = model(build, {"raw": {"addr": 20}, "amps": {"addr": 20, "cases": [case]}})
    assert device.interpret({"raw": (100,), "amps": (100,)})["amps"] == 10.0
    assert device.interpret({"raw": (16,), "amps": (16,)})["amps"] == 16.0
    assert device.interpret({"amps": (16,)})["amps"] == 16.0


def test_magnitudes_get_the_direction_of_their_power() -> None:
    meter = resolve(load_template("eastron_sdm630"), 1)
    one, minus, zero = F32[1.0], F32[-1.0], F32[0.0]
    words = {"current": one * 3, "power_phase": one + minus + zero}
    assert meter.interpret(words)["current"] == (1.0, -1.0, 1.0)


def test_magnitude_with_unknown_direction_counts_as_consumption() -> None:
    meter = resolve(load_template("eastron_sdm630"), 1)
    assert meter.interpret({"current": F32[1.0] * 3})["current"] == (1.0, 1.0, 1.0)
    nan = (0x7FC0, 0)
    words = {"current": nan + F32[1.0] * 2, "power_phase": F32[-1.0] * 2 + nan}
    assert meter.interpret(words)["current"] == (None, -1.0, 1.0)


def test_single_value_takes_no_sign(build: Build) -> None:
    device = model(build, {"amps": {"addr": 20, "sign_from": "pilot"}})
    assert device.interpret({"amps": (5,), "pilot": (1,)})["amps"] == 5


@pytest.mark.parametrize(
    ("derived", "words", "value"),
    [
        ({"op": "sum", "of": ["amps"], "factor": 230}, {"amps": (1, 2, 3)}, 1380),
        ({"op": "sum", "of": ["amps", "volts"]}, {"amps": (1, 2, 3)}, None),
        ({"op": "sum", "of": ["amps"]}, {"amps": (1, 0xFFFF, 3)}, None),
        ({"op": "sum", "of": ["pilot"]}, {"pilot": (4,)}, 4),
        ({"op": "sum", "of": ["name"]}, {"name": (0x4141,)}, None),
        (
            {"op": "product_sum", "of": ["amps", "volts"]},
            {"amps": (1, 2, 3), "volts": (10, 10, 10)},
            60,
        ),
        ({"op": "product_sum", "of": ["amps", "pilot"]}, {"amps": (1, 2, 3), "pilot": (1,)}, None),
    ],
)
def test_derived_value_is_known_only_if_all_of_it_is(
    build: Build, derived: dict[str, Any], words: dict[str, tuple[int, ...]], value: Any
) -> None:
    points = {
        "amps": {"addr": 20, "n": 3, "invalid": [0xFFFF]},
        "volts": {"addr": 23, "n": 3},
        "name": {"addr": 30, "type": "str:1"},
    }
    device = model(build, points, derived={"power_total": derived})
    assert device.interpret(words)["power_total"] == value
