"""Builds the parts of the api and runs them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from api.access import Access
from api.app import build_app
from api.bulk_intake import BulkIntake
from api.certificate_keeper import CertificateKeeper
from api.certificate_watch import CertificateWatch
from api.certificates import Certificates
from api.configuration import Configuration
from api.deps import Parts
from api.event_stream import EventStream
from api.first_site import load_or_make_site
from api.live import LiveView
from api.message_feed import MessageFeed
from api.projector import Projector
from api.promotions import Promotions
from api.recorder import Recorder
from api.refusal_keeper import RefusalKeeper
from api.settings import ApiSettings
from api.site_publisher import SitePublisher
from api.station_records import StationRecords
from api.storage.access import AccessStore
from api.storage.certificates import CertificateStore
from api.storage.messages import MessageStore
from api.storage.meter_values import MeterValueStore
from api.storage.refusals import RefusalStore
from api.storage.samples import SampleStore
from api.storage.sessions import SessionStore
from api.storage.sites import SiteStore
from api.storage.station_records import StationRecordStore
from shared.bus.port import Bus
from shared.clock import Clock
from shared.contracts.site import SiteChanged
from shared.health import Health
from shared.http import listening_socket, serve_http
from shared.store import Database, open_database

MIGRATIONS = Path(__file__).parent / "migrations"


async def run(settings: ApiSettings, bus: Bus, *, clock: Clock, health: Health) -> None:
    """Serve until cancelled."""
    health.report("http", ok=False, detail="starting")
    listener = listening_socket(settings.http_host, settings.http_port, setting="PARKADE_HTTP_PORT")
    try:
        async with _database(settings) as database:
            await _run(
                settings, bus, database=database, listener=listener, clock=clock, health=health
            )
    finally:
        listener.close()


@asynccontextmanager
async def _database(settings: ApiSettings) -> AsyncIterator[Database]:
    url = settings.database_url_for("api")
    database = await open_database(url, service="api", migrations=MIGRATIONS)
    try:
        yield database
    finally:
        await database.close()


async def _run(
    settings: ApiSettings,
    bus: Bus,
    *,
    database: Database,
    listener: socket.socket,
    clock: Clock,
    health: Health,
) -> None:
    parts = await build_parts(settings, bus, database=database, clock=clock)
    recorder = Recorder(
        parts.samples,
        parts.configuration.current,
        clock=clock,
        interval=timedelta(seconds=settings.history_interval_s),
        keep=timedelta(days=settings.history_days),
    )
    projector = Projector(
        bus, parts.sessions, live=parts.live, recorder=recorder, stream=parts.stream
    )
    refusals = RefusalKeeper(parts.live.stations.refused_connections, RefusalStore(database))
    publisher = SitePublisher(bus, parts.configuration, clock=clock)
    keeper = CertificateKeeper(bus, parts.certificates, parts.configuration, clock=clock)
    watch = CertificateWatch(
        bus, parts.certificates, parts.configuration, keeper=keeper, clock=clock
    )
    intake = bulk_intake(settings, parts)
    records = StationRecords(bus, parts.station_records)
    parts.configuration.on_change(parts.live.use_site)
    parts.configuration.on_change(recorder.use_site)
    changes = await bus.listen([SiteChanged], parts.configuration.heard)
    port = listener.getsockname()[1]
    try:
        async with asyncio.TaskGroup() as group:
            await refusals.load()
            await projector.open()
            await parts.promotions.open()
            await publisher.open()
            await intake.open()
            await records.open()
            await keeper.open()
            await watch.open()
            group.create_task(parts.configuration.watch(health))
            group.create_task(projector.watch())
            group.create_task(publisher.watch())
            group.create_task(keeper.watch())
            group.create_task(watch.run())
            group.create_task(recorder.run())
            group.create_task(refusals.run())
            group.create_task(intake.run())
            group.create_task(parts.message_feed.run())
            group.create_task(serve_http(build_app(parts, health), listener))
            await parts.access.print_setup_link(settings.http_host, port)
            site = parts.configuration.current
            health.report("site", ok=True, detail=f"revision {site.revision}")
            health.report("http", ok=True, detail=f"port {port}")
    finally:
        await watch.close()
        await changes.close()
        await projector.close()
        await parts.promotions.close()
        await intake.close()
        await records.close()


async def build_parts(
    settings: ApiSettings, bus: Bus, *, database: Database, clock: Clock
) -> Parts:
    """Return what routes work with, over one database and one bus."""
    store = SiteStore(database)
    first = await load_or_make_site(store, settings.site_file, clock=clock)
    configuration = Configuration(store, bus, clock=clock, first=first)
    return Parts(
        bus=bus,
        clock=clock,
        configuration=configuration,
        promotions=Promotions(bus, configuration),
        live=LiveView(first),
        stream=EventStream(),
        sessions=SessionStore(database),
        samples=SampleStore(database),
        messages=MessageStore(database),
        meter_values=MeterValueStore(database),
        message_feed=MessageFeed(bus),
        station_records=StationRecordStore(database),
        access=Access(AccessStore(database), admin_token=settings.admin_token, clock=clock),
        certificates=Certificates(CertificateStore(database), bus, clock=clock),
    )


def bulk_intake(settings: ApiSettings, parts: Parts) -> BulkIntake:
    """Return what takes frames and meter values in, and keeps them as long as settings say."""
    return BulkIntake(
        parts.bus,
        parts.messages,
        parts.meter_values,
        clock=parts.clock,
        keep_messages=timedelta(days=settings.message_log_days),
        most_messages=settings.message_log_rows,
        keep_values=timedelta(days=settings.meter_value_days),
    )
