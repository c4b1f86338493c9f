"""What the interpreted registers say in the words of the bus contracts."""

from collections.abc import Mapping
from dataclasses import dataclass

from modbus_bridge.domain.decode import Value
from modbus_bridge.domain.status import evaluate
from modbus_bridge.domain.template import Template
from shared.contracts.evse import EvseState
from shared.units import PhaseAmps


@dataclass(frozen=True, kw_only=True)
class OutletReading:
    """One look at an outlet. ``None`` = unknown."""

    state: EvseState | None = None
    fault: str | None = None
    current_a: PhaseAmps | None = None
    power_w: float | None = None
    energy_wh: float | None = None
    offered_a: float | None = None
    token: str | None = None
    token_seen: int | None = None


@dataclass(frozen=True, kw_only=True)
class MeterReading:
    """One look at a meter."""

    current_a: PhaseAmps
    power_w: float | None
    energy_import_wh: float | None
    energy_export_wh: float | None


def read_outlet(template: Template, values: Mapping[str, Value]) -> OutletReading:
    """Return what an outlet shows."""
    status = evaluate(template.status, values)
    count = number(values.get("rfid_count"))
    token = values.get("rfid")
    return OutletReading(
        state=status.state,
        fault=status.fault,
        current_a=amps(values.get("current")),
        power_w=number(values.get("power_total")),
        energy_wh=number(values.get("energy_import_total")),
        offered_a=offered_a(template, values),
        token=token if isinstance(token, str) else None,
        token_seen=None if count is None else int(count),
    )


def read_meter(values: Mapping[str, Value]) -> MeterReading:
    """Return what a meter shows; a phase it does not have is unknown."""
    return MeterReading(
        current_a=amps(values.get("current")) or PhaseAmps(),
        power_w=number(values.get("power_total")),
        energy_import_wh=number(values.get("energy_import_total")),
        energy_export_wh=number(values.get("energy_export_total")),
    )


def offered_a(template: Template, values: Mapping[str, Value]) -> float | None:
    """Return what the box offers the car: its own word, or its limit unless it is paused."""
    may_a = permitted_a(template, values)
    own = number(values.get("current_offered"))
    return may_a if own is None or may_a == 0 else own


def permitted_a(template: Template, values: Mapping[str, Value]) -> float | None:
    """Return the most that the box would let a car draw now: its limit unless it is paused.

    With no car a box may offer 0 and still have a high limit, so this is the worst case.
    """
    control = template.control
    if control is None:
        return None
    paused = [s for s in control.pause if number(values.get(s.write)) == s.value]
    if control.pause and len(paused) == len(control.pause):
        return 0.0
    return number(values.get(control.limit))


def number(value: Value) -> float | None:
    """Return a single number, if it is one."""
    return None if value is None or isinstance(value, str | tuple) else float(value)


def amps(value: Value) -> PhaseAmps | None:
    """Return currents per phase, if they are known at all."""
    if isinstance(value, tuple) and any(v is not None for v in value):
        return PhaseAmps(**dict(zip(("l1", "l2", "l3"), value, strict=False)))
    single = number(value)
    return None if single is None else PhaseAmps(l1=single)
