"""A device as one outlet sees it: points at its addresses, and what the registers mean together."""

from collections.abc import Mapping
from dataclasses import dataclass

from modbus_bridge.domain.decode import Value, decode
from modbus_bridge.domain.status import all_hold
from modbus_bridge.domain.template import Case, Derived, Point, Template
from shared.errors import ConfigError

Words = tuple[int, ...]


@dataclass(frozen=True)
class DeviceModel:
    """A template resolved for one outlet."""

    template: Template
    points: Mapping[str, Point]

    def interpret(self, words: Mapping[str, Words]) -> dict[str, Value]:
        """Return the value of every point; what was not read, or is absent here, is unknown."""
        plain = {n: decode(p, words[n]) for n, p in self.points.items() if n in words}
        values = {name: self._value(name, plain, words) for name in self.points}
        signed = {name: self._signed(name, values) for name in self.points}
        for name, derived in self.template.derived.items():
            signed[name] = _derive(derived, signed)
        return signed

    def _value(self, name: str, plain: Mapping[str, Value], words: Mapping[str, Words]) -> Value:
        point = self.points[name]
        if name not in words:
            return None
        for case in point.cases:
            decided = _decide(case, plain)
            if decided and case.absent:
                return None
            if decided and case.scale is not None:
                return decode(point, words[name], scale=case.scale)
        return plain[name]

    def _signed(self, name: str, values: Mapping[str, Value]) -> Value:
        """Give a magnitude the direction of another point: some meters show |I| only."""
        sign_from, value = self.points[name].sign_from, values[name]
        if sign_from is None or not isinstance(value, tuple):
            return value
        signs = values[sign_from]
        if not isinstance(signs, tuple) or len(signs) != len(value):
            return value
        return tuple(
            -v if v is not None and s is not None and s < 0 else v
            for v, s in zip(value, signs, strict=True)
        )


def resolve(template: Template, connector: int) -> DeviceModel:
    """Return the model of outlet ``connector``. Raises ``ConfigError`` when there is none."""
    outlets = template.connectors
    count = 1 if outlets is None else outlets.max
    if not 1 <= connector <= count:
        raise ConfigError(
            f"template {template.id} has {count} connector(s), so connector {connector} "
            "does not exist; change the EVSE"
        )
    if outlets is None:
        return DeviceModel(template, template.points)
    offset = outlets.base + outlets.stride * (connector - 1)
    points = {
        name: point.model_copy(update={"addr": point.addr + offset})
        for name, point in template.points.items()
    }
    return DeviceModel(template, points)


def _decide(case: Case, values: Mapping[str, Value]) -> bool:
    """Tell whether a case counts. What may be absent counts as absent until that is known."""
    decided = all_hold(case.when, values)
    return case.absent if decided is None else decided


def _derive(derived: Derived, values: Mapping[str, Value]) -> float | None:
    operands = [_numbers(values.get(name)) for name in derived.of]
    known = [numbers for numbers in operands if numbers is not None]
    if len(known) != len(operands):
        return None
    if derived.op == "sum":
        return derived.factor * sum(n for numbers in known for n in numbers)
    left, right = known
    if len(left) != len(right):
        return None
    return derived.factor * sum(a * b for a, b in zip(left, right, strict=True))


def _numbers(value: Value) -> tuple[float, ...] | None:
    if value is None or isinstance(value, str):
        return None
    if not isinstance(value, tuple):
        return (float(value),)
    known = tuple(v for v in value if v is not None)
    return known if len(known) == len(value) else None
