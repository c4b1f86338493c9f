"""The ways in which one and the same limit can be told to a station, best first (field notes 5.5).

Each of them keeps S8: when we are silent, the station falls back by itself. A way that cannot do
that (one level, no end) is not offered: a station that takes nothing else is one that refuses.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from ocpp_server.domain.model import Levels, Model, NumberPhases, Purpose, RateUnit, Schedule

RATE_UNIT_KEY = "ChargingScheduleAllowedChargingRateUnit"
MAX_LEVEL_KEY = "ChargeProfileMaxStackLevel"
CONNECTORS_KEY = "NumberOfConnectors"
PHASES_KEY = "ConnectorSwitch3to1PhaseSupported"
_AMP_WORDS = frozenset({"current", "a", "amp", "ampere"})
_WATT_WORDS = frozenset({"power", "w", "watt"})

LevelPair = tuple[int | None, int]
"""Base and lease. Base ``None`` = one profile is both: its schedule falls back by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way to tell a limit."""

    purpose: Purpose = Purpose.TX_DEFAULT
    levels: LevelPair = (0, 1)
    relative: bool = False
    unit: RateUnit = RateUnit.AMPS
    number_phases: NumberPhases = NumberPhases.AS_ORDERED
    base_starts: bool = False
    """The base has a startSchedule, too. Without one it holds whatever the station's clock says."""
    ends_by_period: bool = False
    """A second period ends the lease, and no duration."""

    @property
    def has_base(self) -> bool:
        """Base and lease are two profiles."""
        return self.levels[0] is not None

    @property
    def base_level(self) -> int:
        """The stack level of the base."""
        base, lease = self.levels
        return lease if base is None else base

    @property
    def lease_level(self) -> int:
        """The stack level of the lease."""
        return self.levels[1]

    @property
    def base_place(self) -> tuple[Purpose, int]:
        """Where the base lies: a profile elsewhere does not replace it."""
        return self.purpose, self.base_level

    @property
    def base_shape(self) -> tuple[object, ...]:
        """All that a base differs in between forms."""
        return *self.base_place, self.relative, self.unit, self.number_phases, self.base_starts


def rate_units(allowed: str | None) -> tuple[RateUnit, ...]:
    """Return the units to try, given the value of ChargingScheduleAllowedChargingRateUnit.

    Seen: ``Current``, ``Power``, ``Current,Power``, ``A``, ``W``, quotes, nothing (5.5, 34).
    """
    words = {word.strip(" '\"[]").lower() for word in (allowed or "").split(",")}
    takes_amps, takes_watts = bool(words & _AMP_WORDS), bool(words & _WATT_WORDS)
    if takes_amps != takes_watts:
        return (RateUnit.AMPS,) if takes_amps else (RateUnit.WATTS,)
    return RateUnit.AMPS, RateUnit.WATTS


def level_pairs(model: Model, max_level: int | None) -> tuple[LevelPair, ...]:
    """Return the stack levels to try: the highest, the one below, the lowest two, one (5.5, 32).

    ``max_level``: ChargeProfileMaxStackLevel, ``None`` = unknown. High ones lie over profiles that
    others have left in the station.
    """
    lowest = model.lowest_level
    highest = lowest + 1 if max_level is None else max_level
    one: LevelPair = (None, min(lowest, highest) if max_level is not None else lowest)
    if model.levels is Levels.LOWEST:
        return (one,)
    if model.levels is Levels.BELOW_HIGHEST and max_level is not None:
        highest -= 1
    tops = (highest, highest - 1, lowest + 1)
    pairs = [(top - 1, top) for top in tops if lowest < top <= highest]
    return *dict.fromkeys(pairs), one


def forms(
    model: Model, *, max_level: int | None, units: tuple[RateUnit, ...], has_one_connector: bool
) -> tuple[Form, ...]:
    """Return every way to tell a station its limits, in the order in which they are tried.

    ChargePointMaxProfile counts for the whole station, so it is for those with one connector.
    """
    found: dict[Form, None] = {}
    pairs = level_pairs(model, max_level)
    for purpose in model.purposes:
        if purpose is Purpose.STATION_MAX and not has_one_connector:
            continue
        first = Form(
            purpose=purpose,
            levels=pairs[0],
            relative=_is_relative(model, purpose),
            unit=units[0],
            number_phases=model.number_phases,
            base_starts=model.needs_start_schedule,
        )
        found.update(dict.fromkeys(replace(first, levels=pair) for pair in pairs))
        for variant in _variants(first, model, units):
            for pair in dict.fromkeys((pairs[0], pairs[-1])):
                found[replace(variant, levels=pair)] = None
    return _shared(tuple(found))


@lru_cache(maxsize=256)
def _shared(ways: tuple[Form, ...]) -> tuple[Form, ...]:
    """Return the same object for the same ways: a garage has hundreds of stations of one model."""
    return ways


def _is_relative(model: Model, purpose: Purpose) -> bool:
    """What is no matter of a transaction cannot be relative to its start (OCPP 1.6, 7.10)."""
    return model.schedule is Schedule.RELATIVE and purpose is not Purpose.STATION_MAX


def _variants(first: Form, model: Model, units: tuple[RateUnit, ...]) -> Iterator[Form]:
    """What else is tried, one thing at a time."""
    if not first.base_starts and not first.relative:
        yield replace(first, base_starts=True)
    if first.purpose is not Purpose.STATION_MAX:
        yield replace(first, relative=not first.relative)
    if model.number_phases is NumberPhases.AS_ORDERED:
        yield replace(first, number_phases=NumberPhases.ALWAYS)
    yield replace(first, ends_by_period=True)
    for unit in units[1:]:
        yield replace(first, unit=unit)


class Cascade:
    """Where one connection is among the ways of its station.

    A way that was refused is not tried again, so that no refusal is answered with pestering. When
    none is left, the last that worked is all that is tried until the station boots again; ways that
    need a transaction are left for when one runs. A station that takes a base in one way only, and
    a lease in another one only, would keep us changing for ever otherwise.
    """

    def __init__(self, ways: tuple[Form, ...], *, proved: Form | None = None) -> None:
        """``proved``: the way that worked for this station or its like before."""
        self._ways = ways
        if proved in ways:
            self._ways = (proved, *(way for way in ways if way != proved))
        self._at = 0
        self._worked = 0
        self._untried = 0
        """Where the ways begin that could not be tried without a transaction."""
        self.is_exhausted = False
        """Every way that could be tried was refused."""

    def current(self, *, has_transaction: bool) -> Form | None:
        """Return the way to try; ``None`` when there is one only while a transaction runs."""
        for way in self._ways[self._at :]:
            if has_transaction or way.purpose is not Purpose.TX:
                return way
        return None

    def accepted(self, way: Form) -> None:
        """A limit was taken in this way."""
        self._at = self._worked = self._ways.index(way)

    def refused(self, way: Form, *, has_transaction: bool) -> bool:
        """A limit was refused in this way; tells whether another one is to be tried."""
        if self.is_exhausted:
            return False
        self._at = self._ways.index(way) + 1
        if self.current(has_transaction=has_transaction) is not None:
            return True
        self._untried, self._at, self.is_exhausted = self._at, self._worked, True
        return False

    def transaction_began(self) -> None:
        """Ways that need a transaction can be tried now."""
        left = self._ways[self._untried :]
        if self.is_exhausted and any(way.purpose is Purpose.TX for way in left):
            self._at, self.is_exhausted = self._untried, False
