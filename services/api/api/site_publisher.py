"""Answers ``GetSite`` for all services. Of several replicas the newest answers."""

import asyncio
import logging

from api.configuration import Configuration
from shared.bus.port import Bus, Delivery, Inbox
from shared.clock import Clock
from shared.contracts.message import Address, service_address
from shared.contracts.site import GetSite, SiteAnswer
from shared.errors import ParkadeError, Unroutable

logger = logging.getLogger(__name__)

SITE = service_address("site")
WATCH_EVERY_S = 2.0


class SitePublisher:
    """Owns the address of the site, and takes it again when its owner is gone."""

    def __init__(self, bus: Bus, configuration: Configuration, *, clock: Clock) -> None:
        self._bus = bus
        self._configuration = configuration
        self._clock = clock
        self._inbox: Inbox | None = None
        self._owns = False

    async def open(self) -> None:
        """Take the address; returns when questions reach this replica."""
        self._inbox = await self._bus.inbox(self._evicted)
        self._inbox.on(GetSite, self._answer)
        await self._take_over(self._inbox)

    async def watch(self) -> None:
        """Stand by while another replica answers, for ever."""
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            if not self._owns and self._inbox is not None and await self._nobody_answers():
                await self._take_over(self._inbox)

    async def _take_over(self, inbox: Inbox) -> None:
        self._owns = True
        await inbox.own(SITE, int(self._clock.now().timestamp() * 1000))

    async def _evicted(self, address: Address, epoch: int) -> None:
        logger.info("another replica answers for %s (epoch %s)", address, epoch)
        self._owns = False

    async def _nobody_answers(self) -> bool:
        try:
            await self._bus.ask(GetSite(), timeout_s=5.0)
        except Unroutable:
            return True
        except ParkadeError as error:
            logger.info("the site's owner does not answer: %s", error)
        return False

    async def _answer(self, _delivery: Delivery[GetSite]) -> SiteAnswer:
        return SiteAnswer(site=await self._configuration.refresh())
