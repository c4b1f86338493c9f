"""Puts new passwords and security profiles of stations into force when they come with them."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from api.configuration import Configuration, Edit, Saved
from api.domain.promotion import (
    Settlement,
    promotion_of,
    with_password_settled,
    with_settings,
)
from shared.bus.port import Bus, Delivery, Subscription
from shared.contracts.station import StationConnected
from shared.errors import Refused, StoreUnavailable

logger = logging.getLogger(__name__)

AUTHOR = "security"


class Promotions:
    """The only one that changes what is pending of a station."""

    def __init__(self, bus: Bus, configuration: Configuration) -> None:
        self._bus = bus
        self._configuration = configuration
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._subscription: Subscription | None = None

    def turn_of(self, station_id: str) -> asyncio.Lock:
        """Return the lock under which a station is given something: one thing after another."""
        return self._turns.setdefault(station_id.casefold(), asyncio.Lock())

    async def open(self) -> None:
        """Listen to stations that connect."""
        self._subscription = await self._bus.listen([StationConnected], self.heard)

    async def close(self) -> None:
        """Stop listening."""
        if self._subscription is not None:
            await self._subscription.close()

    async def heard(self, delivery: Delivery[StationConnected]) -> None:
        """A station has connected; what it came with is in force from now on.

        Without the database the old one stays good too, until the station connects again.
        """
        fact = delivery.message
        station = self._configuration.current.station(fact.station_id)
        if station is None or not promotion_of(station, fact):
            return
        try:
            await self._promote(fact)
        except (StoreUnavailable, Refused) as error:
            logger.warning("station %s is not promoted now: %s", station.id, error)

    async def change(self, station_id: str, changes: Mapping[str, Any]) -> None:
        """Set something pending. Raises ``Refused`` when the site cannot be saved."""
        await self._save(lambda stored: with_settings(stored, station_id, changes))

    async def settle_password(
        self, station_id: str, new_hash: str, *, settlement: Settlement, before: str | None
    ) -> None:
        """Act on the station's answer to a new password. Raises ``Refused`` as ``change``."""
        await self._save(
            lambda stored: with_password_settled(
                stored, station_id, new_hash, settlement=settlement, before=before
            )
        )

    async def _promote(self, fact: StationConnected) -> None:
        """Decide on the newest site, because another replica may have promoted already."""
        station = (await self._configuration.refresh()).station(fact.station_id)
        changes = {} if station is None else promotion_of(station, fact)
        if station is not None and changes:
            logger.info("station %s is promoted: %s", station.id, ", ".join(sorted(changes)))
            await self.change(station.id, changes)

    async def _save(self, edit: Edit) -> None:
        outcome = await self._configuration.save(edit, expected=None, author=AUTHOR)
        if not isinstance(outcome, Saved):
            raise Refused("the site cannot be saved now; try again")
