"""Charging plans and overrides: kept until the vehicle leaves, told to load management, repeated.

What was seen of vehicles is gathered in memory and put to the records in order, so that nothing
is forgotten while the database is away; across a restart the records know whether one was there.
"""

import asyncio
import logging
from collections.abc import Sequence

from api.domain.plans import PlanRecord, Seen, joined, noted, revised, vehicle_seen
from api.storage.plans import PlanStore, Revision
from shared.bus.port import Bus, Delivery, Subscription
from shared.clock import Clock
from shared.contracts.evse import EvseObserved
from shared.contracts.plan import ChargingPlan, Override
from shared.contracts.site import SiteConfig
from shared.contracts.station import FactsRequested
from shared.errors import StoreUnavailable

logger = logging.getLogger(__name__)

REPEAT_EVERY_S = 15.0
"""A word that was lost on the way is heard by then."""


class Plans:
    """The last word about each EVSE. Load management remembers nothing, so it is told again.

    One change at a time: a word that was read before a newer one is not told after it.
    """

    def __init__(self, store: PlanStore, bus: Bus, *, clock: Clock, site: SiteConfig) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._changing = asyncio.Lock()
        self._there: dict[str, bool] = {}
        """Whether a vehicle is plugged in, as far as was told."""
        self._seen: dict[str, Seen] = {}
        """What the records have not been put to yet."""
        self._was_seen = asyncio.Event()
        self._is_failing = False
        self._subscription: Subscription | None = None
        self.use_site(site)

    async def open(self) -> None:
        """Listen for those who ask what there is."""
        self._subscription = await self._bus.listen([FactsRequested], self._heard)

    async def close(self) -> None:
        """Stop listening."""
        if self._subscription is not None:
            await self._subscription.close()

    async def run(self) -> None:
        """Repeat what holds, and forget it when the vehicle leaves, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_repeating())
            group.create_task(self._keep_following())

    def use_site(self, site: SiteConfig) -> None:
        """Take over a new site: what it does not name any more is forgotten."""
        self._evse_ids = {evse.id for evse in site.evses}
        for by_evse in (self._there, self._seen):
            for gone in by_evse.keys() - self._evse_ids:
                del by_evse[gone]

    def take(self, observed: EvseObserved) -> None:
        """Note whether a vehicle is there. Observations come newest last."""
        has_vehicle = vehicle_seen(observed)
        evse_id = observed.evse_id
        if has_vehicle is None or self._there.get(evse_id) is has_vehicle:
            return
        self._there[evse_id] = has_vehicle
        self._seen[evse_id] = noted(self._seen.get(evse_id, ()), has_vehicle)
        self._was_seen.set()

    async def set_plan(self, evse_id: str, plan: ChargingPlan | None) -> PlanRecord:
        """Keep the plan of an EVSE, or that there is none, and tell it.

        Raises ``StoreUnavailable``; then nothing has changed.
        """
        async with self._changing:
            await self._follow()
            record = await self._store.put_plan(self._record(evse_id, plan=plan))
            return await self._tell_change(record)

    async def set_override(self, evse_id: str, override: Override | None) -> PlanRecord:
        """Keep what is set by hand, or that nothing is, and tell it.

        Raises ``StoreUnavailable``; then nothing has changed.
        """
        async with self._changing:
            await self._follow()
            record = await self._store.put_override(self._record(evse_id, override=override))
            return await self._tell_change(record)

    async def current(self) -> Sequence[PlanRecord]:
        """Return what holds now. Raises ``StoreUnavailable``."""
        records = await self._store.all()
        return [record for record in records if record.holds and record.evse_id in self._evse_ids]

    async def of(self, evse_id: str) -> PlanRecord | None:
        """Return what holds at an EVSE. Raises ``StoreUnavailable``."""
        record = await self._store.of(evse_id)
        return record if record is not None and record.holds else None

    async def repeat(self) -> None:
        """Tell everything again. Without the database the last words hold."""
        async with self._changing:
            try:
                revisions = await self._revise(everywhere=True)
            except StoreUnavailable as error:
                self._failed(error)
                return
            self._is_failing = False
            for record in (revision.after for revision in revisions):
                if record is not None and record.evse_id in self._evse_ids:
                    await self._bus.publish(record.word())

    async def follow(self) -> None:
        """Put what was seen to the records; while the database is away it waits."""
        async with self._changing:
            try:
                await self._follow()
            except StoreUnavailable as error:
                self._failed(error)

    async def _keep_repeating(self) -> None:
        while True:
            await self.repeat()
            await asyncio.sleep(REPEAT_EVERY_S)

    async def _keep_following(self) -> None:
        while True:
            await self._was_seen.wait()
            await self.follow()

    async def _follow(self) -> None:
        if not self._seen:
            self._was_seen.clear()
            return
        for revision in await self._revise(everywhere=False):
            if revision.after is not None and revision.after.word() != revision.before.word():
                await self._bus.publish(revision.after.word())

    async def _revise(self, *, everywhere: bool) -> list[Revision]:
        """Put what was seen to the records of those EVSEs, and time to those of all others."""
        seen, self._seen = self._seen, {}
        self._was_seen.clear()
        now, known = self._clock.now(), self._evse_ids

        def rule(record: PlanRecord) -> PlanRecord | None:
            here = record.evse_id
            return revised(record, seen.get(here, ()), now, is_configured=here in known)

        try:
            revisions = await self._store.revise(rule, only=None if everywhere else seen)
        except BaseException:
            self._seen = {
                evse_id: joined(seen.get(evse_id, ()), self._seen.get(evse_id, ()))
                for evse_id in seen | self._seen
            }
            raise
        for revision in revisions:
            _log_end(revision)
        return revisions

    def _record(
        self, evse_id: str, *, plan: ChargingPlan | None = None, override: Override | None = None
    ) -> PlanRecord:
        return PlanRecord(
            evse_id=evse_id,
            plan=plan,
            override=override,
            has_vehicle=self._there.get(evse_id, False),
            changed_at=self._clock.now(),
        )

    async def _tell_change(self, record: PlanRecord) -> PlanRecord:
        logger.info("EVSE %s: plan %s, override %s", record.evse_id, record.plan, record.override)
        await self._bus.publish(record.word())
        return record

    async def _heard(self, _: Delivery[FactsRequested]) -> None:
        await self.repeat()

    def _failed(self, error: StoreUnavailable) -> None:
        if not self._is_failing:
            logger.warning("plans are neither repeated nor forgotten now: %s", error)
        self._is_failing = True


def _log_end(revision: Revision) -> None:
    before, after = revision.before, revision.after
    if after is None and before.holds:
        logger.info("EVSE %s is gone, and its plan and override with it", before.evse_id)
    elif after is not None and after.word() != before.word():
        told = (before.evse_id, after.plan, after.override)
        logger.info("EVSE %s: the vehicle left, or none came: plan %s, override %s", *told)
