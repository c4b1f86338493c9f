"""The habits of a model of station: what its makers read differently from OCPP 1.6, as data.

A model file says only what a public thread says of that model. What no file says is tried out by
the cascade of ``profile_forms``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class RateUnit(StrEnum):
    """ChargingRateUnitType."""

    AMPS = "A"
    WATTS = "W"


class Purpose(StrEnum):
    """ChargingProfilePurposeType."""

    TX_DEFAULT = "TxDefaultProfile"
    TX = "TxProfile"
    STATION_MAX = "ChargePointMaxProfile"


class Levels(StrEnum):
    """Which stack levels a station takes (field notes 5.5, 32)."""

    ANY = "any"
    BELOW_HIGHEST = "below_highest"
    """The highest that it names is refused."""
    LOWEST = "lowest"
    """One level only, the lowest."""


class Schedule(StrEnum):
    """ChargingProfileKindType, as far as we use it."""

    ABSOLUTE = "absolute"
    RELATIVE = "relative"


class NumberPhases(StrEnum):
    """When a schedule tells how many phases it is for (field notes 5.5, 36)."""

    AS_ORDERED = "as_ordered"
    ALWAYS = "always"
    NEVER = "never"


class WattsPhases(StrEnum):
    """For how many phases a limit in watt is counted while nobody knows what the car uses."""

    WIRED = "wired"
    ONE = "one"
    """Less is offered, and a car of three phases may not begin at all."""


class LocalTime(StrEnum):
    """Which timestamps are of the time of the place, not of UTC (field notes 5.1, 9)."""

    NEVER = "never"
    WITHOUT_ZONE = "without_zone"
    """Those that name no zone; one that says UTC is believed."""
    EVEN_AS_UTC = "even_as_utc"
    """Those that say UTC are as well."""


class BootTrigger(StrEnum):
    """Whether a station that has not booted is asked to (field notes 5.1, 7)."""

    ONCE = "once"
    NEVER = "never"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Match(_Data):
    """Which BootNotifications are of a model; ``*`` stands for anything, case does not matter."""

    vendor: str = "*"
    model: str = "*"
    firmware: str = "*"

    def fits(self, identity: "Identity") -> bool:
        """Tell whether a station that introduces itself like this is meant."""
        return (
            _fits(self.vendor, identity.vendor)
            and _fits(self.model, identity.model)
            and _fits(self.firmware, identity.firmware)
        )

    @property
    def precision(self) -> int:
        """How much it demands: the model file that demands most is taken."""
        return sum(len(p.replace("*", "")) for p in (self.vendor, self.model, self.firmware))


class Model(_Data):
    """The habits of one model. The defaults are those of a station that nobody knows."""

    match: tuple[Match, ...] = ()
    """Any of them; none = only where the site names the model."""
    levels: Levels = Levels.ANY
    lowest_level: Annotated[int, Field(ge=0, le=100)] = 0
    """Levels below are not used."""
    rate_unit: RateUnit | None = None
    """The only unit it takes; ``None`` = as its configuration says."""
    whole_amps: bool = False
    schedule: Schedule = Schedule.ABSOLUTE
    """What is tried first."""
    purposes: tuple[Purpose, ...] = (Purpose.TX_DEFAULT, Purpose.STATION_MAX, Purpose.TX)
    """In the order in which they are tried."""
    number_phases: NumberPhases = NumberPhases.AS_ORDERED
    switches_phases: bool | None = None
    """It changes between one and three phases as a schedule says; ``None`` = if its configuration
    does not deny it (``ConnectorSwitch3to1PhaseSupported``). See ``can_switch_phases``."""
    needs_start_schedule: bool = False
    """A profile without startSchedule is refused or ignored (field notes 5.5, 37)."""
    never_zero: bool = False
    """It faults at 0 A (5.5, 39): it is left at its minimum, and the order counts as refused."""
    watts_phases: WattsPhases = WattsPhases.WIRED
    keys_per_question: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """The most keys of one GetConfiguration; one without keys is not sent (5.4, 27)."""
    answers_configuration: bool = True
    """False: GetConfiguration is never answered."""
    boot_trigger: BootTrigger = BootTrigger.ONCE
    takes_availability_of_all: bool = True
    """False: ChangeAvailability is for its connectors only, never for 0 (5.4, 31)."""
    local_time: LocalTime = LocalTime.NEVER
    """Read with the site's ``time_zone``. It is told UTC like any other (OCPP 1.6, 3.13)."""
    minimum_meter_interval_s: Annotated[int, Field(ge=0, le=3_600)] = 0
    measurands: tuple[str, ...] | None = None
    """The measurands that it takes; ``None`` = those that we like."""
    configuration: dict[str, str] = Field(default_factory=dict)
    """OCPP keys that it needs."""

    def can_switch_phases(self, told: str | None) -> bool:
        """Tell whether its number of phases can be ordered (field notes 5.5, 36).

        ``told``: the value of ConnectorSwitch3to1PhaseSupported, ``None`` = it has no such key;
        then the site is believed. The file counts more: a go-e says true and does nothing (#154).
        """
        if self.number_phases is NumberPhases.NEVER:
            return False
        if self.switches_phases is not None:
            return self.switches_phases
        return told is None or told.strip(" '\"").casefold() != "false"


UNKNOWN_MODEL = Model()
_LONGEST = 64
"""Characters; OCPP has 50 at most (4.2)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a station says it is (BootNotification)."""

    vendor: str
    model: str
    firmware: str

    @classmethod
    def told(cls, vendor: str, model: str, firmware: str) -> "Identity":
        """Return an identity that is worth remembering, however long the words of it are."""
        return cls(vendor[:_LONGEST], model[:_LONGEST], firmware[:_LONGEST])


def recognise(models: Mapping[str, Model], identity: Identity) -> str | None:
    """Return the name of the model that an identity is of; the most precise match wins."""
    fitting = [
        (match.precision, name)
        for name, model in models.items()
        for match in model.match
        if match.fits(identity)
    ]
    return max(fitting)[1] if fitting else None


def _fits(pattern: str, told: str) -> bool:
    """Compare piece by piece between the ``*``; any other character means itself."""
    first, *others = pattern.casefold().split("*")
    text = told.strip().casefold()
    if not others:
        return text == first
    if not text.startswith(first):
        return False
    at = len(first)
    for piece in others[:-1]:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - at >= len(others[-1]) and text.endswith(others[-1])
