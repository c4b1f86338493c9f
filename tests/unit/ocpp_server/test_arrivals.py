"""Stations that come in together share a claim, and fail together when the ledger is away."""

import asyncio
from collections.abc import Sequence
from typing import cast

from ocpp_server.arrivals import Arrivals
from ocpp_server.ledger import Claim, Ledger
from shared.errors import StoreUnavailable


class SlowLedger:
    """Notes who is claimed together."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.is_away = False

    async def claim(self, station_ids: Sequence[str]) -> list[Claim]:
        self.asked.append(list(station_ids))
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable("database: away")
        return [Claim(len(self.asked), ()) for _ in station_ids]


async def test_who_comes_while_others_are_claimed_goes_together() -> None:
    ledger = SlowLedger()
    arrivals = Arrivals(cast("Ledger", ledger))
    claims = await asyncio.gather(*(arrivals.claim(f"CP{number}") for number in range(5)))
    assert ledger.asked == [["CP0"], ["CP1", "CP2", "CP3", "CP4"]]
    assert [claim.epoch for claim in claims] == [1, 2, 2, 2, 2]


async def test_everybody_hears_that_the_ledger_is_away_and_can_come_again() -> None:
    ledger = SlowLedger()
    ledger.is_away = True
    arrivals = Arrivals(cast("Ledger", ledger))
    outcomes = await asyncio.gather(
        *(arrivals.claim(f"CP{number}") for number in range(3)), return_exceptions=True
    )
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    ledger.is_away = False
    assert (await arrivals.claim("CP0")).epoch == len(ledger.asked)
