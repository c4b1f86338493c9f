"""Refused connections as they are kept: one record for each station, address and reason.

A wallbox that is refused tries again for ever, so what is alike is counted and the newest shown.
"""

from dataclasses import dataclass
from datetime import datetime

from api.domain.storable import storable, storable_name
from shared.contracts.station import StationConnected, StationRefused

LONGEST_TEXT = 1_000
MOST_SUBPROTOCOLS = 20

RefusalKey = tuple[str, str, str]
"""Station id without regard to case, address without port, reason."""


@dataclass(frozen=True, kw_only=True)
class RefusalRecord:
    """What happened, how often, and the newest of it."""

    station_id: str
    address: str
    """Of the peer, without its port, which is another each time."""
    reason: str
    peer: str
    detail: str
    path: str = ""
    subprotocols: tuple[str, ...] = ()
    user: str | None = None
    tls: bool = False
    tls_alert: str = ""
    first_at: datetime
    last_at: datetime
    count: int = 1

    @property
    def key(self) -> RefusalKey:
        """What is counted as the same."""
        return self.station_id.casefold(), self.address, self.reason


def refused(known: RefusalRecord | None, fact: StationRefused) -> RefusalRecord:
    """Return the record of a refusal, with what was known of the same before."""
    text, user = fact.detail, fact.user
    return RefusalRecord(
        station_id=storable_name(fact.station_id),
        address=storable_name(address_of(fact.peer)),
        reason=fact.reason.value,
        peer=storable_name(fact.peer),
        detail=storable(text, most=LONGEST_TEXT),
        path=storable(fact.path, most=LONGEST_TEXT),
        subprotocols=tuple(storable_name(name) for name in fact.subprotocols[:MOST_SUBPROTOCOLS]),
        user=None if user is None else storable_name(user),
        tls=fact.tls,
        tls_alert=storable_name(fact.tls_alert),
        first_at=fact.refused_at if known is None else known.first_at,
        last_at=fact.refused_at,
        count=1 if known is None else known.count + 1,
    )


def is_solved_by(record: RefusalRecord, fact: StationConnected) -> bool:
    """Tell whether a connection settles a refusal: the same station came in after it.

    Where nobody told who it was (TLS could not be made), the address has to do.
    """
    if record.last_at > fact.connected_at:
        return False
    if record.station_id:
        return record.station_id.casefold() == fact.station_id.casefold()
    return record.address == address_of(fact.peer)


def address_of(peer: str) -> str:
    """Return ``10.0.0.7`` of ``10.0.0.7:4711``, and ``fe80::1`` of ``fe80::1:4711``."""
    address, colon, port = peer.rpartition(":")
    return address if colon and port.isdigit() else peer
