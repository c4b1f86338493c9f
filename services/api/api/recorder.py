"""Writes the history: samples gathered for two seconds, one statement for each batch."""

import logging
from collections import deque
from datetime import timedelta

from api.domain.samples import Sample, evse_sample, is_due, meter_sample
from api.flushing import keep_flushing
from api.storage.samples import SampleStore
from shared.contracts.evse import EvseObserved
from shared.contracts.message import Event
from shared.contracts.meter import MeterSampled
from shared.contracts.site import SiteConfig
from shared.errors import StoreUnavailable

logger = logging.getLogger(__name__)

MOST_WAITING = 20_000
"""Rows kept while the database is away; then the oldest give way."""
BATCH = 1_000


class Recorder:
    """Keeps one sample of each configured EVSE and meter per interval."""

    def __init__(self, store: SampleStore, site: SiteConfig, *, interval: timedelta) -> None:
        self._store = store
        self._interval = interval
        self._waiting: deque[Sample] = deque(maxlen=MOST_WAITING)
        self._last: dict[tuple[str, str], Sample] = {}
        self._is_failing = False
        self.use_site(site)

    def use_site(self, site: SiteConfig) -> None:
        """Record the EVSEs and meters of a new site, and no others."""
        self._sources = {("evse", evse.id) for evse in site.evses}
        self._sources |= {("meter", meter.id) for meter in site.meters}
        self._last = {key: last for key, last in self._last.items() if key in self._sources}

    def take(self, event: Event, *, offered_a: float | None = None) -> None:
        """Keep a sample of an observation, if one is due."""
        if isinstance(event, EvseObserved):
            sample = evse_sample(event, offered_a=offered_a)
        elif isinstance(event, MeterSampled):
            sample = meter_sample(event)
        else:
            return
        key = (sample.kind, sample.source)
        if key in self._sources and is_due(self._last.get(key), sample, self._interval):
            self._last[key] = sample
            self._waiting.append(sample)

    async def run(self) -> None:
        """Write for ever. What is gathered is written once more when this is cancelled."""
        await keep_flushing(self.flush)

    async def flush(self) -> None:
        """Write what is gathered; while the database is away it stays."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await self._store.add(batch)
            except StoreUnavailable as error:
                self._waiting.extendleft(reversed(batch))
                self._failed(error)
                return
        if self._is_failing:
            self._is_failing = False
            logger.info("history is written again")

    def _failed(self, error: StoreUnavailable) -> None:
        if not self._is_failing:
            logger.warning("history waits: %s", error)
        self._is_failing = True
