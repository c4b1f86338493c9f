"""The seam between the wire and OCPP: the core knows these, and no socket."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from ocpp_server.domain.handshake import Admission, Handshake, Refusal
from shared.contracts.site import OcppServerConfig


class Link(Protocol):
    """An open WebSocket to an admitted station."""

    @property
    def handshake(self) -> Handshake:
        """What it came with."""
        ...

    @property
    def admission(self) -> Admission:
        """As whom it was admitted."""
        ...

    def send(self, text: str) -> None:
        """Send a text frame; does nothing when the connection is gone."""
        ...

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say good-bye; ``Receiver.closed`` follows. Repeating it does nothing."""
        ...


class Receiver(Protocol):
    """Whoever reads a link. Called on the event loop, in order; must return at once."""

    def received(self, text: str) -> None:
        """A whole message arrived. (Binary frames are decoded as UTF-8 or closed with 1003.)"""
        ...

    def closed(self, code: int, reason: str) -> None:
        """The connection is gone; nothing comes after this."""
        ...


def _nobody(_address: str | None) -> Refusal | None:
    return None


def _usual_frame_limit(_station_id: str | None) -> int:
    return OcppServerConfig().frame_limit_bytes


def _usual_ping_interval_s() -> float:
    return OcppServerConfig().ping_interval_s


@dataclass(frozen=True, kw_only=True)
class Front:
    """What the listener asks of the core."""

    admit: Callable[[Handshake], Awaitable[Admission | Refusal]]
    """May take a while (password hashing); the station waits, others do not."""
    opened: Callable[[Link], Receiver]
    refused: Callable[[Handshake, Refusal], None]
    """Told of every refusal, those that the listener decides (path, TLS) included."""
    turned_away: Callable[[str | None], Refusal | None] = _nobody
    """Counts a connection of an address; says why it may not even begin."""
    frame_limit: Callable[[str | None], int] = _usual_frame_limit
    """Bytes of the longest message of a station; ``None`` = of any that is not admitted yet."""
    ping_interval_s: Callable[[], float] = _usual_ping_interval_s
