"""What works behind the routes: hears, consumes, answers for the api on the bus, tidies up."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from api.bulk_intake import BulkIntake
from api.certificate_keeper import CertificateKeeper
from api.certificate_watch import CertificateWatch
from api.deps import Parts
from api.projector import Projector
from api.recorder import Recorder
from api.refusal_keeper import RefusalKeeper
from api.retention import Retention, rules_of
from api.settings import ApiSettings
from api.site_publisher import SitePublisher
from api.station_records import StationRecords
from api.storage.refusals import RefusalStore


@dataclass(frozen=True, kw_only=True)
class Workers:
    """All of them, opened and closed together."""

    parts: Parts
    recorder: Recorder
    projector: Projector
    refusals: RefusalKeeper
    publisher: SitePublisher
    keeper: CertificateKeeper
    watch: CertificateWatch
    intake: BulkIntake
    retention: Retention
    records: StationRecords

    async def open(self) -> None:
        """Load what is remembered, then take part in the bus."""
        self.parts.configuration.on_change(self.parts.live.use_site)
        self.parts.configuration.on_change(self.recorder.use_site)
        self.parts.configuration.on_change(self.parts.plans.use_site)
        self.parts.live.on_observed(self.parts.plans.take)
        await self.refusals.load()
        await self.projector.open()
        await self.parts.promotions.open()
        await self.parts.external_limits.open()
        await self.parts.plans.open()
        await self.publisher.open()
        await self.intake.open()
        await self.records.open()
        await self.keeper.open()
        await self.watch.open()

    def start(self, group: asyncio.TaskGroup) -> None:
        """Run what runs for ever."""
        group.create_task(self.projector.watch())
        group.create_task(self.publisher.watch())
        group.create_task(self.keeper.watch())
        group.create_task(self.watch.run())
        group.create_task(self.recorder.run())
        group.create_task(self.refusals.run())
        group.create_task(self.retention.run())
        group.create_task(self.parts.message_feed.run())
        group.create_task(self.parts.external_limits.run())
        group.create_task(self.parts.plans.run())

    async def close(self) -> None:
        """Leave the queues; what is not committed stays in them."""
        await self.watch.close()
        await self.projector.close()
        await self.parts.promotions.close()
        await self.parts.external_limits.close()
        await self.parts.plans.close()
        await self.intake.close()
        await self.records.close()


def build_workers(settings: ApiSettings, parts: Parts, refusals: RefusalStore) -> Workers:
    """Return the workers over the parts that routes use."""
    bus, clock, configuration = parts.bus, parts.clock, parts.configuration
    recorder = Recorder(
        parts.samples,
        configuration.current,
        interval=timedelta(seconds=settings.history_interval_s),
    )
    projector = Projector(
        bus, parts.sessions, live=parts.live, recorder=recorder, stream=parts.stream
    )
    keeper = CertificateKeeper(bus, parts.certificates, configuration, clock=clock)
    return Workers(
        parts=parts,
        recorder=recorder,
        projector=projector,
        refusals=RefusalKeeper(parts.live.stations.refused_connections, refusals),
        publisher=SitePublisher(bus, configuration, clock=clock),
        keeper=keeper,
        watch=CertificateWatch(bus, parts.certificates, configuration, keeper=keeper, clock=clock),
        intake=BulkIntake(bus, parts.messages, parts.meter_values),
        retention=Retention(rules_of(settings, parts), clock=clock),
        records=StationRecords(bus, parts.station_records),
    )
