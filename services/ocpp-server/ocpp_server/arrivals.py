"""Stations that come in together are claimed together: a whole garage, after a restart."""

from collections.abc import Sequence
from dataclasses import dataclass

from ocpp_server.ledger import Claim, Ledger
from shared.rounds import Rounds

MOST_TOGETHER = 200
_NOT_YET = Claim(0, ())


@dataclass(slots=True)
class Arrival:
    """A station that came in."""

    station_id: str
    claim: Claim = _NOT_YET


class Arrivals:
    """Claims stations in the ledger, in rounds."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rounds = Rounds(self._claim, most=MOST_TOGETHER)

    async def claim(self, station_id: str) -> Claim:
        """Make a connection the newest one of its station. Raises ``StoreUnavailable``."""
        arrival = Arrival(station_id)
        await self._rounds.ask(arrival)
        return arrival.claim

    async def _claim(self, arrivals: Sequence[Arrival]) -> None:
        claims = await self._ledger.claim([arrival.station_id for arrival in arrivals])
        for arrival, claim in zip(arrivals, claims, strict=True):
            arrival.claim = claim
