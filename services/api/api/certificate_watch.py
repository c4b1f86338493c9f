"""Raises and clears alarms about certificates, in the replica that answers for them."""

import asyncio
import logging
from typing import Any

from api.certificate_keeper import CertificateKeeper
from api.certificates import Certificates
from api.configuration import Configuration
from api.domain.certificate_alarms import alarms
from shared.bus.port import Bus, Delivery, Subscription
from shared.clock import Clock
from shared.contracts.alarm import AlarmChanged
from shared.contracts.certificate import CertificatesChanged
from shared.contracts.site import SiteChanged
from shared.contracts.station import FactsRequested
from shared.errors import ParkadeError

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 600.0


class CertificateWatch:
    """Compares what is kept with what is used: at every change, and now and then for the dates."""

    def __init__(
        self,
        bus: Bus,
        certificates: Certificates,
        configuration: Configuration,
        *,
        keeper: CertificateKeeper,
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._certificates = certificates
        self._configuration = configuration
        self._keeper = keeper
        self._clock = clock
        self._told: dict[str, AlarmChanged] = {}
        self._repeats = False
        self._woken = asyncio.Event()
        self._subscription: Subscription | None = None

    async def open(self) -> None:
        """Hear of changes from now on."""
        self._subscription = await self._bus.listen(
            [CertificatesChanged, SiteChanged, FactsRequested], self._heard
        )
        self._woken.set()

    async def close(self) -> None:
        """Hear nothing more."""
        if self._subscription is not None:
            await self._subscription.close()

    async def run(self) -> None:
        """Look for ever. Without the database the next look comes after the usual time."""
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            try:
                await self.look()
            except ParkadeError as error:
                logger.warning("certificates could not be looked at: %s", error)

    async def look(self) -> None:
        """Tell what came and what went since the last look; everything, if somebody asked."""
        if not self._keeper.answers:
            self._told = {}
            return
        told, self._repeats = ({} if self._repeats else self._told), False
        before, self._told = self._told, await self._active()
        for alarm_id in before.keys() - self._told.keys():
            now = self._clock.now()
            gone = before[alarm_id].model_copy(update={"active": False, "changed_at": now})
            await self._bus.publish(gone)
        for alarm_id, alarm in self._told.items():
            if alarm_id not in told or told[alarm_id].text != alarm.text:
                await self._bus.publish(alarm)

    async def _active(self) -> dict[str, AlarmChanged]:
        records, _ = await self._certificates.all()
        site = await self._configuration.refresh()
        found = await asyncio.to_thread(alarms, records, site, self._clock.now())
        return {alarm.alarm_id: alarm for alarm in found}

    async def _heard(self, delivery: Delivery[Any]) -> None:
        self._repeats = self._repeats or isinstance(delivery.message, FactsRequested)
        self._woken.set()
