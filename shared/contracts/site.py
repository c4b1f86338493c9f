"""The site: everything an operator configures, as one immutable snapshot with a revision.

``SiteConfig`` is also the file format of ``/api/v1/site`` and of ``examples/*.yaml``.
"""

from datetime import datetime, time
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from shared.contracts.message import Contract, Event, Reply, Request
from shared.units import MINIMUM_CHARGING_A, NOMINAL_VOLTAGE_V, PHASES, Phase, PhaseAmps

Identifier = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Amps = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]
Watts = Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)]
CONTROLLABLE_W = 4_200.0
"""Section 14a EnWG, BNetzA BK6-22-300 (2.4): what can draw more is a controllable consumer."""
SecurityProfile = Annotated[int, Field(ge=0, le=3)]
"""OCPP security profile: 1 = password, 2 = TLS and password, 3 = TLS and client certificate."""


class ConfigPart(Contract):
    """A part of the configuration file. An unknown key is a typing error, so it is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Mode(StrEnum):
    """S1: what load management does."""

    LOAD_MANAGEMENT = "load_management"
    MONITOR = "monitor"
    OFF = "off"


class DeactivationPolicy(StrEnum):
    """S9: what happens to a device that the manager lets go."""

    SWITCH_OFF = "switch_off"
    MINIMUM = "minimum"
    CANCEL_LIMITS = "cancel_limits"


class Sharing(StrEnum):
    """How the EVSEs of one class share what does not suffice for all."""

    EQUAL = "equal"
    """The same current for each, in proportion to their weights."""
    NEED = "need"
    """In proportion to what each still needs for each hour of its stay."""
    DEADLINE = "deadline"
    """First whoever has the least time to spare before he leaves."""
    FIRST_COME = "first_come"
    """All he can take to whoever came first, then the next one."""


class TlsMode(StrEnum):
    """S4: which connections the OCPP port takes."""

    OFF = "off"
    DETECT = "detect"
    ON = "on"


class PhaseLimits(ConfigPart):
    """A limit on each phase, in ampere."""

    L1: Amps
    L2: Amps
    L3: Amps

    def on(self, phase: Phase) -> float:
        """Return the limit on one phase."""
        return float(getattr(self, phase.value))

    @property
    def amps(self) -> PhaseAmps:
        """The same as three currents."""
        return PhaseAmps(l1=self.L1, l2=self.L2, l3=self.L3)


def _one_number_for_all_phases(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {phase.value: value for phase in PHASES}
    return value


AnyPhaseLimits = Annotated[PhaseLimits | None, BeforeValidator(_one_number_for_all_phases)]
"""A limit on each phase; one number stands for all three."""


class Weekday(StrEnum):
    """A day of the week."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


class ScheduledLimit(ConfigPart):
    """A limit for some hours of some days, in the time of the site's zone."""

    days: tuple[Weekday, ...] = tuple(Weekday)
    begins: time = time(0)
    ends: time = time(0)
    """Not later than ``begins`` = on the next day; equal = the whole day."""
    limit_a: AnyPhaseLimits = None
    limit_w: Watts | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> "ScheduledLimit":
        if self.limit_a is None and self.limit_w is None:
            raise ValueError("give limit_a, limit_w or both")
        if self.begins.tzinfo is not None or self.ends.tzinfo is not None:
            raise ValueError("write begins and ends without a zone: the site's time_zone counts")
        return self


class Circuit(ConfigPart):
    """A fuse. Exactly one has no parent: the root, which is the grid connection."""

    id: Identifier
    name: str = ""
    parent: Identifier | None = None
    limit_a: Annotated[PhaseLimits, BeforeValidator(_one_number_for_all_phases)]
    guard_a: Amps = 0.0
    """Kept free on each phase, for what other consumers add within seconds.

    Where a meter shows what they draw, no more is kept than they lack to ``uncontrolled_a``.
    """
    limit_w: Watts | None = None
    """Power of all phases together, by contract for example; ``None`` = the fuse alone counts."""
    mean_limit_w: Watts | None = None
    """The mean power of any quarter of an hour of the clock, as many tariffs count it."""
    schedule: tuple[ScheduledLimit, ...] = ()
    """Limits that hold at times; of several the least counts."""
    uncontrolled_a: Amps = 0.0
    """What other consumers may draw at this circuit itself, per phase, when no meter tells.

    The worst case; that of the circuits below it comes on top.
    """


class Group(ConfigPart):
    """EVSEs that share a limit or a rank wherever they hang: a tenant, a fleet, visitors."""

    id: Identifier
    name: str = ""
    limit_a: AnyPhaseLimits = None
    """What all its EVSEs may draw together; ``None`` = no limit of its own."""
    limit_w: Watts | None = None
    """The same as power of all phases together."""
    priority: Annotated[int, Field(ge=0, le=100)] | None = None
    """Counts instead of that of its EVSEs; ``None`` = each keeps its own."""


class ModbusAccess(ConfigPart):
    """How to reach a Modbus device. TCP when ``host`` is given, serial when ``serial_port`` is."""

    template: Identifier
    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    serial_port: str | None = None
    baud: int | None = None
    comset: Annotated[str, Field(pattern=r"^[78][NEO][12]$")] | None = None
    framing: Literal["tcp", "rtu"] | None = None
    """``rtu`` with a host is RTU over TCP, as serial-to-Ethernet converters speak it."""
    unit: Annotated[int, Field(ge=0, le=255)] | None = None

    @model_validator(mode="after")
    def _has_one_way(self) -> "ModbusAccess":
        if (self.host is None) == (self.serial_port is None):
            raise ValueError("give either host (Modbus TCP) or serial_port (Modbus RTU), not both")
        return self


class Station(ConfigPart):
    """A box with one address: an OCPP charge point (S3) or a Modbus wallbox (S23)."""

    id: Identifier
    """The ChargeBox id of an OCPP station (S3); any unique name for a Modbus one."""
    name: str = ""
    protocol: Literal["ocpp", "modbus"]
    modbus: ModbusAccess | None = None
    password_hash: str | None = None
    """Hash of its own password; without one the server's password counts."""
    next_password_hash: str | None = None
    """Of a password that is being given to it. Either is accepted until this one was used once."""
    security_profile: SecurityProfile | None = None
    """The lowest OCPP security profile accepted of it; ``None`` = what the port allows."""
    next_security_profile: SecurityProfile | None = None
    """The profile it was told to use; becomes ``security_profile`` when it connects with it."""
    certificate_name: str | None = None
    """S21: the common name of its client certificate, usually its serial number; ``None`` = its id.
    """
    certificate_fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the one client certificate that is accepted of it, whatever name is in it."""
    model: Identifier | None = None
    """Whose habits it has (a file of ocpp-server's ``models``); ``None`` = as it boots."""
    configuration: dict[str, str] = Field(default_factory=dict)
    """OCPP keys that it is to have, beside those of its model."""
    local_list: bool = False
    """Keep the site's tokens in its local authorization list, for when the manager is away."""

    @property
    def authorises_itself(self) -> bool:
        """It starts a transaction only for an authorised user, so it needs no permission."""
        return self.protocol == "ocpp"

    @model_validator(mode="after")
    def _modbus_fits_protocol(self) -> "Station":
        if (self.protocol == "modbus") != (self.modbus is not None):
            raise ValueError(
                "a station with protocol modbus needs a modbus section, no other has one"
            )
        return self


class Backend(ConfigPart):
    """S2, S17: the backend an EVSE is shown to. Same url and client id = one charge point."""

    url: Annotated[str, Field(pattern=r"^wss?://\S+$")]
    client_id: Identifier
    password: str | None = None
    trusted_certificates: tuple[str, ...] = ()
    """S20: PEM certificates or roots. None = TLS is made without verifying the backend."""
    client_certificate: Identifier | None = None
    """S21: the certificate of ``/certificates`` that is shown to the backend."""


class Evse(ConfigPart):
    """One outlet that load management controls."""

    id: Identifier
    name: str = ""
    station: Identifier
    connector: Annotated[int, Field(ge=1, le=64)] = 1
    circuit: Identifier
    enabled: bool = True
    phases: Literal[1, 3] = 3
    """How many phases the box is wired to. What the car uses is measured."""
    rotation: tuple[Phase, ...] | None = PHASES
    """Grid phase at the box's L1, L2, L3. ``null`` = unknown: a current counts on all phases."""
    min_a: Annotated[float, Field(ge=MINIMUM_CHARGING_A, le=80)] = MINIMUM_CHARGING_A
    max_a: Annotated[float, Field(ge=MINIMUM_CHARGING_A, le=1_000)] = 32.0
    step_a: Annotated[float, Field(gt=0, le=16)] = 0.1
    switches_phases: bool = False
    """The box can change between three phases and its first one while a vehicle is plugged in."""
    surplus_only: bool = False
    """Charge from what the sun gives and nobody else uses, unless told otherwise by hand."""
    priority: Annotated[int, Field(ge=0, le=100)] = 1
    """Higher classes are served first."""
    group: Identifier | None = None
    weight: Annotated[float, Field(gt=0, le=100)] = 1.0
    fallback_a: Amps = 0.0
    """S8: what the box may draw when it has lost the manager. 0 = nothing."""
    fixed_token: str | None = None
    """S24: the RFID reported to the backend where there is no reader."""
    backend: Backend | None = None

    @property
    def most_w(self) -> float:
        """The most it can draw, at the nominal voltage."""
        return NOMINAL_VOLTAGE_V * self.phases * self.max_a

    @property
    def is_controllable(self) -> bool:
        """The grid operator may lower it (section 14a EnWG)."""
        return self.most_w > CONTROLLABLE_W

    @model_validator(mode="after")
    def _limits_fit(self) -> "Evse":
        if self.min_a > self.max_a:
            raise ValueError(f"min_a {self.min_a} is above max_a {self.max_a}")
        if 0 < self.fallback_a < self.min_a:
            raise ValueError(f"fallback_a must be 0 or at least min_a {self.min_a}")
        if self.fallback_a > self.max_a:
            raise ValueError(f"fallback_a {self.fallback_a} is above max_a {self.max_a}")
        return self

    @model_validator(mode="after")
    def _rotation_is_a_permutation(self) -> "Evse":
        if self.rotation is not None and sorted(self.rotation) != list(PHASES):
            raise ValueError("rotation must name L1, L2 and L3 once each, or be null")
        return self


class MeterRole(StrEnum):
    """What the current that a meter shows consists of."""

    GRID = "grid"
    """All that flows through its circuit, EVSEs below it included."""
    CONSUMPTION = "consumption"
    """Other consumers of its circuit only."""
    GENERATION = "generation"
    """What the sun (or another source) feeds into its circuit, as a negative current."""


class Meter(ConfigPart):
    """A meter that tells what flows on a circuit."""

    id: Identifier
    name: str = ""
    circuit: Identifier
    role: MeterRole = MeterRole.GRID
    modbus: ModbusAccess


class Dimming(ConfigPart):
    """Section 14a EnWG (BNetzA BK6-22-300, annex 1): the grid operator may lower consumers.

    What is not told here is counted from the EVSEs: each above 4.2 kW is one device.
    """

    heat_pump_w: Watts = 0.0
    """Grid connection power of all heat pumps together, which count as one device; 0 = none."""
    cooling_w: Watts = 0.0
    """The same for cooling."""
    other_devices: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Storage and other controllable devices above 4.2 kW."""
    others_w: Watts = 0.0
    """What those devices, heat pumps and cooling may draw while dimmed; kept free for them."""
    silent_after_s: Annotated[float, Field(ge=10, le=86_400)] | None = None
    """A control box that was heard once and is silent for longer counts as dimming; ``null`` = it
    speaks only when something changes."""
    release_s: Annotated[float, Field(ge=0, le=3_600)] = 300.0
    """So long the way back takes after the end (4.3: not all at once)."""


class TokenStatus(StrEnum):
    """How a token is answered (OCPP 1.6 AuthorizationStatus, without ConcurrentTx)."""

    ACCEPTED = "accepted"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    INVALID = "invalid"


class Token(ConfigPart):
    """An RFID card or other idTag."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    name: str = ""
    status: TokenStatus = TokenStatus.ACCEPTED
    parent: str | None = None
    """The group it belongs to: any token of it may stop what another one started."""
    expires_at: datetime | None = None
    """From then on it is expired."""


class OcppServerConfig(ConfigPart):
    """S4-S6, and how patient the server is."""

    tls: TlsMode = TlsMode.DETECT
    password_hash: str | None = None
    """S6: hash of the password for stations that have none of their own."""
    cpo_name: Annotated[str, Field(max_length=64)] = ""
    """The operator: organisation (O) of the certificates that stations get, and key ``CpoName``."""
    heartbeat_interval_s: Annotated[int, Field(ge=5, le=86_400)] = 300
    meter_interval_s: Annotated[int, Field(ge=1, le=3_600)] = 10
    call_timeout_s: Annotated[float, Field(gt=0, le=300)] = 30.0
    backend_answer_timeout_s: Annotated[float, Field(gt=0, le=60)] = 8.0
    """How long a station waits for its backend before it is answered locally."""
    ping_interval_s: Annotated[float, Field(ge=5, le=3_600)] = 30.0
    """Below what proxies on the way cut idle connections after (field notes 5.1, 6)."""
    frame_limit_bytes: Annotated[int, Field(ge=65_536, le=64 << 20)] = 8 << 20
    """The longest message of a station. A day of signed samples is long (field notes 5.2, 16)."""
    handshakes_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 600
    """Connections that one address may open; more are turned away at once."""
    failed_passwords_per_minute: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Wrong passwords that one address may try before it has to wait."""
    log_id_tags: bool = False
    """Show id tags in the message log; otherwise pseudonyms are stored."""


class SiteConfig(ConfigPart):
    """The whole configuration. References are checked by ``api.domain.site_rules``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: int = 0
    tokens_revision: int = 0
    """When tokens were last changed; the version of local lists follows it. Set by the api."""
    name: str = "Parkade"
    time_zone: Annotated[str, Field(min_length=1, max_length=64)] = "Europe/Berlin"
    """IANA name. For stations that tell the time of the place instead of UTC (field notes 5.1, 9).
    """
    mode: Mode = Mode.LOAD_MANAGEMENT
    deactivation: DeactivationPolicy = DeactivationPolicy.SWITCH_OFF
    sharing: Sharing = Sharing.EQUAL
    plans_ahead: bool = False
    """With ``sharing`` by deadline: plan until the last departure when not all can be full in time.

    It delivers more. Off unless asked for: read ADR 14 before, which names a patent.
    """
    equal_first_kwh: Annotated[float, Field(ge=0, le=100)] = 0.1
    """So much of each session is shared equally whatever ``sharing`` says: plans may be wrong."""
    assumed_stay_h: Annotated[float, Field(gt=0, le=168)] = 12.0
    """How long a vehicle without a plan is taken to stay, where ``sharing`` asks for that."""
    assumed_kwh: Annotated[float, Field(gt=0, le=1_000)] = 30.0
    """How much it is taken to want."""
    imbalance_a: Amps | None = None
    """How much more one phase may carry than another for cars on fewer than three phases.

    20 A in Germany (VDE-AR-N 4100: 4.6 kVA), 16 A in Austria and Switzerland; ``null`` = any.
    """
    dimming: Dimming | None = None
    """Section 14a EnWG; ``null`` = the site takes no part."""
    accept_unknown_tokens: bool = False
    """Free charging: every token is accepted unless it is listed as something else."""
    lease_s: Annotated[int, Field(ge=5, le=3_600)] = 120
    """How long a box may use its limit without hearing from load management again."""
    poll_interval_s: Annotated[float, Field(ge=0.1, le=60)] = 1.0
    ocpp_server: OcppServerConfig = OcppServerConfig()
    circuits: tuple[Circuit, ...] = ()
    groups: tuple[Group, ...] = ()
    stations: tuple[Station, ...] = ()
    evses: tuple[Evse, ...] = ()
    meters: tuple[Meter, ...] = ()
    tokens: tuple[Token, ...] = ()

    def __copy__(self) -> Self:
        """A copy may get other parts (``model_copy``), so it looks them up anew."""
        copied = super().__copy__()
        for lookup in ("_stations_by_id", "_evses_by_id", "_evses_by_station"):
            copied.__dict__.pop(lookup, None)
        return copied

    def station(self, station_id: str) -> Station | None:
        """Return the station of that id, compared without regard to case (field notes 5.1, 3)."""
        return self._stations_by_id.get(station_id.casefold())

    @cached_property
    def _stations_by_id(self) -> dict[str, Station]:
        """Looked up at every connect, among thousands."""
        return {station.id.casefold(): station for station in reversed(self.stations)}

    def evse(self, evse_id: str) -> Evse | None:
        """Return the EVSE of that id."""
        return self._evses_by_id.get(evse_id)

    def evses_of(self, station_id: str) -> tuple[Evse, ...]:
        """Return the EVSEs that are connectors of one station."""
        return self._evses_by_station.get(station_id, ())

    @cached_property
    def _evses_by_id(self) -> dict[str, Evse]:
        return {evse.id: evse for evse in reversed(self.evses)}

    @cached_property
    def _evses_by_station(self) -> dict[str, tuple[Evse, ...]]:
        by_station: dict[str, tuple[Evse, ...]] = {}
        for evse in self.evses:
            by_station[evse.station] = (*by_station.get(evse.station, ()), evse)
        return by_station

    def token(self, token_id: str) -> Token | None:
        """Return the token of that id, compared without regard to case (OCPP CiString)."""
        wanted = token_id.casefold()
        return next((t for t in self.tokens if t.id.casefold() == wanted), None)


class SiteChanged(Event):
    """The operator saved a new configuration; the snapshot is complete."""

    topic: ClassVar[str] = "site.changed.v1"
    address_space: ClassVar[str] = "service"
    address_field: ClassVar[str] = "owner"

    owner: str = "site"
    site: SiteConfig


class SiteAnswer(Reply):
    """The present configuration."""

    site: SiteConfig


class GetSite(Request[SiteAnswer]):
    """Ask api for the present configuration."""

    topic: ClassVar[str] = "site.get.v1"
    address_space: ClassVar[str] = "service"
    address_field: ClassVar[str] = "owner"
    reply: ClassVar[type[Reply]] = SiteAnswer

    owner: str = "site"
