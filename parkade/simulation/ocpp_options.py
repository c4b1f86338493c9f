"""What kind of OCPP station is simulated: its identity plate, and the habits of the field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """Habits of real stations (field notes, section 5)."""

    obeys_after_s: float = 0.0
    """Lag between an accepted profile and the offer."""
    ignores_limits: bool = False
    """Accepts every profile and charges with its maximum."""
    ignores_number_phases: bool = False
    """Takes numberPhases and charges on all phases, whatever it says of itself (5.5, 36)."""
    switches_phases_after_s: float = 0.0
    """How long it leaves the car without current when it changes its phases."""
    offers_subprotocol: bool = True
    """Some stations offer none at all (5.1, 1)."""
    subprotocols: tuple[str, ...] = ("ocpp1.6",)
    boots_on_reconnect: bool = True
    """Some boot only once after power-on (5.1, 7)."""
    refuses_profiles: bool = False
    forgets_profiles_on_reset: bool = False
    """Stations of the field keep profiles even over a reset (S11)."""
    sends_numbers_as_text: bool = False
    """Breaks the schema and keeps the meaning: ``"connectorId": "1"`` (5.2, 12)."""


@dataclass(frozen=True, kw_only=True)
class BoxOptions:
    """A station as it leaves the shop."""

    vendor: str = "Parkade"
    model: str = "SimBox 2"
    serial: str | None = None
    firmware: str = "1.0.0"
    autostart_token: str | None = None
    """Free charging: plugging in starts a transaction with this idTag, without Authorize."""
    has_signing_meter: bool = False
    """Signed readings (OCMF) in StopTransaction (S14)."""
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Configuration keys that differ from the factory's."""
    data_transfer_replies: Mapping[str, dict[str, str]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """Answers to DataTransfer of known vendors."""
    reconnect_s: float = 1.0
    """First pause before it connects again; doubles up to a minute."""
    reboot_s: float = 0.5
    call_timeout_s: float = 30.0
    quirks: Quirks = Quirks()
