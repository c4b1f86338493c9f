"""The declarative description of a Modbus device: a data model with nothing in it to execute.

The format is explained in ``docs/templates.md``. Unknown keys and dangling point names are refused.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.contracts.evse import EvseState

Scalar = bool | int | float | str
PointName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

WIDTHS = {"u16": 1, "s16": 1, "bool": 1, "u32": 2, "s32": 2, "f32": 2, "u64": 4, "f64": 4}
"""How many registers one value of each type takes; ``str:N`` takes N."""
UNIT_FACTORS = {"kW": 1000.0, "kWh": 1000.0}
"""Everything leaves the decoder in A, V, W, Wh and s."""


class Part(BaseModel):
    """A part of a template. An unknown key is a typing error, so it is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PollGroup(StrEnum):
    """How often a point is read."""

    FAST = "fast"
    NORMAL = "normal"
    SLOW = "slow"
    ONCE = "once"
    """After each connect."""
    NEVER = "never"


class Transport(Part):
    """How the device is reached, as far as the vendor fixes it."""

    kinds: Annotated[tuple[Literal["tcp", "rtu", "rtuovertcp"], ...], Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 502
    unit: Annotated[int, Field(ge=0, le=255)] = 1
    baud: int = 9600
    comset: Annotated[str, Field(pattern=r"^[78][NEO][12]$")] = "8N1"
    max_read: Annotated[int, Field(ge=1, le=125)] = 125
    """Registers that the device gives in one answer."""
    max_gap: Annotated[int, Field(ge=0, le=120)] = 0
    """Undefined registers that one read may run across."""
    request_gap_ms: Annotated[int, Field(ge=0, le=5_000)] = 0
    """Silence the device needs between an answer and the next request."""
    timeout_ms: Annotated[int, Field(ge=50, le=10_000)] = 1_000


class Condition(Part):
    """A comparison of one point with a constant."""

    point: PointName
    op: Literal["==", "!=", "<", "<=", ">", ">=", "in", "bit_set", "bit_clear"] = "=="
    value: Scalar | tuple[Scalar, ...]

    @model_validator(mode="after")
    def _value_fits_op(self) -> Self:
        if (self.op == "in") != isinstance(self.value, tuple):
            raise ValueError("'in' takes a list, every other comparison one value")
        return self


class Case(Part):
    """A difference between variants of a device; the first case that holds counts."""

    when: Annotated[tuple[Condition, ...], Field(min_length=1)]
    absent: bool = False
    """The register means nothing on this variant."""
    scale: float | None = None


class Point(Part):
    """A value in consecutive registers. Addresses are zero-based, as on the wire."""

    addr: Annotated[int, Field(ge=0, le=65535)]
    fc: Literal[3, 4] | None = 3
    """Function code that reads it; null = cannot be read."""
    write_fc: Literal[6, 16] | None = None
    """Function code that writes it; none = cannot be written."""
    type: Annotated[str, Field(pattern=r"^(u16|s16|u32|s32|u64|f32|f64|bool|str:[1-9]\d?)$")] = (
        "u16"
    )
    n: Annotated[int, Field(ge=1, le=3)] = 1
    """Consecutive values: three for L1, L2, L3."""
    word_order: Literal["big", "little"] = "big"
    mask: Annotated[int, Field(gt=0)] | None = None
    scale: Annotated[float, Field(gt=0)] = 1.0
    unit: Literal["A", "V", "W", "kW", "Wh", "kWh", "s"] | None = None
    invalid: tuple[int, ...] = ()
    """Raw values that mean "unknown". NaN and infinity always do."""
    min: float | None = None
    """The smallest value that may be written, in the point's unit."""
    max: float | None = None
    wear: bool = False
    """Writing wears the device's flash: once per connect, and only if different."""
    poll: PollGroup = PollGroup.NORMAL
    sign_from: PointName | None = None
    """A magnitude whose sign is that of the other point: negative = feeding in."""
    cases: tuple[Case, ...] = ()

    @property
    def width(self) -> int:
        """Registers of one value."""
        if self.type.startswith("str:"):
            return int(self.type.removeprefix("str:"))
        return WIDTHS[self.type]

    @property
    def count(self) -> int:
        """Registers of all its values."""
        return self.width * self.n

    @property
    def resolution(self) -> float:
        """What one count of the register is worth, in A, V, W, Wh or s."""
        return self.scale * UNIT_FACTORS.get(self.unit or "", 1.0)

    @property
    def is_text(self) -> bool:
        """It holds characters."""
        return self.type.startswith("str:")

    @property
    def is_readable(self) -> bool:
        """It gives one number."""
        return self.fc is not None and self.n == 1 and not self.is_text

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.addr + self.count > 65536:
            raise ValueError(f"{self.count} registers from {self.addr} run past 65535")
        if self.write_fc == 6 and self.count != 1:
            raise ValueError("function 6 writes one register; use write_fc 16")
        if self.write_fc is not None and (self.is_text or self.n != 1):
            raise ValueError("only single numbers can be written")
        if self.fc is None and self.write_fc is None:
            raise ValueError("a point is read, written or both")
        return self


class StatusRule(Part):
    """If all conditions hold, the box is in state ``then``. The first rule that holds counts."""

    when: tuple[Condition, ...] = ()
    then: EvseState | Literal["unknown"]
    text: str = ""
    """What is wrong, for the operator."""


class Derived(Part):
    """A value computed from others; unknown if one of them is."""

    op: Literal["sum", "product_sum"]
    of: Annotated[tuple[PointName, ...], Field(min_length=1)]
    factor: float = 1.0

    @model_validator(mode="after")
    def _has_operands(self) -> Self:
        if self.op == "product_sum" and len(self.of) != 2:
            raise ValueError("product_sum takes two points")
        return self


class Step(Part):
    """Write a constant to a point."""

    write: PointName
    value: Annotated[float, Field(ge=0)]


class PhaseSwitch(Part):
    """How the box changes between three phases and its first one."""

    write: PointName
    one: Annotated[float, Field(ge=0)]
    """What is written for one phase,"""
    three: Annotated[float, Field(ge=0)]
    """and for three."""
    state: PointName | None = None
    """Shows the phases that are connected, where the written point does not."""
    state_one: float | None = None
    state_three: float | None = None
    """What it shows; ``None`` = the same as is written. Anything else = changing, or unknown."""
    when: tuple[Condition, ...] = ()
    """What has to hold for the box to be able to change."""
    pauses: bool = True
    """Nothing may flow meanwhile. ``False``: the box sees to that by itself."""
    pause_before_s: Annotated[float, Field(ge=0, le=300)] = 10.0
    """The car is given this long to stop; without a meter all of it passes."""
    pause_after_s: Annotated[float, Field(ge=0, le=600)] = 5.0
    """No charging for at least this long after the write."""
    confirm_s: Annotated[float, Field(ge=0, le=600)] = 60.0
    """A change that is not seen after this time has failed."""

    @model_validator(mode="after")
    def _is_decidable(self) -> Self:
        if self.one == self.three:
            raise ValueError("one and three are the same value: nothing would change")
        if self.state is None and (self.state_one, self.state_three) != (None, None):
            raise ValueError("state_one and state_three belong to a state point: name one")
        if self.shows_one == self.shows_three:
            raise ValueError("state_one and state_three are the same value: nothing could be told")
        return self

    @property
    def shown_by(self) -> PointName:
        """The point that shows the phases."""
        return self.write if self.state is None else self.state

    @property
    def shows_one(self) -> float:
        """What is shown with one phase connected."""
        return self.one if self.state_one is None else self.state_one

    @property
    def shows_three(self) -> float:
        """What is shown with three phases connected."""
        return self.three if self.state_three is None else self.state_three

    def value_for(self, phases: int) -> float:
        """Return what is written for so many phases."""
        return self.one if phases == 1 else self.three


class Control(Part):
    """How the box is limited, in ampere per phase."""

    limit: PointName
    zero_pauses: bool = False
    """Writing 0 to the limit pauses charging, so that no other step is needed."""
    pause: tuple[Step, ...] = ()
    resume: tuple[Step, ...] = ()
    """Written after the limit, so that no old limit is released."""
    phases: PhaseSwitch | None = None
    """How it changes the number of phases; ``None`` = it does not."""

    @model_validator(mode="after")
    def _can_pause(self) -> Self:
        if self.zero_pauses == bool(self.pause):
            raise ValueError("give either zero_pauses or pause steps: every box must be pausable")
        return self


class Keepalive(Part):
    """What keeps the box from falling back while the manager is alive."""

    kind: Literal["any_traffic", "write_register", "rewrite_limit"]
    write: PointName | None = None
    value: Annotated[float, Field(ge=0)] | None = None
    interval_s: Annotated[float, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.kind == "write_register") != (self.write is not None and self.value is not None):
            raise ValueError("write and value belong to kind write_register, and only to it")
        if (self.kind == "any_traffic") != (self.interval_s is None):
            raise ValueError("interval_s belongs to the kinds that write, and only to them")
        return self


class Failsafe(Part):
    """Which points hold what the box does when it hears nothing."""

    timeout: PointName | None = None
    current: PointName | None = None


class Connectors(Part):
    """Outlets of one device: outlet n is found ``base + stride * (n - 1)`` registers further."""

    max: Annotated[int, Field(ge=1, le=64)]
    base: int = 0
    stride: Annotated[int, Field(ge=1)]


class Template(Part):
    """A device, as data."""

    template: Literal[1]
    """Version of this format."""
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    kind: Literal["charger", "meter"]
    vendor: str
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    transport: Transport
    points: Annotated[dict[PointName, Point], Field(min_length=1)]
    derived: dict[PointName, Derived] = {}
    status: tuple[StatusRule, ...] = ()
    control: Control | None = None
    keepalive: Keepalive | None = None
    failsafe: Failsafe = Failsafe()
    connectors: Connectors | None = None
    confidence: Literal["A", "B", "C"]
    """A: two independent sources, B: one implementation used in the field, C: unverified."""
    source: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        known = {*self.points, *self.derived}
        missing = sorted(set(self._names_used()) - known)
        if missing:
            raise ValueError(f"unknown points: {', '.join(missing)}")
        deaf = sorted(n for n in set(self._names_written()) if self._cannot_write(n))
        if deaf:
            raise ValueError(f"points without write_fc are written: {', '.join(deaf)}")
        return self

    @model_validator(mode="after")
    def _kind_is_complete(self) -> Self:
        if self.kind == "charger" and (not self.status or self.control is None):
            raise ValueError("a charger has status rules and a control section")
        if self.kind == "meter" and (self.status or self.control):
            raise ValueError("a meter has neither status rules nor a control section")
        if self.kind == "meter" and "current" not in {*self.points, *self.derived}:
            raise ValueError("a meter has a point named current")
        return self

    @model_validator(mode="after")
    def _limits_are_bounded(self) -> Self:
        limits = {self.failsafe.current, self.control.limit if self.control else None} - {None}
        open_ended = sorted(n for n in limits if n is not None and self.points[n].max is None)
        if open_ended:
            raise ValueError(f"points with a limit need max: {', '.join(open_ended)}")
        return self

    @model_validator(mode="after")
    def _phases_are_seen(self) -> Self:
        switch = None if self.control is None else self.control.phases
        state = None if switch is None else switch.state
        if state is not None and (state not in self.points or not self.points[state].is_readable):
            raise ValueError(f"{state} is no single number that can be read: it shows no phases")
        return self

    def _cannot_write(self, name: str) -> bool:
        return name not in self.points or self.points[name].write_fc is None

    def _names_used(self) -> Iterator[str]:
        for point in self.points.values():
            if point.sign_from is not None:
                yield point.sign_from
            yield from (c.point for case in point.cases for c in case.when)
        yield from (c.point for rule in self.status for c in rule.when)
        yield from (name for derived in self.derived.values() for name in derived.of)
        if self.control is not None and self.control.phases is not None:
            yield self.control.phases.shown_by
            yield from (condition.point for condition in self.control.phases.when)
        yield from self._names_written()

    def _names_written(self) -> Iterator[str]:
        if self.control is not None:
            yield self.control.limit
            yield from (step.write for step in (*self.control.pause, *self.control.resume))
            if self.control.phases is not None:
                yield self.control.phases.write
        if self.keepalive is not None and self.keepalive.write is not None:
            yield self.keepalive.write
        yield from (n for n in (self.failsafe.timeout, self.failsafe.current) if n is not None)
