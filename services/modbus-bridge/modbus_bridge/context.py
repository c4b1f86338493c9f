"""What every poller of this service works with."""

from dataclasses import dataclass, field

from modbus_bridge.journal import SessionJournal
from shared.bus.port import Bus, Inbox
from shared.clock import Clock
from shared.site_client import SiteClient


@dataclass(frozen=True, kw_only=True)
class Context:
    """The bus, the clock, the present site, where sessions are kept, and the latest epochs."""

    bus: Bus
    inbox: Inbox
    clock: Clock
    site: SiteClient
    journal: SessionJournal
    epochs: dict[str, int] = field(default_factory=dict)
    """The latest epoch of each station, which outlives its pollers."""
